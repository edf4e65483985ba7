#include "worker/snapshot_keeper.h"

#include <algorithm>
#include <cstring>
#include <ctime>
#include <sstream>
#include <utility>

#include "partition/errors.h"

namespace knotwork::worker {

using partition::StreamedSection;

namespace {

std::string now_text() {
  const std::time_t now = std::time(nullptr);
  std::tm parts{};
  gmtime_r(&now, &parts);
  char text[32];
  std::strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", &parts);
  return text;
}

// Not inlined, so that the thread sanitizer's reports carry its name: training threads may be writing these rows, and a
// copy may mix columns of before and after (ps/table.h, Hogwild).
[[gnu::noinline]] void hogwild_copy(std::byte* to, const std::byte* from, std::size_t bytes) {
  std::memcpy(to, from, bytes);
}

/// Copies bytes offset .. offset + out.size() - 1 of rows of `row_bytes` each, which lie `stride_bytes` apart.
void copy_rows(const std::byte* rows, std::size_t stride_bytes, std::size_t row_bytes, std::uint64_t offset,
               std::span<std::byte> out) {
  while (!out.empty()) {
    const std::uint64_t row = offset / row_bytes;
    const std::size_t first = offset % row_bytes;
    const std::size_t count = std::min(row_bytes - first, out.size());
    hogwild_copy(out.data(), rows + row * stride_bytes + first, count);
    out = out.subspan(count);
    offset += count;
  }
}

StreamedSection section_of_rows(std::string name, const float* rows, std::uint64_t count, std::size_t stride,
                                std::size_t width) {
  return {.name = std::move(name),
          .bytes = count * width * sizeof(float),
          .read = [rows, stride, width](std::uint64_t offset, std::span<std::byte> out) {
            copy_rows(reinterpret_cast<const std::byte*>(rows), stride * sizeof(float), width * sizeof(float), offset,
                      out);
          }};
}

StreamedSection section_of_nodes(std::string name, std::span<const partition::OriginalNode> originals) {
  const auto nodes = std::as_bytes(originals);
  return {
      .name = std::move(name), .bytes = nodes.size(), .read = [nodes](std::uint64_t offset, std::span<std::byte> out) {
        std::copy_n(nodes.begin() + static_cast<std::ptrdiff_t>(offset), out.size(), out.begin());
      }};
}

/// Made when its first byte is asked for.
StreamedSection section_of_array(std::string name, const SnapshotArray& array) {
  const auto contents = std::make_shared<std::optional<std::vector<std::byte>>>();
  return {.name = std::move(name),
          .bytes = array.bytes,
          .read = [contents, array](std::uint64_t offset, std::span<std::byte> out) {
            if (!*contents) *contents = array.make();
            if ((*contents)->size() != array.bytes) {
              throw partition::SystemError("the array " + array.name + " of a snapshot has another size than was said");
            }
            std::copy_n((*contents)->begin() + static_cast<std::ptrdiff_t>(offset), out.size(), out.begin());
            if (offset + out.size() == array.bytes) contents->reset();
          }};
}

std::vector<StreamedSection> sections_of(const SnapshotContent& content, bool is_root) {
  std::vector<StreamedSection> sections;
  sections.push_back(section_of_nodes("nodes", content.nodes));
  if (content.array_nodes) sections.push_back(section_of_nodes("array_nodes", *content.array_nodes));
  for (std::size_t t = 0; t < content.tables.size(); ++t) {
    const ps::Table& table = *content.tables[t].rows;
    const std::shared_ptr<FrozenRows>& frozen = content.tables[t].frozen;
    const std::string name = "table." + std::to_string(t);
    const std::uint64_t rows = table.range().size();
    StreamedSection values = section_of_rows(name + ".values", table.values(), rows, table.stride(), table.dim());
    StreamedSection state =
        section_of_rows(name + ".state", table.state(), rows, table.state_width(), table.state_width());
    if (frozen) {
      values.read = [frozen](std::uint64_t offset, std::span<std::byte> out) { frozen->read_values(offset, out); };
      state.read = [frozen](std::uint64_t offset, std::span<std::byte> out) { frozen->read_state(offset, out); };
    }
    sections.push_back(std::move(values));
    if (table.state_width() > 0) sections.push_back(std::move(state));
  }
  for (const SnapshotContent::RowArray& array : content.row_arrays) {
    const std::uint64_t entries = content.array_nodes ? content.array_nodes->size() : content.nodes.size();
    sections.push_back(section_of_array("row." + array.name,
                                        {.name = array.name, .bytes = entries * array.width, .make = array.make}));
  }
  for (const SnapshotArray& array : content.rank_arrays)
    sections.push_back(section_of_array("rank." + array.name, array));
  if (!is_root || content.job_arrays.empty()) return sections;
  // One section for all: models of many layers have more arrays than a file has sections.
  SnapshotArray all{.name = "job", .bytes = 0, .make = {}};
  for (const SnapshotArray& array : content.job_arrays) all.bytes += array.bytes;
  all.make = [&arrays = content.job_arrays] {
    std::map<std::string, const SnapshotArray*> by_name;  // as the manifest lists them
    for (const SnapshotArray& array : arrays) by_name[array.name] = &array;
    std::vector<std::byte> bytes;
    for (const auto& [name, array] : by_name) {
      const std::vector<std::byte> contents = array->make();
      bytes.insert(bytes.end(), contents.begin(), contents.end());
    }
    return bytes;
  };
  sections.push_back(section_of_array("job", all));
  return sections;
}

SnapshotManifest manifest_of(const SnapshotContent& content, const SnapshotOptions& options, std::uint64_t sequence) {
  SnapshotManifest manifest{
      .sequence = sequence, .program = options.program, .made_at = now_text(), .identity = options.identity};
  for (const auto& [table, frozen] : content.tables) {
    manifest.tables.push_back({.name = table->spec().name,
                               .dim = table->spec().dim,
                               .state_width = static_cast<std::uint32_t>(table->state_width())});
  }
  for (const SnapshotContent::RowArray& array : content.row_arrays) manifest.row_arrays[array.name] = array.width;
  for (const SnapshotArray& array : content.rank_arrays) manifest.rank_arrays.push_back(array.name);
  for (const SnapshotArray& array : content.job_arrays) manifest.job_arrays[array.name] = array.bytes;
  manifest.marks = content.marks;
  return manifest;
}

}  // namespace

SnapshotArray SnapshotArray::of(std::string name, std::vector<std::byte> contents) {
  const std::uint64_t bytes = contents.size();
  const auto kept = std::make_shared<const std::vector<std::byte>>(std::move(contents));
  return {.name = std::move(name), .bytes = bytes, .make = [kept] { return *kept; }};
}

SnapshotKeeper::SnapshotKeeper(cluster::Communicator& communicator, SnapshotOptions options)
    : communicator_(communicator),
      options_(std::move(options)),
      folder_(options_.folder),
      due_(Clock::now() + options_.every) {
  folder_.make_ready();
  std::uint64_t last = 0;
  for (const std::uint64_t sequence : folder_.sequences()) {
    last = std::max(last, sequence);
    const bool was_passed_over = options_.resumed > 0 && sequence > options_.resumed;
    if (folder_.has_manifest(sequence) && !was_passed_over) whole_.push_back(sequence);
  }
  next_sequence_ = communicator_.allreduce(last, cluster::Reduction::kMax) + 1;
  // Ranks without rank 0's disk see no manifests, and must know nevertheless what is to be kept.
  std::string text;
  for (const std::uint64_t sequence : whole_) text += std::to_string(sequence) + " ";
  std::istringstream words(communicator_.broadcast(text, 0));
  whole_.clear();
  for (std::uint64_t sequence = 0; words >> sequence;) whole_.push_back(sequence);
}

SnapshotKeeper::~SnapshotKeeper() = default;

SnapshotKeeper::Vote SnapshotKeeper::vote(bool has_work) {
  enum Fact : std::uint8_t { kDue, kStop, kWork, kWriting, kFacts };
  std::uint64_t facts[kFacts] = {};
  facts[kDue] = communicator_.is_root() && Clock::now() >= due_ ? 1 : 0;
  facts[kStop] = stop_asked_.load(std::memory_order_relaxed) ? 1 : 0;
  facts[kWork] = has_work ? 1 : 0;
  facts[kWriting] = writing_.load(std::memory_order_acquire) ? 1 : 0;
  communicator_.allreduce(std::span<std::uint64_t>(facts), cluster::Reduction::kMax);
  if (pending_ && facts[kWriting] == 0) settle();
  // Nobody has work: the job is about to be done, and needs no snapshot.
  const bool stop = facts[kStop] != 0 && facts[kWork] != 0;
  const bool due = facts[kDue] != 0 && facts[kWork] != 0 && !pending_;
  return {.snapshot = due || stop, .stop = stop, .has_work = facts[kWork] != 0};
}

void SnapshotKeeper::begin(SnapshotContent content) {
  if (pending_) settle();
  due_ = Clock::now() + options_.every;
  pending_ = manifest_of(content, options_, next_sequence_++);
  pending_file_ = {.facts = {}, .rows = content.nodes.size(), .array_rows = std::nullopt};
  if (content.array_nodes) pending_file_.array_rows = content.array_nodes->size();
  pending_pause_ = content.pause_seconds;
  writing_.store(true, std::memory_order_release);
  thread_ = std::jthread([this, content = std::move(content)] { write(content); });
}

/// On the writing thread.
void SnapshotKeeper::write(const SnapshotContent& content) {
  const auto start = Clock::now();
  outcome_ = {};
  try {
    folder_.open(pending_->sequence);
    const std::vector<StreamedSection> sections = sections_of(content, communicator_.is_root());
    outcome_.facts = partition::stream_section_file(
        folder_.place(pending_->sequence, snapshot_file_name(static_cast<std::uint64_t>(communicator_.rank()))),
        kSnapshotMagic, sections);
  } catch (const std::exception& error) {
    outcome_.failure = error.what();
    if (outcome_.failure.empty()) outcome_.failure = "unknown";
  }
  outcome_.seconds = std::chrono::duration<double>(Clock::now() - start).count();
  writing_.store(false, std::memory_order_release);
}

/// What all ranks say of their files; the manifest gets them.
SnapshotEvent SnapshotKeeper::gather_outcome(SnapshotManifest& manifest) {
  std::ostringstream own;
  own << outcome_.facts.bytes << ' ' << outcome_.facts.header_checksum << ' ' << pending_file_.rows << ' '
      << pending_file_.array_rows.value_or(0) << ' ' << outcome_.seconds << ' ' << pending_pause_ << ' '
      << outcome_.failure;
  SnapshotEvent event{.sequence = manifest.sequence, .folder = folder_.place(manifest.sequence), .failure = {}};
  manifest.files.clear();
  for (const std::string& text : communicator_.all_gather(own.str())) {
    std::istringstream words(text);
    SnapshotManifest::RankFile file;
    double seconds = 0;
    double pause = 0;
    std::uint64_t array_rows = 0;
    words >> file.facts.bytes >> file.facts.header_checksum >> file.rows >> array_rows >> seconds >> pause;
    if (pending_file_.array_rows) file.array_rows = array_rows;
    std::string failure;
    words.get();
    std::getline(words, failure);
    if (event.failure.empty()) event.failure = failure;
    event.bytes += file.facts.bytes;
    event.seconds = std::max(event.seconds, seconds);
    event.pause_seconds = std::max(event.pause_seconds, pause);
    manifest.files.push_back(file);
  }
  return event;
}

/// On rank 0 for all.
void SnapshotKeeper::publish(const SnapshotManifest& manifest, SnapshotEvent& event) {
  if (communicator_.is_root() && event.failure.empty()) {
    try {
      folder_.publish(manifest);
    } catch (const std::exception& error) {
      event.failure = error.what();
    }
  }
  event.failure = communicator_.broadcast(event.failure, 0);
}

void SnapshotKeeper::prune() {
  while (whole_.size() > std::max<std::uint32_t>(1, options_.keep)) whole_.erase(whole_.begin());
  // Also what a job that was killed has left half written.
  for (const std::uint64_t sequence : folder_.sequences()) {
    if (sequence < next_sequence_ && !std::binary_search(whole_.begin(), whole_.end(), sequence)) {
      folder_.remove(sequence);
    }
  }
}

/// Collective: brings the pending snapshot to its end, one way or the other.
void SnapshotKeeper::settle() {
  if (thread_.joinable()) thread_.join();
  SnapshotManifest manifest = std::move(*pending_);
  pending_.reset();
  SnapshotEvent event = gather_outcome(manifest);
  longest_pause_ = std::max(longest_pause_, event.pause_seconds);
  publish(manifest, event);
  last_is_whole_ = event.failure.empty();
  if (last_is_whole_) {
    ++written_;
    whole_.push_back(manifest.sequence);
  }
  prune();
  if (options_.told) options_.told(event);
}

void SnapshotKeeper::rest() noexcept {
  if (thread_.joinable()) thread_.join();
}

bool SnapshotKeeper::finish() {
  if (pending_) settle();
  return last_is_whole_;
}

}  // namespace knotwork::worker
