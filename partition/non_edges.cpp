#include "partition/non_edges.h"

#include <algorithm>
#include <atomic>
#include <bit>
#include <limits>

#include "partition/errors.h"
#include "partition/random.h"

namespace knotwork::partition {

namespace {

/// The last argument of random_block keeps draws, keys of pairs and keys of edges (0, split.cpp) apart.
constexpr std::uint32_t kDrawStream = 1;
constexpr std::uint32_t kPairKeyStream = 2;
/// Draws for one pair before a graph counts as too dense for degree-matched pairs.
constexpr std::uint32_t kMostDraws = 1U << 15;

/// A set of unordered pairs: open addressing, linear probing, half full at most.
class PairSet {
 public:
  explicit PairSet(std::uint64_t capacity) : slots_(std::bit_ceil(2 * capacity + 1), kFree) {}

  /// Whether the pair is new.
  bool insert(OriginalNode u, OriginalNode v) {
    const std::uint64_t pair = std::uint64_t{std::min(u, v)} << 32 | std::max(u, v);
    const std::uint64_t mask = slots_.size() - 1;
    for (std::uint64_t slot = (pair * 0x9e3779b97f4a7c15U >> 20) & mask;; slot = (slot + 1) & mask) {
      if (slots_[slot] == pair) return false;
      if (slots_[slot] != kFree) continue;
      slots_[slot] = pair;
      return true;
    }
  }

 private:
  /// No pair: both ends would be the same.
  static constexpr std::uint64_t kFree = std::numeric_limits<std::uint64_t>::max();
  std::vector<std::uint64_t> slots_;
};

/// Candidates by number, and whether an edge joins them; all in original nodes, so that numbering has no say.
class PairSource {
 public:
  PairSource(const Graph& whole, NegativeSampling sampling, std::uint64_t seed)
      : graph_(whole), sampling_(sampling), seed_(seed), global_of_(whole.row_count()) {
    for (GlobalNode node = 0; node < whole.row_count(); ++node) global_of_[whole.original(node)] = node;
    if (sampling != NegativeSampling::kDegree) return;
    out_degrees_.assign(global_of_.size(), 0);
    for (std::size_t node = 0; node < global_of_.size(); ++node) out_degrees_[node] = whole.degree(global_of_[node]);
    in_degrees_.assign(global_of_.size(), 0);
    for (const GlobalNode target : whole.arrays().targets) ++in_degrees_[whole.original(target)];
    for (std::vector<std::uint64_t>* degrees : {&out_degrees_, &in_degrees_}) {
      for (std::size_t node = 1; node < degrees->size(); ++node) (*degrees)[node] += (*degrees)[node - 1];
    }
  }

  Edge candidate(std::uint64_t index, std::uint32_t draw) const {
    const RandomBlock block = random_block(seed_, RandomPurpose::kSplit, static_cast<std::uint32_t>(index),
                                           static_cast<std::uint32_t>(index >> 32), draw, kDrawStream);
    if (sampling_ == NegativeSampling::kDegree) {
      return {.source = by_degree(out_degrees_, block[0], block[1]),
              .target = by_degree(in_degrees_, block[2], block[3])};
    }
    const auto nodes = static_cast<std::uint32_t>(global_of_.size());
    const OriginalNode u = bounded(block[0], nodes);
    const OriginalNode v = bounded(block[1], nodes);
    return {.source = std::min(u, v), .target = std::max(u, v)};
  }

  bool joined(OriginalNode u, OriginalNode v) const {
    const GlobalNode first = global_of_[u];
    const GlobalNode second = global_of_[v];
    return graph_.has_arc(first, second) || (graph_.summary().directed && graph_.has_arc(second, first));
  }

  /// The first draw from `draw` on that is no edge; counts `draw` up to it. kMostDraws if there was none.
  Edge next_non_edge(std::uint64_t index, std::uint32_t& draw) const {
    for (; draw < kMostDraws; ++draw) {
      const Edge pair = candidate(index, draw);
      if (pair.source != pair.target && !joined(pair.source, pair.target)) return pair;
    }
    return {};
  }

 private:
  /// A node with probability proportional to its degree, from running sums of degrees.
  static OriginalNode by_degree(const std::vector<std::uint64_t>& sums, std::uint32_t high, std::uint32_t low) {
    const auto wanted = static_cast<std::uint64_t>(unit_double(high, low) * static_cast<double>(sums.back()));
    return static_cast<OriginalNode>(std::upper_bound(sums.begin(), sums.end() - 1, wanted) - sums.begin());
  }

  const Graph& graph_;
  NegativeSampling sampling_;
  std::uint64_t seed_;
  std::vector<GlobalNode> global_of_;
  std::vector<std::uint64_t> out_degrees_;
  std::vector<std::uint64_t> in_degrees_;
};

/// Unordered pairs that at least one arc joins.
std::uint64_t joined_pairs(const Graph& whole) {
  if (!whole.summary().directed) return whole.summary().arc_count / 2;
  std::uint64_t mutual = 0;
#pragma omp parallel for schedule(dynamic, 1024) reduction(+ : mutual)
  for (GlobalNode node = 0; node < whole.row_count(); ++node) {
    for (const GlobalNode target : whole.neighbours(node)) mutual += whole.has_arc(target, node);
  }
  return whole.summary().arc_count - mutual / 2;
}

[[noreturn]] void too_dense(const Graph& whole, std::uint64_t count, std::uint64_t available, const char* kind) {
  throw InputError("the graph is too dense: " + std::to_string(count) + kind +
                   " pairs of nodes without an edge are needed, and of its " +
                   std::to_string(whole.summary().node_count) + " nodes " + std::to_string(available) +
                   " pairs have none");
}

/// All non-edges in a random order, the first `count` of them: for graphs where drawing would hit few.
std::vector<Edge> choose_among_all(const Graph& whole, const PairSource& source, std::uint64_t count,
                                   std::uint64_t available, std::uint64_t seed) {
  struct KeyedPair {
    std::uint64_t key;
    Edge pair;
  };
  std::vector<KeyedPair> all;
  all.reserve(available);
  for (OriginalNode u = 0; u < whole.row_count(); ++u) {
    for (OriginalNode v = u + 1; v < whole.row_count(); ++v) {
      if (source.joined(u, v)) continue;
      const RandomBlock block = random_block(seed, RandomPurpose::kSplit, u, v, 0, kPairKeyStream);
      all.push_back({.key = std::uint64_t{block[0]} << 32 | block[1], .pair = {.source = u, .target = v}});
    }
  }
  // Stable: equal keys stay in the order of nodes.
  std::stable_sort(all.begin(), all.end(), [](const KeyedPair& a, const KeyedPair& b) { return a.key < b.key; });
  std::vector<Edge> chosen;
  for (std::uint64_t i = 0; i < count; ++i) chosen.push_back(all[i].pair);
  return chosen;
}

}  // namespace

std::vector<Edge> draw_non_edges(const Graph& whole, std::uint64_t count, NegativeSampling sampling,
                                 std::uint64_t seed) {
  const std::uint64_t nodes = whole.summary().node_count;
  const std::uint64_t all_pairs = nodes < 2 ? 0 : nodes % 2 == 0 ? nodes / 2 * (nodes - 1) : (nodes - 1) / 2 * nodes;
  const std::uint64_t available = all_pairs - joined_pairs(whole);
  if (count > available) too_dense(whole, count, available, "");
  if (count == 0) return {};
  const PairSource source(whole, sampling, seed);
  if (sampling == NegativeSampling::kUniform && count > available / 4) {
    return choose_among_all(whole, source, count, available, seed);
  }
  std::vector<Edge> pairs(count);
  std::vector<std::uint32_t> draws(count, 0);
  std::atomic<bool> exhausted{false};
#pragma omp parallel for schedule(dynamic, 1024)
  for (std::uint64_t i = 0; i < count; ++i) {
    if (exhausted.load(std::memory_order_relaxed)) continue;
    pairs[i] = source.next_non_edge(i, draws[i]);
    if (draws[i] >= kMostDraws) exhausted.store(true, std::memory_order_relaxed);
  }
  if (exhausted) too_dense(whole, count, available, " degree-matched");
  // Doubles are redrawn in the order of their numbers, whoever made them.
  PairSet seen(count);
  for (std::uint64_t i = 0; i < count; ++i) {
    while (draws[i] < kMostDraws && !seen.insert(pairs[i].source, pairs[i].target)) {
      ++draws[i];
      pairs[i] = source.next_non_edge(i, draws[i]);
    }
    if (draws[i] >= kMostDraws) too_dense(whole, count, available, " degree-matched");
  }
  return pairs;
}

}  // namespace knotwork::partition
