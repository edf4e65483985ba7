// The rows of one table that a batch of deterministic training uses: read as they were before the batch, on whatever
// rank they lie, and changed once, by their owner, by the exact sum of what all units of all ranks change.
//
// A batch goes: begin, slot_of for every row, fetch, add from many threads, send_sums, apply, and then a barrier, since
// no rank may fetch for the next batch before all owners have applied this one. That no owner applies before all ranks
// have fetched is seen to by send_sums, which waits for all ranks.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "cluster/communicator.h"
#include "partition/ids.h"
#include "ps/client.h"
#include "ps/table.h"
#include "worker/frozen_rows.h"
#include "worker/row_courier.h"
#include "worker/row_sums.h"

namespace knotwork::worker {

class BatchRows {
 public:
  /// A row's place in the batch.
  using Slot = std::uint32_t;
  static constexpr Slot kNoSlot = 0xffffffffU;

  /// `own`: this rank's rows of table `index`. Arguments must outlive the object. `full`: see sum_scale.
  BatchRows(cluster::Communicator& communicator, ps::Client& client, ps::TableIndex index, ps::Table& own,
            std::uint32_t full);

  std::size_t dim() const { return own_.dim(); }
  bool has_accumulators() const { return has_accumulators_; }

  /// Forgets the rows of the batch before.
  void begin();
  /// The row's place, made if it has none. One thread.
  Slot slot_of(partition::GlobalNode node);
  /// Reads the rows of other ranks.
  void fetch();

  /// The row as it was before the batch: dim() floats, not aligned. Any thread.
  const float* values(Slot slot) const;
  float accumulator(Slot slot) const;
  /// Asks for its memory.
  void prefetch(Slot slot) const;
  RowSums& sums() { return sums_; }

  /// Collective. Brings the sums of all ranks to the rows' owners.
  void send_sums();
  /// Changes this rank's rows, with `threads` threads. `frozen`: told before each of them, unless it is null.
  void apply(unsigned threads, FrozenRows* frozen = nullptr);

  const RowTraffic& traffic() const { return traffic_; }

 private:
  struct Row {
    partition::GlobalNode node;
    std::uint32_t fetched;  // place among fetched rows, or kNoSlot for own ones
  };

  cluster::Communicator& communicator_;
  ps::Client& client_;
  ps::TableIndex index_;
  ps::Table& own_;
  std::uint32_t full_;
  bool has_accumulators_;
  std::size_t width_;        // floats of a row as it travels
  std::vector<Slot> slots_;  // by global node
  std::vector<Row> rows_;    // by slot
  std::vector<ps::RowIndex> fetched_rows_;
  std::vector<float> fetched_;
  RowSums sums_;
  RowTraffic traffic_;
};

}  // namespace knotwork::worker
