// Private to the walk engine: what the two kernels (first order, node2vec) read, and their entry points.
//
// Both kernels keep kMaxLanes or fewer walkers in flight. A round takes every lane through the same stages, one loop a
// stage; each stage prefetches what the next one reads, so the cache misses of all lanes overlap.
#pragma once

#include <cstdint>
#include <span>

#include "embeddings/walk.h"
#include "embeddings/walk_random.h"
#include "partition/huge_array.h"

namespace knotwork::embeddings {

/// Set in Walker::trial when `candidate` was accepted by `answer`.
inline constexpr std::uint32_t kCandidateAccepted = std::uint32_t{1} << 31;

/// A probability as the number of 32-bit words that fall under it: word < share.
std::uint64_t share_of_words(double probability);

/// How a trial of node2vec is decided, from p and q alone. A proposal c is accepted with probability alpha(c) /
/// envelope; with w1 the trial's word:
struct AcceptanceRule {
  /// c = previous: accept if w1 < return_share.
  std::uint64_t return_share = 0;
  /// Otherwise: accept below `sure_share`, reject from `open_share` on, and between them ask whether the arc
  /// (previous, c) exists.
  std::uint64_t sure_share = 0;
  std::uint64_t open_share = 0;
  /// Whether "the arc exists" accepts (q >= 1) or rejects (q < 1).
  bool adjacent_accepts = true;
  /// Undirected and unweighted with 1/p above the other weights: the return edge's weight above the envelope is folded
  /// out. A trial returns at once with probability surplus / (degree * envelope + surplus).
  bool folds_return = false;
  double envelope = 1.0;
  double surplus = 0.0;
};

AcceptanceRule acceptance_rule(const WalkOptions& options, const partition::GraphSummary& graph);

struct WalkTables {
  /// See arc_weights.h; empty unless weighted.
  partition::HugeArray<std::uint32_t> cumulative;
  AcceptanceRule rule;
  std::uint64_t restart_share = 0;
  bool second_order = false;
};

/// The graph slice and the tables as raw arrays: what the inner loops touch.
struct WalkArrays {
  const partition::ArcIndex* offsets;
  const GlobalNode* targets;
  const std::uint32_t* cumulative;
  const GlobalNode* degree_rank;  ///< null: identity
  GlobalNode first_node;
  partition::LocalNode row_count;
  bool directed;
  std::uint32_t length;
  std::uint64_t seed;
  std::uint64_t restart_share;
  AcceptanceRule rule;

  bool holds(GlobalNode node) const { return node - first_node < row_count; }
  void prefetch_row(GlobalNode node) const { __builtin_prefetch(offsets + (node - first_node)); }
};

/// The walkers of one call of WalkEngine::advance.
struct WalkerBatch {
  std::span<Walker> walkers;
  std::span<WalkerState> states;
  std::span<GlobalNode> paths;
  std::uint32_t stride;
};

void advance_uniform(const WalkArrays& arrays, const WalkerBatch& batch);
void advance_weighted(const WalkArrays& arrays, const WalkerBatch& batch);
void advance_node2vec(const WalkArrays& arrays, const WalkerBatch& batch);
void advance_weighted_node2vec(const WalkArrays& arrays, const WalkerBatch& batch);

}  // namespace knotwork::embeddings
