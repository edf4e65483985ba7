// Arcs parted by ranges of rows, so that what follows (placing them into rows, sorting) stays in a core's cache.
//
// Each writer appends to blocks of its own, one open block a bucket; nothing is shared and nothing is counted before.
// A radix partition: Satish et al., "Fast sort on CPUs and GPUs", 2010.
#pragma once

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
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

/// What the arcs of all writers are kept in. ArcType: PlainArc or WeightedArc.
template <typename ArcType>
class ArcBuckets {
 public:
  /// `expected_arcs`: about how many there will be; it sets the size of blocks.
  ArcBuckets(std::size_t bucket_count, unsigned writer_count, std::uint64_t expected_arcs)
      : block_arcs_(block_size(bucket_count * writer_count, expected_arcs)) {
    const std::uint64_t wanted = (expected_arcs / writer_count) + (bucket_count * block_arcs_);
    const std::size_t slab_arcs = std::min(kMostSlabArcs, std::bit_ceil(std::max(wanted, block_arcs_)));
    for (unsigned w = 0; w < writer_count; ++w) writers_.emplace_back(bucket_count, block_arcs_, slab_arcs);
  }

  /// A thread's way to append arcs.
  class Writer {
   public:
    Writer(std::size_t bucket_count, std::size_t block_arcs, std::size_t slab_arcs)
        : block_arcs_(block_arcs), slab_arcs_(slab_arcs), open_(bucket_count), blocks_(bucket_count) {}

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

    void renew(std::size_t bucket) {
      if (slabs_.empty() || used_ == slab_arcs_) {
        slabs_.emplace_back(slab_arcs_);
        used_ = 0;
      }
      ArcType* const block = slabs_.back().data() + used_;
      used_ += block_arcs_;
      blocks_[bucket].push_back(block);
      open_[bucket] = {block, block + block_arcs_};
    }

    std::size_t block_arcs_;
    std::size_t slab_arcs_;
    std::vector<Open> open_;
    std::vector<std::vector<ArcType*>> blocks_;
    std::vector<HugeArray<ArcType>> slabs_;
    std::size_t used_ = 0;
  };

  Writer& writer(unsigned index) { return writers_[index]; }

  /// Arcs in a bucket. REQUIRES, like for_each: no writer is at work.
  std::uint64_t size(std::size_t bucket) const {
    std::uint64_t arcs = 0;
    for (const Writer& writer : writers_) {
      arcs += writer.blocks_[bucket].size() * block_arcs_;
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
        const ArcType* const end = b + 1 == blocks.size() ? writer.open_[bucket].next : blocks[b] + block_arcs_;
        for (const ArcType* arc = blocks[b]; arc != end; ++arc) visit(*arc);
      }
    }
  }

 private:
  // 2 MiB or 3 MiB.
  static constexpr std::uint64_t kMostSlabArcs = std::uint64_t{1} << 18;

  // Open blocks are half empty in the mean: small enough to waste at most 1/32 of the memory.
  static std::size_t block_size(std::size_t open_blocks, std::uint64_t expected_arcs) {
    constexpr std::uint64_t kLeast = 16;
    constexpr std::uint64_t kMost = 512;
    return std::bit_floor(std::clamp(expected_arcs / (16 * open_blocks), kLeast, kMost));
  }

  std::size_t block_arcs_;
  std::vector<Writer> writers_;
};

}  // namespace knotwork::partition
