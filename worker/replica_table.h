// Replicas: copies of other ranks' rows of one table, in bounded memory.
//
// A replica is a value, which training changes in place, and a base: the value on which this rank and the owner last
// agreed. merge() takes in the owner's fresh value v; take_change() then takes what the owner's row lacks, to be sent
// and added there, and none is lost however late it comes.
//
// What this rank changed meanwhile, b = value - base, and what the others did, a = v - base, are combined by adaptive
// summation (Maleki et al., "Scaling distributed training with adaptive summation", MLSys 2021, eq. 4):
//
//   value = base + (1 - ab / 2aa) a + (1 - ab / 2bb) b
//
// so changes that have nothing to do with each other add up, while of two that say the same, as many steps from one
// stale value do, the row moves by the mean: their sum would overshoot. No part is turned round (weights of at least
// 0), and changes against each other add up, as all do of a replica that few positions have used. Rows that all ranks
// change at once (shared ones) instead send their share of a mean and take in v as it is. Accumulators of row-wise
// AdaGrad are sums, travel as one more column, and add up.
//
// Which replicas stay: those in use (pinned), and of the others those used last, by the second-chance rule (Corbato, "A
// paging experiment with the Multics system", 1968). Hubs, which every batch touches, so stay on every rank; the rest
// come and go with the walks.
#pragma once

#include <cstdint>
#include <limits>
#include <optional>
#include <span>
#include <vector>

#include "embeddings/row_table.h"
#include "embeddings/skipgram.h"
#include "partition/huge_array.h"
#include "partition/ids.h"
#include "ps/table.h"
#include "worker/replica_index.h"

namespace knotwork::worker {

/// Batches of a rank are numbered from 0.
using BatchNumber = std::uint64_t;
inline constexpr BatchNumber kNoBatch = std::numeric_limits<BatchNumber>::max();

/// Changes on their way to their owners: rows.size() rows of the table's wire width, row-major.
struct RowChanges {
  std::vector<ps::RowIndex> rows;
  std::vector<float> values;
  void add(ps::RowIndex row, std::span<const float> change) {
    rows.push_back(row);
    values.insert(values.end(), change.begin(), change.end());
  }
  void clear() {
    rows.clear();
    values.clear();
  }
};

/// What the courier knows of a replica: a cache line.
struct alignas(64) ReplicaState {
  partition::GlobalNode node = 0;
  std::uint32_t pins = 0;
  std::uint32_t pool_pins = 0;     ///< of these, by the pool of negatives
  std::uint32_t touches = 0;       ///< positions of walks that used it since it was last refreshed
  std::uint32_t steps = 0;         ///< positions of walks that used it since it last met the owner's row
  bool present = false;            ///< the slot holds a replica
  bool used = false;               ///< since the clock's hand came by
  bool is_shared = false;          ///< every rank trains a replica of its own, the owner, too
  bool arriving = false;           ///< a pull is under way: value - base must not be taken meanwhile
  BatchNumber valid_at = 0;        ///< the pull that brought it was asked for at this time
  BatchNumber changed_since = 0;   ///< the first batch whose changes were not sent yet; kNoBatch: none
  BatchNumber due_at = 0;          ///< the batch after which they leave, unless they have left before
  BatchNumber seen_by = kNoBatch;  ///< the last batch whose walks asked for it
};

/// Positions of walks after which a row may have moved as far as it would have together with what others did meanwhile:
/// fewer steps are short, and taking means of them would only slow them down.
inline constexpr std::uint32_t kStepsThatOvershoot = 8;

/// How a replica takes in the owner's fresh row.
enum class MergeRule : std::uint8_t { kAddUp, kAdapt };

/// One thread at a time, but values may be trained by others meanwhile, Hogwild style, and merge() and meet() with a
/// rule touch nothing but the row.
class ReplicaTable {
 public:
  /// Room for `capacity` replicas of `dim` columns, mapped but not touched. Throws std::bad_alloc.
  ReplicaTable(std::size_t dim, bool with_accumulators, std::size_t capacity);

  /// What a replica takes, all told.
  static std::size_t bytes_per_replica(std::size_t dim, bool with_accumulators);

  std::size_t capacity() const { return states_.size(); }
  /// Replicas that may not go now.
  std::size_t pinned() const { return pinned_; }
  std::size_t size() const { return index_.size(); }
  /// Replicas that had to go for others so far.
  std::uint64_t evicted() const { return evicted_; }
  /// Floats of a row on the wire: dim, and one for the accumulator.
  std::size_t wire_width() const { return dim_ + (with_accumulators_ ? 1 : 0); }

  std::optional<ReplicaSlot> find(partition::GlobalNode node) const { return index_.find(node); }
  /// Ask for the memory of a lookup that comes soon: the first of them well before the second. Inlined always, since
  /// GCC drops calls of functions that do nothing but prefetch.
  [[gnu::always_inline]] void prefetch_entry(partition::GlobalNode node) const { index_.prefetch(node); }
  [[gnu::always_inline]] void prefetch_state(partition::GlobalNode node) const {
    if (const auto slot = index_.find(node)) __builtin_prefetch(&states_[*slot]);
  }
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
  /// How the replica is to take in the owner's row now: by adaptive summation once kStepsThatOvershoot positions have
  /// used a replica that isn't shared, else by adding up. Counts as done.
  MergeRule next_merge(ReplicaSlot slot);
  /// Takes in the owner's row of wire_width() floats.
  void merge(ReplicaSlot slot, MergeRule rule, std::span<const float> fresh);
  void merge(ReplicaSlot slot, std::span<const float> fresh) { merge(slot, next_merge(slot), fresh); }
  /// merge() and, in the same pass, take_change() of a replica that isn't shared: leaves in `row` what the owner's row
  /// lacks now. Returns whether any of it isn't zero. Who calls it sees to state(slot).changed_since.
  bool meet(ReplicaSlot slot, MergeRule rule, std::span<float> row);

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
  ReplicaIndex index_;
  partition::HugeArray<ReplicaState> states_;
  partition::HugeArray<float> values_;  // capacity * stride
  partition::HugeArray<float> bases_;   // capacity * wire_width
  partition::HugeArray<float> accumulators_;
};

}  // namespace knotwork::worker
