#include "embeddings/ppr_fingerprints.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <cmath>
#include <filesystem>
#include <sstream>

#include "embeddings/arc_weights.h"
#include "partition/checksum.h"
#include "partition/errors.h"
#include "partition/random.h"

namespace knotwork::embeddings {

using partition::ArcIndex;
using partition::InputError;
using partition::RandomBlock;

namespace {

constexpr std::string_view kIndexMagic = "KNOTPPRF";
constexpr std::uint32_t kIndexVersion = 1;
constexpr std::size_t kWalksInFlight = 64;
constexpr std::int64_t kWalksPerTask = 4096;

/// Section "meta".
struct IndexMeta {
  std::uint32_t version;
  std::uint32_t walks;
  std::uint64_t seed;
  double restart;
  std::uint64_t node_count;
  std::uint64_t walk_count;
  std::uint64_t graph_checksum;
};
static_assert(sizeof(IndexMeta) == 48);

/// A walk under way.
struct Walk {
  GlobalNode node;
  ArcIndex arc;
  std::uint32_t steps_left;
  std::uint32_t step;
  std::uint32_t index;  // into the group's walks
  RandomBlock words;
};

}  // namespace

FingerprintWalker::FingerprintWalker(const TransitionGraph& graph, const FingerprintOptions& options)
    : graph_(graph), options_(options) {
  if (!(options.restart > 0 && options.restart < 1)) {
    throw InputError("restart must be a probability above 0 and below 1, found " + std::to_string(options.restart));
  }
  if (options.walks == 0) throw InputError("a node needs at least one walk; found walks = 0");
  const auto arcs = static_cast<double>(graph.out().arrays().targets.size());
  walks_per_arc_ = arcs > 0 ? options.walks * static_cast<double>(graph.node_count()) / arcs : 0;
  if (graph.weighted()) cumulative_ = cumulative_shares(graph.out());
  // By multiplication alone, which is the same on every machine.
  double share = 1 - options.restart;
  for (; share * 0x1.0p32 >= 1; share *= 1 - options.restart) {
    longer_than_.push_back(static_cast<std::uint32_t>(share * 0x1.0p32));
  }
}

std::uint32_t FingerprintWalker::count(GlobalNode node) const {
  if (graph_.is_dangling(node)) return 0;
  return std::max(1U, static_cast<std::uint32_t>(std::lround(graph_.out().degree(node) * walks_per_arc_)));
}

std::vector<std::uint64_t> FingerprintWalker::offsets() const {
  std::vector<std::uint64_t> offsets(graph_.node_count() + std::size_t{1}, 0);
  for (GlobalNode node = 0; node < graph_.node_count(); ++node) {
    offsets[node + std::size_t{1}] = offsets[node] + count(node);
  }
  return offsets;
}

std::uint32_t FingerprintWalker::length_of(std::uint32_t bits) const {
  const auto end = std::lower_bound(longer_than_.begin(), longer_than_.end(), bits,
                                    [](auto share, auto word) { return word < share; });
  return static_cast<std::uint32_t>(end - longer_than_.begin());
}

ArcIndex FingerprintWalker::draw_arc(GlobalNode node, std::uint32_t bits) const {
  const std::uint32_t degree = graph_.out().degree(node);
  const ArcIndex first = graph_.out().arrays().offsets[node];
  if (cumulative_.empty()) return first + partition::bounded(bits, degree);
  const std::uint32_t* const begin = cumulative_.data() + first;
  return static_cast<ArcIndex>(std::lower_bound(begin, begin + degree - 1, bits) - cumulative_.data());
}

void FingerprintWalker::run(std::span<const FingerprintWalk> walks, std::span<GlobalNode> ends) const {
  for (std::size_t first = 0; first < walks.size(); first += kWalksInFlight) {
    const std::size_t size = std::min(kWalksInFlight, walks.size() - first);
    run_group(walks.subspan(first, size), ends.subspan(first, size));
  }
}

void FingerprintWalker::run_group(std::span<const FingerprintWalk> walks, std::span<GlobalNode> ends) const {
  const Graph& graph = graph_.out();
  const auto words = [&](const FingerprintWalk& walk, std::uint32_t block) {
    return partition::random_block(options_.seed, partition::RandomPurpose::kFingerprint, graph.original(walk.start),
                                   walk.number, block);
  };
  std::array<Walk, kWalksInFlight> active;
  std::size_t count = 0;
  for (std::size_t i = 0; i < walks.size(); ++i) {
    const RandomBlock block = words(walks[i], 0);
    active[count++] = {.node = walks[i].start,
                       .arc = 0,
                       .steps_left = length_of(block[0]),
                       .step = 1,
                       .index = static_cast<std::uint32_t>(i),
                       .words = block};
  }
  // Two loops a round: the first touches the row's bounds, the second its arc; each prefetches for the next.
  while (count > 0) {
    std::size_t kept = 0;
    for (std::size_t i = 0; i < count; ++i) {
      Walk walk = active[i];
      if (walk.steps_left == 0) {
        ends[walk.index] = walk.node;
      } else if (graph.degree(walk.node) == 0) {
        ends[walk.index] = kReturned;
      } else {
        if (walk.step % 4 == 0) walk.words = words(walks[walk.index], walk.step / 4);
        walk.arc = draw_arc(walk.node, walk.words[walk.step % 4]);
        __builtin_prefetch(graph.arrays().targets.data() + walk.arc);
        active[kept++] = walk;
      }
    }
    count = kept;
    for (std::size_t i = 0; i < count; ++i) {
      Walk& walk = active[i];
      walk.node = graph.arrays().targets[walk.arc];
      __builtin_prefetch(graph.arrays().offsets.data() + walk.node);
      --walk.steps_left;
      ++walk.step;
    }
  }
}

FingerprintIndex::FingerprintIndex(const FingerprintWalker& walker)
    : graph_checksum_(graph_checksum(walker.graph())),
      options_(walker.options()),
      node_count_(walker.graph().node_count()),
      offsets_(walker.offsets()) {}

FingerprintIndex FingerprintIndex::make(const FingerprintWalker& walker) {
  FingerprintIndex index(walker);
  index.made_ = partition::HugeArray<GlobalNode>(index.offsets_.back());
  index.ends_ = index.made_.span();
  index.fill(walker);
  return index;
}

// Tasks are so many walks, not nodes: a hub's are shared out, and no task needs more memory than another.
void FingerprintIndex::fill(const FingerprintWalker& walker) {
  const auto all = static_cast<std::int64_t>(made_.size());
#pragma omp parallel
  {
    std::vector<FingerprintWalk> walks;
#pragma omp for schedule(dynamic)
    for (std::int64_t first = 0; first < all; first += kWalksPerTask) {
      const auto last = static_cast<std::uint64_t>(std::min(first + kWalksPerTask, all));
      walks.clear();
      auto place = static_cast<std::uint64_t>(first);
      // The node whose walks hold this place: the last one whose first walk is not behind it.
      auto node =
          static_cast<GlobalNode>(std::upper_bound(offsets_.begin(), offsets_.end(), place) - offsets_.begin() - 1);
      for (; place < last; ++place) {
        while (place == offsets_[node + std::size_t{1}]) ++node;
        walks.push_back({node, static_cast<std::uint32_t>(place - offsets_[node])});
      }
      walker.run(walks, made_.span().subspan(static_cast<std::size_t>(first), walks.size()));
    }
  }
}

void FingerprintIndex::write(const std::string& path) const {
  const IndexMeta meta{.version = kIndexVersion,
                       .walks = options_.walks,
                       .seed = options_.seed,
                       .restart = options_.restart,
                       .node_count = node_count_,
                       .walk_count = ends_.size(),
                       .graph_checksum = graph_checksum_};
  const std::array<partition::SectionToWrite, 2> sections = {
      {{"meta", std::as_bytes(std::span(&meta, 1))}, {"ends", std::as_bytes(ends_)}}};
  partition::write_section_file(path, kIndexMagic, sections);
}

FingerprintIndex FingerprintIndex::open(const std::string& path, const FingerprintWalker& walker) {
  std::error_code error;
  if (!std::filesystem::is_regular_file(path, error)) throw InputError(path + ": no such index file");
  FingerprintIndex index(walker);
  index.file_.emplace(path, kIndexMagic);
  const IndexMeta meta = index.file_->array<IndexMeta>("meta", 1).front();
  const auto differs = [&](const char* what, const auto& found, const auto& expected) {
    std::ostringstream text;
    text << path << ": the index was made with " << what << " " << found << ", but " << expected << " is asked for";
    throw InputError(text.str());
  };
  if (meta.version != kIndexVersion) differs("version", meta.version, kIndexVersion);
  if (meta.node_count != index.node_count_ || meta.graph_checksum != index.graph_checksum_) {
    throw InputError(path + ": the index belongs to another graph (" + std::to_string(meta.node_count) +
                     " nodes, checksum " + partition::checksum_text(meta.graph_checksum) + "; this one has " +
                     std::to_string(index.node_count_) + ", checksum " +
                     partition::checksum_text(index.graph_checksum_) + "); make it anew under another name");
  }
  if (meta.restart != index.options_.restart) differs("restart", meta.restart, index.options_.restart);
  if (meta.walks != index.options_.walks) differs("walks", meta.walks, index.options_.walks);
  if (meta.seed != index.options_.seed) differs("seed", meta.seed, index.options_.seed);
  index.file_->verify_checksums();
  index.ends_ = index.file_->array<GlobalNode>("ends", index.offsets_.back());
  std::atomic<bool> bad{false};
  const auto walks = static_cast<std::int64_t>(index.ends_.size());
#pragma omp parallel for
  for (std::int64_t i = 0; i < walks; ++i) {
    if (index.ends_[i] >= index.node_count_ && index.ends_[i] != kReturned) bad = true;
  }
  if (bad) throw InputError(path + ": section ends names nodes that the graph does not have: damaged");
  return index;
}

std::uint64_t graph_checksum(const TransitionGraph& graph) {
  const partition::GraphArrays& arrays = graph.out().arrays();
  const std::array<std::uint64_t, 5> parts = {
      graph.out().summary().directed ? 1U : 0U, partition::block_checksum(std::as_bytes(arrays.offsets)),
      partition::block_checksum(std::as_bytes(arrays.targets)),
      graph.weighted() ? partition::block_checksum(std::as_bytes(arrays.weights)) : 0,
      partition::block_checksum(std::as_bytes(arrays.original))};
  return partition::plain_checksum(std::as_bytes(std::span(parts)));
}

}  // namespace knotwork::embeddings
