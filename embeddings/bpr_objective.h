// Bayesian personalised ranking: an item that a user has should score above one that the user has not.
//
//   loss  =  mean over (u, i, j) of  -log sigmoid(F_u . F_i - F_u . F_j)  +  penalty / 2 * (|E_u|^2 + |E_i|^2 +
//   |E_j|^2)
//
// Rendle, Freudenthaler, Gantner, Schmidt-Thieme: "BPR: Bayesian personalized ranking from implicit feedback", UAI
// 2009; as LightGCN's paper uses it (SIGIR 2020, equation 15; the penalty is on layer 0 of the rows of the batch).
// Draws are those of the authors' programs: a user uniformly, one of the user's items uniformly, an item that the user
// has not uniformly; as many draws an epoch as there are pairs.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "embeddings/crew.h"
#include "embeddings/ranking_objective.h"

namespace knotwork::embeddings {

struct BprOptions {
  /// Draws of a step.
  std::uint32_t batch = 2048;
  float penalty = 1e-4F;
  std::uint64_t seed = 1;
};

/// Global nodes.
struct BprTriple {
  partition::GlobalNode user;
  partition::GlobalNode item;
  partition::GlobalNode other;
};

/// The loss of one triple and its gradients times `scale`, added to the rows of `gradient`.
double add_bpr_gradient(const BprTriple& triple, std::span<const float> rows, std::size_t stride, float scale,
                        std::span<float> gradient);

class BprObjective final : public RankingObjective {
 public:
  /// `graph` and `crew` must outlive this. Throws partition::InputError if no user has an item, or each has all.
  BprObjective(const UserItemGraph& graph, std::size_t stride, const BprOptions& options, Crew& crew);

  std::uint32_t steps() const override;
  void begin_epoch(std::uint32_t epoch) override { epoch_ = epoch; }
  StepLoss step(std::uint32_t step, std::span<const float> final_rows, std::span<float> gradient) override;
  std::span<const float> penalties() const override { return penalties_; }

  /// Draw number `draw` of an epoch: a function of (seed, epoch, draw).
  BprTriple draw(std::uint32_t epoch, std::uint64_t draw) const;

 private:
  const UserItemGraph& graph_;
  std::size_t stride_;
  BprOptions options_;
  Crew& crew_;
  /// Users with an item, and without some, in the order of original nodes.
  std::vector<partition::GlobalNode> users_;
  std::uint32_t epoch_ = 0;
  std::vector<BprTriple> triples_;  // Of the last step.
  std::vector<float> penalties_;
};

}  // namespace knotwork::embeddings
