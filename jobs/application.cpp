// Finds the command, sets its options, runs it, and turns what went wrong into one line and an exit code.
#include "jobs/application.h"

#ifdef _OPENMP
#include <omp.h>
#endif

#include <algorithm>
#include <chrono>
#include <new>
#include <optional>
#include <ostream>
#include <span>
#include <stdexcept>
#include <thread>

#include "cluster/communicator.h"
#include "jobs/build_info.h"
#include "jobs/cluster_options.h"
#include "jobs/command.h"
#include "jobs/command_line.h"
#include "jobs/console.h"
#include "jobs/interruption.h"
#include "jobs/job_metrics.h"
#include "jobs/launch.h"
#include "jobs/output_path.h"
#include "jobs/prepared_command.h"
#include "jobs/report.h"
#include "partition/errors.h"

namespace knotwork::jobs {

void declare(SessionOptions& options, OptionSet& set) {
  // More threads than any machine has cores are a slip of the keyboard.
  constexpr double kMostThreads = 1024;
  set.group("Running");
  set.add("threads", &options.threads, "threads of this process").range(1, kMostThreads);
  set.add("quiet,q", &options.quiet, "no configuration, progress or summary").is_configuration = false;
  set.add("log", &options.log, "write what is printed to FILE, with times").file().is_configuration = false;
  set.add("json", &options.json, "write every figure to FILE").file().is_configuration = false;
}

void Session::watch(const std::string& path) const {
  if (interruption != nullptr) interruption->watch(path);
}

namespace {

using partition::InputError;

/// Runs the command on this process and writes what it measured. `communicator`: null for one process only.
int run_command_of(PreparedCommand& prepared, cluster::Communicator* communicator, const Surroundings& around,
                   std::span<const std::string> words) {
  const SessionOptions& options = prepared.session;
  const bool is_first = communicator == nullptr || communicator->is_root();
  Console console(around.out, around.errors,
                  {.quiet = options.quiet,
                   .speaks = is_first,
                   .on_terminal = around.on_terminal,
                   .columns = around.columns,
                   .log_file = options.log});
  Report report(prepared.entry->text.name);
  report.configuration(prepared.set.configuration());
  if (prepared.entry->shows_configuration)
    console.configuration(build_line() + ": " + prepared.entry->text.name, prepared.set.configuration_text());
  std::optional<JobMetrics> metrics;
  if (communicator != nullptr && prepared.entry->is_watched) metrics.emplace(*communicator, prepared.cluster, console);
  Session session{options,
                  console,
                  report,
                  communicator,
                  around.interruption,
                  &prepared.cluster,
                  metrics ? &metrics->registry() : nullptr,
                  0,
                  {words.begin(), words.end()}};
  prepared.command->run(session);
  std::uint64_t peak = peak_memory_bytes();
  if (communicator != nullptr) peak = communicator->allreduce(peak, cluster::Reduction::kMax);
  report.set("peak_memory_bytes", peak);
  if (is_first && !options.json.empty()) write_text_file(options.json, report.json());
  return session.exit_code;
}

int exit_code_of(const std::exception& error) {
  return dynamic_cast<const InputError*>(&error) != nullptr ? kExitUsage : kExitFailed;
}

/// A launcher whose PMI this MPI doesn't speak leaves every process alone in a job of one, and each would do the whole
/// work and write the same file.
void check_that_all_are_here(const cluster::Communicator& communicator, const Launch& launch) {
  if (communicator.size() > 1 || launch.size == 1) return;
  throw partition::SystemError(std::to_string(launch.size) +
                               " processes were started, but MPI finds only this one: the launcher and this MPI don't "
                               "speak the same PMI; use mpirun, or srun --mpi=pmix");
}

/// While ranks don't know each other: it is the launcher that ends them, and it says why itself.
void end_silently(Interruption* interruption) {
  constexpr int kSignalBase = 128;
  if (interruption != nullptr) interruption->ask([](int signal) { return kSignalBase + signal; });
}

/// While it lives, this process and the others end together: on a signal, or because one of them is lost.
class SharedEnd {
 public:
  SharedEnd(cluster::Communicator& communicator, Interruption* interruption)
      : communicator_(communicator), interruption_(interruption) {
    if (interruption_ == nullptr) return;
    communicator_.before_ending([this] { interruption_->remove_partial_files(); });
    if (communicator_.size() > 1) interruption_->ask([this](int signal) { return communicator_.interrupted(signal); });
  }
  ~SharedEnd() {
    if (interruption_ == nullptr) return;
    if (communicator_.size() > 1) end_silently(interruption_);
    communicator_.before_ending(nullptr);
  }
  SharedEnd(const SharedEnd&) = delete;
  SharedEnd& operator=(const SharedEnd&) = delete;

 private:
  cluster::Communicator& communicator_;
  Interruption* interruption_;
};

int run_prepared(PreparedCommand& prepared, const Launch& launch, const Surroundings& around,
                 std::span<const std::string> words) {
  const SessionOptions& options = prepared.session;
  if (!options.json.empty()) check_output_file(options.json);
  if (!options.log.empty()) check_output_file(options.log);
#ifdef _OPENMP
  omp_set_num_threads(static_cast<int>(options.threads));
#endif
  if (!prepared.entry->is_distributed) return run_command_of(prepared, nullptr, around, words);
  const std::unique_ptr<cluster::Communicator> communicator =
      cluster::connect(prepared.entry->is_watched ? connect_options(prepared.cluster, prepared.set)
                                                  : unwatched_connection(prepared.set));
  check_that_all_are_here(*communicator, launch);
  const SharedEnd shared_end(*communicator, around.interruption);
  const auto body = [&] {
    try {
      return run_command_of(prepared, communicator.get(), around, words);
    } catch (...) {
      // With several ranks the whole job ends at once, so this is the last chance to clean up.
      if (around.interruption != nullptr) around.interruption->remove_partial_files();
      throw;
    }
  };
  return cluster::run_or_abort(*communicator, body, exit_code_of);
}

bool asks_for_help(std::span<const std::string> words) {
  const auto end = std::ranges::find(words, "--");
  return std::any_of(words.begin(), end, [](const std::string& word) { return word == "--help" || word == "-h"; });
}

void print_command_help(const CommandEntry* entry, const Surroundings& around) {
  PreparedCommand prepared;
  prepared.entry = entry;
  declare_all(prepared, read_launch());
  around.out << help_text(entry->text, prepared.set, std::min<std::size_t>(around.columns, 100));
}

/// The help of "eval linkpred", "eval classify", ... if `word` is only the first word of commands ("eval").
bool print_group_help(const std::string& word, const Surroundings& around) {
  bool found = false;
  for (const CommandEntry& entry : all_commands()) {
    if (!entry.text.name.starts_with(word + " ")) continue;
    if (found) around.out << "\n";
    print_command_help(&entry, around);
    found = true;
  }
  return found;
}

int print_help(std::span<const std::string> words, const Surroundings& around) {
  std::vector<std::string> names;
  for (const std::string& word : words) {
    if (word.starts_with('-')) break;
    names.push_back(word);
  }
  if (names.empty()) {
    around.out << overview_text(all_commands());
    return kExitDone;
  }
  if (names.size() == 1 && print_group_help(names[0], around)) return kExitDone;
  print_command_help(choose_command(names, all_commands()).entry, around);
  return kExitDone;
}

int dispatch(std::span<const std::string> words, const Launch& launch, const Surroundings& around) {
  if (words.empty()) {
    around.errors << "Usage: knotwork COMMAND [options]; 'knotwork help' lists the commands\n";
    return kExitUsage;
  }
  if (words[0] == "--version" || words[0] == "-V") {
    around.out << build_line() << "\n";
    return kExitDone;
  }
  if (words[0] == "help") return print_help(words.subspan(1), around);
  if (asks_for_help(words)) return print_help(words, around);
  if (words[0].starts_with('-')) throw InputError("expected a command first, found " + words[0]);
  const std::unique_ptr<PreparedCommand> prepared = prepare_command(words, launch);
  // Under mpirun every rank gets the same words, but only some commands are made for many ranks.
  if (launch.rank > 0 && !prepared->entry->is_distributed) return kExitDone;
  return run_prepared(*prepared, launch, around, words);
}

}  // namespace

int run_main(const std::vector<std::string>& words, const Surroundings& around) {
  const Launch launch = read_launch();
  if (launch.size > 1) end_silently(around.interruption);
  const auto fail = [&](const std::string& reason, int code) {
    if (around.interruption != nullptr) around.interruption->remove_partial_files();
    // Bad input is mostly found by every rank alike, and one line is enough: the first rank ends, and the launcher ends
    // the others within a good second. A rank that is still here then is alone with it.
    constexpr std::chrono::milliseconds kFirstRankSpeaks(2500);
    if (launch.rank > 0 && code == kExitUsage) std::this_thread::sleep_for(kFirstRankSpeaks);
    const std::string who = launch.rank > 0 ? "rank " + std::to_string(launch.rank) + ": " : "";
    around.errors << "knotwork: " << who << reason << std::endl;
    return code;
  };
  try {
    const int code = dispatch(words, launch, around);
    around.out.flush();
    return code;
  } catch (const InputError& error) {
    return fail(error.what(), kExitUsage);
  } catch (const std::bad_alloc&) {
    return fail("out of memory", kExitFailed);
  } catch (const std::exception& error) {
    return fail(error.what(), kExitFailed);
  }
}

}  // namespace knotwork::jobs
