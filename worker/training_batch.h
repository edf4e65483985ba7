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

/// Addresses of rows, and of their accumulators with AdaGrad (else empty).
struct RowPointers {
  std::vector<float*> values;
  std::vector<float*> accumulators;

  void clear() {
    values.clear();
    accumulators.clear();
  }
  void push_back(embeddings::RowPointer row) {
    values.push_back(row.values);
    if (row.accumulator != nullptr) accumulators.push_back(row.accumulator);
  }
  embeddings::RowPointer at(std::size_t i) const {
    return {values[i], accumulators.empty() ? nullptr : accumulators[i]};
  }
  /// Accumulators of positions first .. first + count - 1; empty without AdaGrad.
  std::span<float* const> accumulators_of(std::size_t first, std::size_t count) const {
    return accumulators.empty() ? std::span<float* const>() : std::span(accumulators).subspan(first, count);
  }
};

inline constexpr partition::GlobalNode kNoTarget = std::numeric_limits<partition::GlobalNode>::max();

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
  /// Nodes whose output rows are needed: one a star; for walks one a context, kNoTarget where it isn't a centre.
  std::vector<partition::GlobalNode> targets;
  /// Nodes that take the place of the oldest of the negatives' pool.
  std::vector<partition::GlobalNode> fresh_negatives;
  /// What the training clock counts when the batch has been trained.
  std::uint64_t work = 0;

  // Set by the courier.
  RowPointers context_rows;
  RowPointers target_rows;
  /// Chunks of the pool of negatives, and what keeps them.
  std::vector<std::span<const embeddings::RowPointer>> negatives;
  std::vector<std::shared_ptr<const void>> negatives_owners;

  std::size_t item_count() const { return item_ends.size(); }
  std::size_t item_begin(std::size_t item) const { return item == 0 ? 0 : item_ends[item - 1]; }
  std::size_t item_size(std::size_t item) const { return item_ends[item] - item_begin(item); }
  /// The share of `work` that items first .. last - 1 stand for; shares of all items add up to it.
  std::uint64_t work_of(std::size_t first, std::size_t last) const {
    return work * last / item_count() - work * first / item_count();
  }
};

}  // namespace knotwork::worker
