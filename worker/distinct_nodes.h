// Numbers the distinct nodes of a batch in the order in which they come: a hash table with open addressing and linear
// probing (Knuth, "The Art of Computer Programming" 3, 6.4), at most half full, that is emptied for every batch. A
// batch uses most of its nodes several times; this table stays in the second-level cache, where the table of all
// replicas and what is known of them does not.
#pragma once

#include <algorithm>
#include <bit>
#include <cstdint>
#include <span>
#include <vector>

#include "partition/ids.h"

namespace knotwork::worker {

class DistinctNodes {
 public:
  void clear() {
    std::fill(buckets_.begin(), buckets_.end(), Bucket{});
    nodes_.clear();
  }

  /// By number.
  std::span<const partition::GlobalNode> nodes() const { return nodes_; }

  /// Asks for the memory that number_of() reads. Inlined always, since GCC drops calls of functions that do nothing but
  /// prefetch.
  [[gnu::always_inline]] void prefetch(partition::GlobalNode node) const { __builtin_prefetch(&buckets_[home(node)]); }

  /// The node's number, a new one if it hasn't come before.
  std::uint32_t number_of(partition::GlobalNode node) {
    Bucket& bucket = bucket_of(node);
    if (bucket.node == node) return bucket.number;
    const auto number = static_cast<std::uint32_t>(nodes_.size());
    bucket = {node, number};
    nodes_.push_back(node);
    if (2 * nodes_.size() > buckets_.size()) grow();
    return number;
  }

 private:
  struct Bucket {
    partition::GlobalNode node = partition::kInvalidNode;
    std::uint32_t number = 0;
  };
  static constexpr std::size_t kFewestBuckets = 1024;

  /// Multiplicative hashing by the golden ratio.
  std::size_t home(partition::GlobalNode node) const { return (node * 0x9E3779B97F4A7C15ULL) >> shift_; }

  /// Where the node is or belongs.
  Bucket& bucket_of(partition::GlobalNode node) {
    std::size_t i = home(node);
    while (buckets_[i].node != node && buckets_[i].node != partition::kInvalidNode) i = (i + 1) & (buckets_.size() - 1);
    return buckets_[i];
  }

  void grow() {
    buckets_.assign(2 * buckets_.size(), Bucket{});
    --shift_;
    for (std::uint32_t i = 0; i < nodes_.size(); ++i) bucket_of(nodes_[i]) = {nodes_[i], i};
  }

  std::vector<Bucket> buckets_ = std::vector<Bucket>(kFewestBuckets);  // a power of two
  int shift_ = 64 - std::countr_zero(kFewestBuckets);
  std::vector<partition::GlobalNode> nodes_;
};

}  // namespace knotwork::worker
