// The unit in which ranks that train together work: some walks (or stars) of this rank, the nodes whose rows they need,
// and, once the courier has seen to it, where these rows lie.
#pragma once

#include <cstdint>
#include <limits>
#include <memory>
#include <span>
#include <vector>

#include "embeddings/skipgram.h"
#include "worker/replica_table.h"

namespace knotwork::worker {

/// The number of a node whose row is trained in place.
inline constexpr std::uint32_t kInPlace = std::numeric_limits<std::uint32_t>::max();

/// Where one table's rows of a batch's nodes lie.
struct RowPlaces {
  embeddings::DenseRows own;  ///< none of a rank without rows
  bool with_accumulators = false;
  std::vector<embeddings::RowPointer> replicas;  ///< by the batch's numbers

  embeddings::RowPointer row(partition::GlobalNode node, std::uint32_t number) const {
    if (number != kInPlace) return replicas[number];
    return {own.row(node), with_accumulators ? own.accumulator(node) : nullptr};
  }
};

/// What a courier keeps with a batch.
struct CourierNotes {
  CourierNotes() = default;
  CourierNotes(const CourierNotes&) = delete;
  CourierNotes& operator=(const CourierNotes&) = delete;
  virtual ~CourierNotes() = default;
};

struct TrainingBatch {
  BatchNumber number = 0;

  /// Item i, a stretch of a walk or a star, has contexts item_ends[i - 1] .. item_ends[i] - 1.
  std::vector<std::uint32_t> item_ends;
  /// Walks only: whose stretches they are.
  std::vector<embeddings::WalkKey> keys;
  std::vector<embeddings::WalkStretch> stretches;
  /// Stars only: the first one's number.
  std::uint64_t first_star = 0;

  /// Nodes whose input rows are needed, position by position.
  std::vector<partition::GlobalNode> contexts;
  /// Stars only, whose nodes' output rows are needed: one a star. Of walks, each position that is a centre of its
  /// stretch needs its own.
  std::vector<partition::GlobalNode> targets;
  /// Nodes that take the place of the oldest of the negatives' pool.
  std::vector<partition::GlobalNode> fresh_negatives;
  /// What the training clock counts when the batch has been trained.
  std::uint64_t work = 0;

  // Set by the courier.
  std::unique_ptr<CourierNotes> notes;
  /// Of each position of contexts, and of targets: the number of its node among those with replicas, or kInPlace.
  std::vector<std::uint32_t> context_numbers;
  std::vector<std::uint32_t> target_numbers;
  RowPlaces context_rows;
  RowPlaces target_rows;
  /// Chunks of the pool of negatives, and what keeps them.
  std::vector<std::span<const embeddings::RowPointer>> negatives;
  std::vector<std::shared_ptr<const void>> negatives_owners;

  std::size_t item_count() const { return item_ends.size(); }
  std::size_t item_begin(std::size_t item) const { return item == 0 ? 0 : item_ends[item - 1]; }
  std::size_t item_size(std::size_t item) const { return item_ends[item] - item_begin(item); }
  bool is_of_walks() const { return !stretches.empty(); }
  embeddings::RowPointer context_row(std::size_t i) const { return context_rows.row(contexts[i], context_numbers[i]); }
  embeddings::RowPointer target_row(std::size_t i) const { return target_rows.row(targets[i], target_numbers[i]); }
  /// The output row of a position of a walk; any if it isn't a centre.
  embeddings::RowPointer centre_row(std::size_t i) const { return target_rows.row(contexts[i], context_numbers[i]); }
  /// The share of `work` that items first .. last - 1 stand for; shares of all items add up to it.
  std::uint64_t work_of(std::size_t first, std::size_t last) const {
    return work * last / item_count() - work * first / item_count();
  }
};

}  // namespace knotwork::worker
