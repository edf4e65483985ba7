// Replicas: copies of other ranks' rows of one table, in bounded memory.
//
// A replica is a value, which training changes in place, and a base: the value on which this rank and the owner last
// agreed. take_change() takes value - base, to be sent to the owner, who adds it up; merge() takes in the owner's fresh
// value v by value += v - base, base = v. So changes of all ranks add up, and none is lost however late it comes.
// The change can be weighted: of rows that all ranks change at once, each rank sends its share of a mean.
// Accumulators of row-wise AdaGrad are sums, too, and travel as one more column.
//
// Which replicas stay: those in use (pinned), and of the others those used last, by the second-chance rule (Corbato, "A
// paging experiment with the Multics system", 1968). Hubs, which every batch touches, so stay on every rank; the rest
// come and go with the walks.
#pragma once

#include <cstdint>
#include <limits>
#include <optional>
#include <span>
#include <tsl/robin_map.h>
#include <vector>

#include "embeddings/row_table.h"
#include "embeddings/skipgram.h"
#include "partition/huge_array.h"
#include "partition/ids.h"
#include "ps/table.h"

namespace knotwork::worker {

/// Batches of a rank are numbered from 0.
using BatchNumber = std::uint64_t;
inline constexpr BatchNumber kNoBatch = std::numeric_limits<BatchNumber>::max();

/// A replica's place in its table; stays while the replica is pinned.
using ReplicaSlot = std::uint32_t;

/// Changes on their way to their owners: rows.size() rows of the table's wire width, row-major.
struct RowChanges {
  std::vector<ps::RowIndex> rows;
  std::vector<float> values;
  void clear() {
    rows.clear();
    values.clear();
  }
};

/// What the courier knows of a replica.
struct ReplicaState {
  partition::GlobalNode node = 0;
  std::uint32_t pins = 0;
  std::uint32_t pool_pins = 0;     ///< of these, by the pool of negatives
  std::uint32_t touches = 0;       ///< positions of walks that used it since it was last refreshed
  bool present = false;            ///< the slot holds a replica
  bool used = false;               ///< since the clock's hand came by
  bool is_shared = false;          ///< every rank trains a replica of its own, the owner, too
  bool arriving = false;           ///< a pull is under way: value - base must not be taken meanwhile
  BatchNumber valid_at = 0;        ///< the pull that brought it was asked for at this time
  BatchNumber changed_since = 0;   ///< the first batch whose changes were not sent yet; kNoBatch: none
  BatchNumber due_at = 0;          ///< the batch after which they leave, unless they have left before
  BatchNumber seen_by = kNoBatch;  ///< the last batch whose walks asked for it
};

/// One thread at a time, but values may be trained by others meanwhile, Hogwild style.
class ReplicaTable {
 public:
  /// Room for `capacity` replicas of `dim` columns, mapped but not touched. Throws std::bad_alloc.
  ReplicaTable(std::size_t dim, bool with_accumulators, std::size_t capacity);

  /// What a replica takes, all told.
  static std::size_t bytes_per_replica(std::size_t dim, bool with_accumulators);

  std::size_t capacity() const { return states_.size(); }
  /// Replicas that may not go now.
  std::size_t pinned() const { return pinned_; }
  std::size_t size() const { return slot_of_.size(); }
  /// Replicas that had to go for others so far.
  std::uint64_t evicted() const { return evicted_; }
  /// Floats of a row on the wire: dim, and one for the accumulator.
  std::size_t wire_width() const { return dim_ + (with_accumulators_ ? 1 : 0); }

  std::optional<ReplicaSlot> find(partition::GlobalNode node) const;
  /// A zero row for a node that has no replica yet; merge() will fill it. A replica that has to go for it leaves its
  /// change in `evicted`. REQUIRES pinned() < capacity().
  ReplicaSlot claim(partition::GlobalNode node, RowChanges& evicted);

  ReplicaState& state(ReplicaSlot slot) { return states_[slot]; }
  void pin(ReplicaSlot slot);
  void unpin(ReplicaSlot slot);

  embeddings::RowPointer row(ReplicaSlot slot) {
    return {values_.data() + slot * stride_, with_accumulators_ ? accumulators_.data() + slot : nullptr};
  }
  /// Appends value - base to `changes`, unless all of it is zero, and counts it as sent; of a shared replica only
  /// shared_weight of it.
  void take_change(ReplicaSlot slot, RowChanges& changes);
  void set_shared_weight(float weight) { shared_weight_ = weight; }
  /// Takes in the owner's row of wire_width() floats.
  void merge(ReplicaSlot slot, std::span<const float> fresh);

 private:
  ReplicaSlot free_slot(RowChanges& evicted);

  std::size_t dim_;
  bool with_accumulators_;
  std::size_t stride_;
  float shared_weight_ = 1;
  std::size_t pinned_ = 0;
  std::size_t never_used_ = 0;  // slots from here on were never taken
  std::size_t hand_ = 0;
  std::uint64_t evicted_ = 0;
  tsl::robin_map<partition::GlobalNode, ReplicaSlot> slot_of_;
  std::vector<ReplicaState> states_;
  partition::HugeArray<float> values_;  // capacity * stride
  partition::HugeArray<float> bases_;   // capacity * wire_width
  partition::HugeArray<float> accumulators_;
};

}  // namespace knotwork::worker
