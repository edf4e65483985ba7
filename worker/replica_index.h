// Which replica a node has: an open-addressing hash table with linear probing and backward-shift deletion (Knuth, "The
// Art of Computer Programming" 3, 6.4, algorithm R), at most half full. Its two prefetches hide what a lookup waits
// for: a batch looks up tens of thousands of nodes whose buckets, and whose replicas' states, no cache holds.
#pragma once

#include <algorithm>
#include <bit>
#include <cstdint>
#include <optional>

#include "partition/huge_array.h"
#include "partition/ids.h"

namespace knotwork::worker {

/// A replica's place in its table; stays while the replica is pinned.
using ReplicaSlot = std::uint32_t;

class ReplicaIndex {
 public:
  /// Room for `capacity` nodes.
  explicit ReplicaIndex(std::size_t capacity)
      : buckets_(std::bit_ceil(2 * capacity + 2)),
        shift_(64U - static_cast<unsigned>(std::bit_width(buckets_.size() - 1))) {
    std::fill(buckets_.begin(), buckets_.end(), Bucket{});
  }

  /// What an entry takes, at most.
  static constexpr std::size_t bytes_per_entry() { return 4 * sizeof(Bucket); }

  std::size_t size() const { return size_; }

  [[gnu::always_inline]] std::optional<ReplicaSlot> find(partition::GlobalNode node) const {
    for (std::size_t i = home(node);; i = next(i)) {
      if (buckets_[i].node == node) return buckets_[i].slot;
      if (buckets_[i].node == partition::kInvalidNode) return std::nullopt;
    }
  }

  /// Asks for the memory that find() reads.
  [[gnu::always_inline]] void prefetch(partition::GlobalNode node) const { __builtin_prefetch(&buckets_[home(node)]); }

  /// REQUIRES: the node isn't in yet, and fewer than `capacity` others are.
  void insert(partition::GlobalNode node, ReplicaSlot slot) {
    std::size_t i = home(node);
    while (buckets_[i].node != partition::kInvalidNode) i = next(i);
    buckets_[i] = {node, slot};
    ++size_;
  }

  /// REQUIRES: the node is in.
  void erase(partition::GlobalNode node) {
    std::size_t hole = home(node);
    while (buckets_[hole].node != node) hole = next(hole);
    // What was pushed past the hole moves up, so that probing never meets a gap before it.
    for (std::size_t i = next(hole); buckets_[i].node != partition::kInvalidNode; i = next(i)) {
      if (distance(home(buckets_[i].node), i) < distance(hole, i)) continue;
      buckets_[hole] = buckets_[i];
      hole = i;
    }
    buckets_[hole] = {};
    --size_;
  }

 private:
  struct Bucket {
    partition::GlobalNode node = partition::kInvalidNode;
    ReplicaSlot slot = 0;
  };

  /// Multiplicative hashing by the golden ratio (Knuth, 6.4): neighbours in a part are neighbours in number.
  std::size_t home(partition::GlobalNode node) const {
    return static_cast<std::size_t>((node * 0x9E3779B97F4A7C15ULL) >> shift_);
  }
  std::size_t next(std::size_t i) const { return (i + 1) & (buckets_.size() - 1); }
  std::size_t distance(std::size_t from, std::size_t to) const { return (to - from) & (buckets_.size() - 1); }

  partition::HugeArray<Bucket> buckets_;  // a power of two of them
  unsigned shift_;
  std::size_t size_ = 0;
};

}  // namespace knotwork::worker
