// Arcs parted by ranges of rows, so that what follows (placing them into rows, sorting) stays in a core's cache.
//
// Each writer appends to blocks of its own, one open block a bucket; nothing is counted before. A radix partition:
// Satish et al., "Fast sort on CPUs and GPUs", 2010. Blocks of neighbouring buckets lie together, so that buckets that
// have been used give their memory back while others wait.
#pragma once

#include <algorithm>
#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <span>
#include <vector>

#include "partition/huge_array.h"
#include "partition/ids.h"

namespace knotwork::partition {

struct PlainArc {
  std::uint32_t row;
  std::uint32_t target;
};

struct WeightedArc {
  std::uint32_t row;
  std::uint32_t target;
  float weight;
};

/// Cuts the rows 0 .. row_count - 1 into ranges, the buckets, which expect about equally many arcs.
class RowBuckets {
 public:
  /// `expected_arcs[r]`: about how many arcs row r will get. A bucket expects `arcs_per_bucket` unless a few long rows
  /// make it more, or a limit on the number of buckets does.
  RowBuckets(std::span<const std::uint32_t> expected_arcs, std::uint64_t arcs_per_bucket);

  std::size_t count() const { return first_rows_.size() - 1; }
  std::size_t bucket_of(std::uint32_t row) const { return bucket_of_unit_[row >> unit_shift_]; }
  std::uint32_t first_row(std::size_t bucket) const { return first_rows_[bucket]; }
  std::uint32_t last_row(std::size_t bucket) const { return first_rows_[bucket + 1]; }

 private:
  int unit_shift_ = 0;
  /// Rows go into buckets in units of 2^unit_shift_, so that this table stays in the first-level cache.
  std::vector<std::uint16_t> bucket_of_unit_;
  std::vector<std::uint32_t> first_rows_;
};

/// Blocks of arcs for all writers, in slabs that each belong to one group of neighbouring buckets.
template <typename ArcType>
class ArcBlocks {
 public:
  static constexpr std::size_t kMostBlockArcs = 512;

  /// `block_arcs`: a power of two, kMostBlockArcs at most.
  ArcBlocks(std::size_t bucket_count, std::size_t group_count, std::size_t block_arcs, std::uint64_t expected_arcs)
      : bucket_count_(bucket_count),
        block_arcs_(block_arcs),
        slab_arcs_(slab_size(expected_arcs / group_count, block_arcs)),
        groups_(group_count) {
    for (std::size_t bucket = 0; bucket < bucket_count; ++bucket) ++group_of(bucket).buckets_in_use;
  }

  std::size_t block_arcs() const { return block_arcs_; }

  /// A fresh block for a bucket. Any thread may call it. Throws std::bad_alloc.
  ArcType* take(std::size_t bucket) {
    Group& group = group_of(bucket);
    const std::lock_guard lock(group.mutex);
    if (group.slabs.empty() || group.used == slab_arcs_) {
      group.slabs.emplace_back(slab_arcs_);
      group.used = 0;
    }
    ArcType* const block = group.slabs.back().data() + group.used;
    group.used += block_arcs_;
    return block;
  }

  /// The bucket's blocks are not used any more. Any thread may call it, once for a bucket.
  void release(std::size_t bucket) {
    Group& group = group_of(bucket);
    if (--group.buckets_in_use == 0) group.slabs.clear();
  }

 private:
  struct Group {
    std::mutex mutex;
    std::vector<HugeArray<ArcType>> slabs;
    std::size_t used = 0;
    std::atomic<std::size_t> buckets_in_use{0};
  };

  Group& group_of(std::size_t bucket) { return groups_[bucket * groups_.size() / bucket_count_]; }

  // A group's last slab is half empty in the mean: one huge page where that wastes at most 1/8, else less than half of
  // one, which is made of small pages.
  static std::size_t slab_size(std::uint64_t group_arcs, std::size_t block_arcs) {
    constexpr std::size_t kHugeSlabArcs = (std::size_t{2} << 20) / sizeof(ArcType) / kMostBlockArcs * kMostBlockArcs;
    constexpr std::size_t kMostSmallSlabArcs = std::size_t{1} << 15;
    if (group_arcs >= 4 * kHugeSlabArcs) return kHugeSlabArcs;
    return std::clamp(std::bit_floor(static_cast<std::size_t>(group_arcs / 8)), block_arcs, kMostSmallSlabArcs);
  }

  std::size_t bucket_count_;
  std::size_t block_arcs_;
  std::size_t slab_arcs_;
  std::vector<Group> groups_;
};

/// What the arcs of all writers are kept in. ArcType: PlainArc or WeightedArc.
template <typename ArcType>
class ArcBuckets {
 public:
  /// `expected_arcs`: about how many there will be; it sets the size of blocks.
  ArcBuckets(std::size_t bucket_count, unsigned writer_count, std::uint64_t expected_arcs)
      : blocks_(bucket_count, std::min<std::size_t>(bucket_count, std::size_t{kGroupsPerThread} * writer_count),
                block_size(bucket_count * writer_count, expected_arcs), expected_arcs) {
    for (unsigned w = 0; w < writer_count; ++w) writers_.push_back(Writer(bucket_count, blocks_));
  }
  ArcBuckets(const ArcBuckets&) = delete;
  ArcBuckets& operator=(const ArcBuckets&) = delete;

  /// A thread's way to append arcs.
  class Writer {
   public:
    /// Throws std::bad_alloc.
    void push(std::size_t bucket, const ArcType& arc) {
      Open& open = open_[bucket];
      if (open.next == open.end) renew(bucket);
      *open.next++ = arc;
    }

   private:
    friend class ArcBuckets;
    struct Open {
      ArcType* next = nullptr;
      ArcType* end = nullptr;
    };

    Writer(std::size_t bucket_count, ArcBlocks<ArcType>& source)
        : source_(&source), open_(bucket_count), blocks_(bucket_count) {}

    void renew(std::size_t bucket) {
      ArcType* const block = source_->take(bucket);
      blocks_[bucket].push_back(block);
      open_[bucket] = {block, block + source_->block_arcs()};
    }

    ArcBlocks<ArcType>* source_;
    std::vector<Open> open_;
    std::vector<std::vector<ArcType*>> blocks_;
  };

  Writer& writer(unsigned index) { return writers_[index]; }

  /// Arcs in a bucket. REQUIRES, like for_each: no writer is at work, the bucket was not released.
  std::uint64_t size(std::size_t bucket) const {
    std::uint64_t arcs = 0;
    for (const Writer& writer : writers_) {
      arcs += writer.blocks_[bucket].size() * blocks_.block_arcs();
      arcs -= static_cast<std::uint64_t>(writer.open_[bucket].end - writer.open_[bucket].next);
    }
    return arcs;
  }

  /// Calls visit(arc) for every arc of the bucket.
  template <typename Visit>
  void for_each(std::size_t bucket, Visit visit) const {
    for (const Writer& writer : writers_) {
      const std::vector<ArcType*>& blocks = writer.blocks_[bucket];
      for (std::size_t b = 0; b < blocks.size(); ++b) {
        const ArcType* const end =
            b + 1 == blocks.size() ? writer.open_[bucket].next : blocks[b] + blocks_.block_arcs();
        for (const ArcType* arc = blocks[b]; arc != end; ++arc) visit(*arc);
      }
    }
  }

  /// Gives up a bucket; its memory goes when all of its group are given up. Any thread may call it, once for a bucket.
  void release(std::size_t bucket) { blocks_.release(bucket); }

 private:
  // As many threads as write use buckets afterwards, each a run of them: each frees a sixth of its run at a time.
  static constexpr unsigned kGroupsPerThread = 6;

  // Open blocks are half empty in the mean: small enough to waste at most 1/32 of the memory.
  static std::size_t block_size(std::size_t open_blocks, std::uint64_t expected_arcs) {
    constexpr std::uint64_t kLeast = 16;
    constexpr std::uint64_t kMost = ArcBlocks<ArcType>::kMostBlockArcs;
    return std::bit_floor(std::clamp(expected_arcs / (16 * open_blocks), kLeast, kMost));
  }

  ArcBlocks<ArcType> blocks_;
  std::vector<Writer> writers_;
};

}  // namespace knotwork::partition
