#include "jobs/snapshot_choice.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <csignal>
#include <fstream>
#include <span>

#include "cluster/communicator.h"
#include "cluster/slurm_script.h"
#include "jobs/application.h"
#include "jobs/build_info.h"
#include "jobs/console.h"
#include "jobs/figures.h"
#include "jobs/interruption.h"
#include "jobs/report.h"
#include "partition/checksum.h"
#include "partition/errors.h"
#include "partition/graph_checksum.h"

namespace knotwork::jobs {

using partition::InputError;

namespace {

/// The first job's snapshots must not be pruned, or resumed, by another one's.
void check_is_free(const SnapshotChoice& choice, cluster::Communicator& communicator) {
  const worker::SnapshotFolder folder(choice.folder);
  bool has_some = folder.finished().has_value();
  for (const std::uint64_t sequence : folder.sequences()) has_some = has_some || folder.has_manifest(sequence);
  const std::uint64_t any = communicator.allreduce(std::uint64_t{has_some ? 1U : 0U}, cluster::Reduction::kMax);
  if (any == 0) return;
  throw InputError("snapshot-dir " + choice.folder + " holds the snapshots of a job already; go on with --resume " +
                   choice.folder + ", choose another folder, or remove this one");
}

std::string text_of(const worker::SnapshotIdentity& identity) {
  return std::to_string(identity.node_count) + " nodes, " + std::to_string(identity.arc_count) + " arcs, checksum " +
         partition::checksum_text(identity.graph_checksum);
}

}  // namespace

void declare(SnapshotChoice& choice, OptionSet& set) {
  set.group("Snapshots");
  set.add("snapshot-dir", &choice.folder, "keep snapshots of the training in this folder").folder();
  set.add("snapshot-every", &choice.every, "time between two snapshots: 30s, 10m, 1h").value_name("TIME");
  set.add("keep-snapshots", &choice.keep, "whole snapshots that stay").range(1, 1000);
  set.add("resume", &choice.resume, "go on from the newest whole snapshot in this folder").folder();
}

void resolve(SnapshotChoice& choice, const OptionSet& set) {
  const std::optional<double> every = parse_duration(choice.every);
  if (!every || *every <= 0)
    throw InputError("snapshot-every must be a time like 30s, 10m or 1h, found '" + choice.every + "'");
  if (choice.folder.empty()) choice.folder = choice.resume;
  if (!choice.folder.empty()) return;
  for (const char* name : {"snapshot-every", "keep-snapshots"}) {
    if (set.was_given(name)) throw InputError(std::string(name) + " needs --snapshot-dir");
  }
}

worker::SnapshotIdentity identity_of(const std::optional<partition::Graph>& whole,
                                     cluster::Communicator& communicator) {
  std::vector<std::uint64_t> facts(3);
  if (whole) facts = {whole->summary().node_count, whole->summary().arc_count, partition::graph_checksum(*whole)};
  communicator.allreduce(facts, cluster::Reduction::kMax);
  return {.configuration = {}, .node_count = facts[0], .arc_count = facts[1], .graph_checksum = facts[2]};
}

std::string contents_of(const std::string& path, cluster::Communicator& communicator) {
  if (path.empty()) return "none";
  std::string text = "unreadable";
  if (communicator.is_root()) {
    std::ifstream file(path, std::ios::binary);
    std::vector<char> block(partition::kChecksumBlockBytes);
    std::uint64_t sum = 0;
    while (file) {
      file.read(block.data(), static_cast<std::streamsize>(block.size()));
      const std::array chain = {
          sum,
          partition::plain_checksum(std::as_bytes(std::span(block).first(static_cast<std::size_t>(file.gcount()))))};
      sum = partition::plain_checksum(std::as_bytes(std::span(chain)));
    }
    if (file.eof()) text = partition::checksum_text(sum);
  }
  return communicator.broadcast(text, 0);
}

void check_agreement(const worker::SnapshotReader& snapshot, const AgreedOptions& options) {
  const AgreedOptions& before = snapshot.manifest().identity.configuration;
  for (const auto& [name, value] : options) {
    const auto found = std::ranges::find(before, name, &AgreedOptions::value_type::first);
    const std::string other = found == before.end() ? "none" : found->second;
    if (other == value) continue;
    throw InputError(name + " is " + value + ", but the job of " + snapshot.place() + " has " + name + " " + other +
                     "; resume with the same, or begin anew without --resume");
  }
}

std::string resume_command(const std::vector<std::string>& words, const std::string& folder, int ranks) {
  std::vector<std::string> all = words;
  const auto is_option = [](const std::string& name) {
    return [name](const std::string& word) { return word == name || word.starts_with(name + "="); };
  };
  const bool is_job = !all.empty() && all.front() == "run";
  if (is_job) {
    const std::string setting = "resume=" + folder;
    const auto set = std::find(all.begin(), all.end(), "--set");
    if (set != all.end() && std::find(all.begin(), all.end(), setting) == all.end()) {
      all.insert(set + 1, setting);
    } else if (set == all.end()) {
      all.insert(all.end(), {"--set", setting});
    }
  } else if (std::find_if(all.begin(), all.end(), is_option("--resume")) == all.end()) {
    all.insert(all.end(), {"--resume", folder});
  }
  std::string text = ranks > 1 ? "mpirun -n " + std::to_string(ranks) + " knotwork" : "knotwork";
  for (const std::string& word : all) text += " " + cluster::shell_word(word);
  return text;
}

JobSnapshots::JobSnapshots(const SnapshotChoice& choice, AgreedOptions agreed, Session& session)
    : choice_(choice), agreed_(std::move(agreed)), session_(session) {
  if (choice_.resume != choice_.folder) check_is_free(choice_, *session_.communicator);
  if (choice_.resume.empty()) return;
  snapshot_.emplace(*session_.communicator, choice_.resume,
                    [this](const std::string& text) { session_.console.notice(text); });
  check_agreement(*snapshot_, agreed_);
  has_whole_ = choice_.resume == choice_.folder;
}

JobSnapshots::~JobSnapshots() {
  end_of_training();
  session_.communicator->advise({});
}

worker::SnapshotKeeper& JobSnapshots::start(worker::SnapshotIdentity identity) {
  if (snapshot_) {
    worker::SnapshotIdentity before = snapshot_->manifest().identity;
    before.configuration.clear();
    if (!(before == identity))
      throw InputError("the graph is another one than that of " + snapshot_->place() + ": it has " + text_of(identity) +
                       ", the snapshot's has " + text_of(before));
    session_.console.step("goes on from " + snapshot_->place() + " of " + snapshot_->manifest().made_at + ", made by " +
                          std::to_string(snapshot_->manifest().files.size()) + " processes");
    session_.report.set("resumed_from", snapshot_->manifest().sequence);
  }
  identity.configuration = agreed_;
  keeper_ = std::make_unique<worker::SnapshotKeeper>(
      *session_.communicator,
      worker::SnapshotOptions{
          .folder = choice_.folder,
          .every = std::chrono::milliseconds(static_cast<std::int64_t>(*parse_duration(choice_.every) * 1000)),
          .keep = choice_.keep,
          .identity = std::move(identity),
          .program = "knotwork " + build_info().version,
          .resumed = snapshot_ && choice_.resume == choice_.folder ? snapshot_->manifest().sequence : 0,
          .told = [this](const worker::SnapshotEvent& event) { tell(event); }});
  if (has_whole_) session_.communicator->advise(advice());
  if (session_.interruption != nullptr) {
    session_.interruption->on_warning([keeper = keeper_.get()](int) { keeper->ask_to_stop(); });
  }
  return *keeper_;
}

void JobSnapshots::end_of_training() {
  if (session_.interruption != nullptr) session_.interruption->on_warning(nullptr);
}

std::string JobSnapshots::advice() const {
  return "go on from the newest whole snapshot with: " +
         resume_command(session_.words, choice_.folder, session_.communicator->size());
}

void JobSnapshots::tell(const worker::SnapshotEvent& event) {
  last_failure_ = event.failure;
  if (!event.failure.empty()) {
    session_.console.notice(worker::snapshot_name(event.sequence) +
                            " could not be written, training goes on without: " + event.failure);
    return;
  }
  has_whole_ = true;
  session_.communicator->advise(advice());
  session_.console.step(event.folder + ": " + human_bytes(static_cast<double>(event.bytes)) + " in " +
                        human_seconds(event.seconds) + ", training paused " + human_seconds(event.pause_seconds));
  session_.report.set("snapshots", keeper_->written());
  session_.report.set("snapshot_bytes", event.bytes);
  session_.report.set("snapshot_pause_seconds", keeper_->longest_pause());
}

void JobSnapshots::report_stop(bool last_is_whole) {
  session_.report.set("stopped", true);
  if (!last_is_whole) {
    throw partition::SystemError("stopped as asked, but the last snapshot could not be written: " + last_failure_ +
                                 (has_whole_ ? "; " + advice() : "; no snapshot before it is whole"));
  }
  session_.console.step("stopped as asked; " + advice());
  session_.exit_code = kExitStopped;
}

void JobSnapshots::finish(const std::string& output) {
  if (session_.communicator->is_root()) worker::SnapshotFolder(choice_.folder).mark_finished(output);
}

}  // namespace knotwork::jobs
