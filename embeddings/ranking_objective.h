// What LightGCN learns from: a loss over steps of interactions, and its gradient by the final rows F.
//
// Two of them: sampled softmax (softmax_objective.h) and BPR (bpr_objective.h).
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "partition/graph.h"
#include "partition/ids.h"

namespace knotwork::embeddings {

/// A whole graph of users and items, by global node. Users are the original nodes below `user_count`. Immutable.
class UserItemGraph {
 public:
  UserItemGraph(partition::Graph graph, partition::OriginalNode user_count)
      : graph_(std::move(graph)), user_count_(user_count), global_(graph_.row_count()) {
    for (partition::GlobalNode node = 0; node < graph_.row_count(); ++node) global_[graph_.original(node)] = node;
  }

  const partition::Graph& graph() const { return graph_; }
  partition::OriginalNode user_count() const { return user_count_; }
  partition::OriginalNode item_count() const { return graph_.row_count() - user_count_; }
  bool is_user(partition::GlobalNode node) const { return graph_.original(node) < user_count_; }
  partition::GlobalNode user(partition::OriginalNode number) const { return global_[number]; }
  partition::GlobalNode item(partition::OriginalNode number) const { return global_[user_count_ + number]; }
  partition::GlobalNode global(partition::OriginalNode original) const { return global_[original]; }
  /// Edges: user-item pairs.
  std::uint64_t pair_count() const { return graph_.summary().edge_count(); }

 private:
  partition::Graph graph_;
  partition::OriginalNode user_count_;
  std::vector<partition::GlobalNode> global_;
};

/// Of one step.
struct StepLoss {
  /// Sum over the pairs.
  double sum = 0;
  std::uint64_t pairs = 0;
};

/// Collective throughout: all of a crew call the same with the same arguments. Rows and gradients are tables by global
/// node, `stride` floats a row.
class RankingObjective {
 public:
  RankingObjective() = default;
  RankingObjective(const RankingObjective&) = delete;
  RankingObjective& operator=(const RankingObjective&) = delete;
  virtual ~RankingObjective() = default;

  /// Of an epoch.
  virtual std::uint32_t steps() const = 0;
  virtual void begin_epoch(std::uint32_t epoch) = 0;
  /// Writes the gradient of the step's mean loss by F into `gradient`, which is zero before. Only own rows of the crew
  /// are complete when it returns; wait_for_all() comes before anyone reads others'.
  virtual StepLoss step(std::uint32_t step, std::span<const float> final_rows, std::span<float> gradient) = 0;
  /// Factor of each row of E in the gradient of the penalty, of the last step; empty: none.
  virtual std::span<const float> penalties() const { return {}; }
};

}  // namespace knotwork::embeddings
