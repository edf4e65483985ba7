// A unit of deterministic training (a walk, a star) trains on copies of its own, so that it sees neither other threads'
// changes nor, within a batch, those of other units; what it changed is then added to the batch's sums.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "embeddings/row_table.h"
#include "embeddings/skipgram.h"
#include "worker/batch_rows.h"

namespace knotwork::worker {

/// The copies of one thread.
class PrivateRows {
 public:
  /// Room for `most_rows` rows of `dim` columns.
  PrivateRows(std::size_t most_rows, std::size_t dim, bool has_accumulators);

  /// Forgets all copies.
  void begin();
  /// The copy of a row, made when it is first asked for: the same row has the same address until begin(). REQUIRES a
  /// table of the dim given, at most most_rows different rows, and at most 2^31 slots.
  embeddings::RowPointer copy(BatchRows& table, BatchRows::Slot slot);
  /// Adds what has changed to the tables' sums.
  void deliver();

 private:
  struct alignas(64) CacheLine {
    float values[16];
  };
  struct Copied {
    BatchRows* table;
    BatchRows::Slot slot;
  };

  float* row(std::size_t place) { return memory_.data()->values + place * stride_; }

  std::size_t dim_;
  std::size_t stride_;
  std::vector<CacheLine> memory_;
  std::vector<float> accumulators_;
  std::vector<Copied> copies_;
  std::vector<std::uint32_t> places_;  // hash table by (table, slot): place + 1, or 0
};

}  // namespace knotwork::worker
