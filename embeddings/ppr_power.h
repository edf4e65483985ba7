// Personalized PageRank of 16 sources at once, by Gauss-Seidel sweeps from below.
//
// pi_s solves pi(v) = alpha [v = s] + (1 - alpha) (sum over u of pi(u) P(u, v) + [v = s] * mass on dangling nodes).
// A sweep replaces every pi(v) by the right-hand side with the values at hand (Gauss-Seidel; for PageRank: Arasu et
// al., "PageRank computation and the structure of the Web", WWW 2002). All terms are positive, so that from zero on
// every value rises towards the exact one and never passes it. Scores add up to 1: the L1 distance to the exact scores
// *is* what the sum still lacks, no estimate. (Forward push knows the same sum as that of its residuals: Andersen,
// Chung, Lang, FOCS 2006; sweeping in order instead of by a queue is PowerPush: Wu, Gan, Wei, Zhang, SIGMOD 2021.)
//
// 16 sources share the sweep: the 16 values of a node are one cache line, so that the gather over neighbours moves
// whole lines and every index is read once for 16 sources. Each source's arithmetic is its own: its scores do not
// depend on which others are in the batch.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "embeddings/ppr_graph.h"
#include "embeddings/ppr_sweep.h"
#include "embeddings/ppr_top.h"
#include "partition/huge_array.h"

namespace knotwork::embeddings {

/// Sources in a batch.
inline constexpr std::size_t kPprLanes = 16;

struct PprPowerOptions {
  /// alpha: the walk's probability of returning to its source before each step; above 0, below 1.
  double restart = 0.15;
  /// Sweeps go on until the L1 distance to the exact scores is at most this.
  double error = 1e-3;
  /// Scores to keep.
  std::size_t top = 100;
};

/// Works on batches of sources: the state of one thread, 64 bytes a node.
class PprPowerSolver {
 public:
  /// `graph` must outlive the solver. Throws partition::InputError if an option is out of range.
  PprPowerSolver(const TransitionGraph& graph, const PprPowerOptions& options);

  /// The results of `sources` (nodes by degree rank; at most kPprLanes, repetitions allowed), in their order.
  std::vector<PprResult> solve(std::span<const GlobalNode> sources);

  /// Sweeps over the whole graph so far.
  std::uint64_t sweeps() const { return sweeps_; }

  /// Score of a node after solve(), for tests: all nodes, not only the best. Lanes that were done early went on.
  double score(std::size_t lane, GlobalNode node) const;

 private:
  void begin(std::span<const GlobalNode> sources);
  void sweep();
  void sum_dangling();
  std::vector<ScoredNode> best_of(std::size_t lane);

  const TransitionGraph& graph_;
  PprPowerOptions options_;
  // values_[node * 16 + lane]: score over strength, which is what neighbours gather.
  partition::HugeArray<float> values_;
  std::vector<GlobalNode> sources_;
  std::vector<PprInjection> injections_;  // by rising node
  std::array<double, kPprLanes> mass_{};
  std::array<double, kPprLanes> dangling_mass_{};
  TopScores best_;
  std::uint64_t sweeps_ = 0;
};

}  // namespace knotwork::embeddings
