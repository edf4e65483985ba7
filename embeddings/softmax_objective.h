// Steps of sampled softmax: some users with all their items, against the items of all of them and a sample of the rest.
//
// An epoch takes all users once, in a random order, `batch` at a time. Candidates of a step are the items of its users
// ("in-batch") and every other item with probability `sample`. An item of degree a that a user of the batch has not is
// a candidate with probability q = 1 - (1 - sample) * P(none of a out of the users - 1 others is in the batch), and its
// weight in softmax_loss.h is a^popularity / q: the sum over the candidates estimates that over all items, each
// weighted by its popularity.
//
// Why popularity: with negatives in proportion to their degree, as in-batch negatives without a correction are, cosines
// learn how much more often than by chance a user takes an item, and the lengths of F, which propagation makes longer
// for nodes with many neighbours, bring popularity back when items are ranked by inner products. An exponent of one
// half leaves a part of it to the cosines, so lengths must bring back a part only: they are taken to a power below one.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "embeddings/crew.h"
#include "embeddings/ranking_objective.h"
#include "embeddings/softmax_loss.h"

namespace knotwork::embeddings {

struct SoftmaxOptions {
  /// Users of a step.
  std::uint32_t batch = 1024;
  float temperature = 0.1F;
  /// Share of the items out of the batch that are candidates.
  double sample = 0.1;
  double popularity = 0.5;
  /// What ranks are inner products with items whose lengths in F are taken to this power (LightGcn::ranking_rows()).
  float item_lengths = 0.5F;
  std::uint64_t seed = 1;
};

class SoftmaxObjective final : public RankingObjective {
 public:
  /// `graph` and `crew` must outlive this. Collective. Throws std::bad_alloc; partition::InputError if there is no
  /// pair.
  SoftmaxObjective(const UserItemGraph& graph, std::size_t stride, const SoftmaxOptions& options, Crew& crew);

  std::uint32_t steps() const override;
  void begin_epoch(std::uint32_t epoch) override;
  StepLoss step(std::uint32_t step, std::span<const float> final_rows, std::span<float> gradient) override;

 private:
  void choose_candidates(std::uint32_t step);
  void count_misses();
  void list_positives();
  void gather(std::span<const float> final_rows);
  double differentiate();
  void scatter(std::span<float> gradient);

  const UserItemGraph& graph_;
  std::size_t stride_;
  SoftmaxOptions options_;
  Crew& crew_;
  std::uint32_t epoch_ = 0;
  /// Users with an item, in the order of the epoch.
  std::vector<partition::GlobalNode> order_;

  // The step's batch; the same on all of the crew.
  std::span<const partition::GlobalNode> users_;
  std::vector<partition::GlobalNode> candidates_;
  std::vector<float> weights_;
  std::vector<std::uint32_t> offsets_;
  std::vector<std::uint32_t> slots_;
  /// By degree: that none of so many others is in the batch.
  std::vector<double> misses_;
  /// Place among the candidates by global node.
  std::vector<std::uint32_t> slot_of_;

  std::vector<SoftmaxScratch> scratch_;  // One a thread.

  // Shared by the crew. Users are summed in so many groups, each in order, and groups in order: how many work on them
  // makes no difference.
  std::size_t groups_;
  std::span<float> user_rows_;
  std::span<float> user_gradients_;
  std::span<float> user_lengths_;
  std::span<float> candidate_rows_;
  std::span<float> candidate_lengths_;
  std::span<float> panel_memory_;
  std::span<float> group_gradients_;
  std::span<double> group_losses_;
};

}  // namespace knotwork::embeddings
