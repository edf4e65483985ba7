// LightGCN: vectors of users and items whose inner products rank items for users.
//
// Trained are the rows of layer 0, E; what ranks is F = P E, the mean of E and its K passes over the user-item graph
// (layer_mean.h), items at lengths that suit the loss. A step: F = P E, the gradient of a loss by F
// (ranking_objective.h), the gradient by E = P times that, since P is symmetric, and Adam (Kingma and Ba, ICLR 2015,
// algorithm 1) on all of E.
//
// Random numbers are functions of (seed, purpose, original node, epoch, step) and sums have a fixed order: the result
// is the same bytes for any crew.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

#include "embeddings/bpr_objective.h"
#include "embeddings/crew.h"
#include "embeddings/layer_mean.h"
#include "embeddings/ranking_objective.h"
#include "embeddings/softmax_objective.h"

namespace knotwork::embeddings {

enum class RankingLoss : std::uint8_t { kSoftmax, kBpr };

struct LightGcnOptions {
  std::uint32_t dim = 64;
  /// K.
  std::uint32_t layers = 3;
  RankingLoss loss = RankingLoss::kSoftmax;
  /// The learning rate falls linearly over these.
  std::uint32_t epochs = 40;
  float learning_rate = 0.02F;
  float min_learning_rate = 0;
  /// Users of a step (softmax), or draws (BPR).
  std::uint32_t batch = 1024;
  SoftmaxOptions softmax;
  BprOptions bpr;
  bool weighted = false;
  std::uint64_t seed = 1;
};

/// What an epoch did.
struct LightGcnEpoch {
  /// Mean over its pairs.
  double loss = 0;
  std::uint64_t pairs = 0;
};

/// A model in training. Everything is collective over the crew; one thread of each calls.
class LightGcn {
 public:
  /// `graph` and `crew` must outlive this. Throws partition::InputError (nothing to learn from; weights that can't be
  /// summed), std::bad_alloc.
  LightGcn(const UserItemGraph& graph, const LightGcnOptions& options, Crew& crew);

  /// The next epoch begins.
  void begin_epoch();
  std::uint32_t steps() const { return objective_->steps(); }
  /// The next step of the epoch.
  StepLoss step();
  /// A whole epoch.
  LightGcnEpoch train_epoch();

  std::size_t stride() const { return stride_; }
  /// F by global node, `stride()` floats apart; columns from `dim` on are zero. After the softmax, which learns
  /// cosines, each item's row has its length to the power SoftmaxOptions::item_lengths. Valid until the next step.
  std::span<const float> ranking_rows();
  /// E, of the same form. Whoever writes it must own the row in the crew's share of rows.
  std::span<float> layer_zero() { return rows_; }
  /// Adam's moments of E, likewise.
  std::span<float> first_moments() { return first_moments_; }
  std::span<float> second_moments() { return second_moments_; }
  /// E and its moments were put back to where they stood when `epochs` epochs, and `steps` of the next one, were done:
  /// goes on from there. With steps behind it, that epoch has begun. REQUIRES: steps < this->steps().
  void go_on_at(std::uint32_t epochs, std::uint32_t steps);

  /// Bytes that a training of so many users and items takes at least.
  static std::uint64_t least_memory(std::uint64_t users, std::uint64_t items, std::uint32_t dim);

 private:
  void initialise();
  void descend(float learning_rate);
  void scale_items();

  const UserItemGraph& graph_;
  LightGcnOptions options_;
  Crew& crew_;
  std::size_t stride_;
  LayerMean mean_;
  std::unique_ptr<RankingObjective> objective_;
  std::span<float> rows_;           // E
  std::span<float> first_moments_;  // Adam's
  std::span<float> second_moments_;
  std::span<float> final_;     // F; once the loss is taken, its gradient by E
  std::span<float> gradient_;  // by F; zero between two steps
  std::uint32_t epoch_ = 0;
  std::uint32_t step_ = 0;
  std::uint64_t steps_done_ = 0;
};

}  // namespace knotwork::embeddings
