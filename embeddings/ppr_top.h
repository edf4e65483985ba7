// The best of many scores, in a total order: the higher score first, then the smaller original node.
#pragma once

#include <algorithm>
#include <cstddef>
#include <vector>

#include "partition/ids.h"

namespace knotwork::embeddings {

struct ScoredNode {
  partition::OriginalNode node;
  float score;
};

inline bool scores_higher(const ScoredNode& a, const ScoredNode& b) {
  return a.score != b.score ? a.score > b.score : a.node < b.node;
}

/// Keeps the best `count` of what is offered, in amortised constant time each: twice as many are collected before the
/// worse half goes. Not thread-safe; reusable.
class TopScores {
 public:
  explicit TopScores(std::size_t count) : count_(count) {}

  /// Whether a node of this score may be among the best. Scores of zero never are: a node that no walk reaches is no
  /// result.
  bool wants(float score) const { return score >= least_ && score > 0; }

  void offer(partition::OriginalNode node, float score) {
    if (!wants(score)) return;
    kept_.push_back({node, score});
    if (kept_.size() >= 2 * count_ + kSlack) prune();
  }

  /// The best, best first; starts anew.
  std::vector<ScoredNode> take() {
    std::ranges::sort(kept_, scores_higher);
    if (kept_.size() > count_) kept_.resize(count_);
    std::vector<ScoredNode> best = kept_;
    kept_.clear();
    least_ = 0;
    return best;
  }

 private:
  static constexpr std::size_t kSlack = 64;

  void prune() {
    if (count_ == 0) return kept_.clear();
    const auto last = kept_.begin() + static_cast<std::ptrdiff_t>(count_ - 1);
    std::ranges::nth_element(kept_, last, scores_higher);
    kept_.resize(count_);
    least_ = kept_.back().score;
  }

  std::size_t count_;
  float least_ = 0;
  std::vector<ScoredNode> kept_;
};

/// What one source's personalized PageRank came to.
struct PprResult {
  /// The best scores, best first.
  std::vector<ScoredNode> top;
  /// The L1 distance of all scores (not only the best) to the exact ones is at most this.
  double l1_bound = 0;
};

}  // namespace knotwork::embeddings
