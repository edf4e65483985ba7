// Sparse times dense for one block of columns: the gather that FastRP, random feature propagation, SGC and APPNP are
// made of.
//
//   y_i = scale_i * (sum over j in N(i), in list order, of w_ij x_j  +  self * x_i)  +  restart * x0_i
//
// Blocks. The columns are done 16 to 64 at a time, so that the rows of a block are 64 to 256 bytes, lie back to back,
// and the whole block (rows x columns x 4 bytes) stays as far as possible in the last-level cache while its rows are
// gathered at random; hubs come first in memory (degree order) and stay in nearer caches. A block passes through all
// powers before the next one begins, so memory does not grow with the number of columns.
//
// Order. Each column is a lane of its own, and every lane adds the neighbours in list order (degree rank, which no
// partition changes: partition/graph.h), multiplications and additions rounded one by one. So the result is the same to
// the bit for any instruction set, block width, number of threads, ranks and parts.
//
// Storage. Blocks are float32, or bfloat16 (round to nearest even), which halves the bytes of a gather; sums are
// float32 in either case.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "partition/huge_array.h"
#include "partition/ids.h"

namespace knotwork::embeddings {

enum class BlockStorage : std::uint8_t { kFloat32, kBfloat16 };

constexpr std::size_t bytes_per_value(BlockStorage storage) {
  return storage == BlockStorage::kBfloat16 ? 2 : 4;
}

/// Columns of a block: 16, 32 or 64.
inline constexpr std::size_t kMinBlockWidth = 16;
inline constexpr std::size_t kMaxBlockWidth = 64;

/// Some columns of all rows, row after row without gaps. Zero at first. Movable; threads may write different rows.
class ColumnBlock {
 public:
  ColumnBlock() = default;
  /// REQUIRES: width is 16, 32 or 64. Throws std::bad_alloc.
  ColumnBlock(std::size_t rows, std::size_t width, BlockStorage storage)
      : width_(width), storage_(storage), own_(rows * row_bytes()), values_(own_.data()) {}
  /// In zeroed memory that outlives the block, 64-byte aligned, of at least as many bytes as its rows take.
  ColumnBlock(std::span<std::byte> memory, std::size_t width, BlockStorage storage)
      : width_(width), storage_(storage), values_(memory.data()) {}

  std::size_t width() const { return width_; }
  BlockStorage storage() const { return storage_; }
  std::size_t row_bytes() const { return width_ * bytes_per_value(storage_); }
  std::byte* row(std::size_t row) { return values_ + row * row_bytes(); }
  const std::byte* row(std::size_t row) const { return values_ + row * row_bytes(); }

  /// Makes the block narrower or wider again, at most as wide as it was made; what it held is gone.
  void reshape(std::size_t width) { width_ = width; }

 private:
  std::size_t width_ = kMinBlockWidth;
  BlockStorage storage_ = BlockStorage::kFloat32;
  partition::HugeArray<std::byte> own_;  // empty if the memory is elsewhere
  std::byte* values_ = nullptr;
};

/// Writes and reads one row: block.width() floats.
void store_row(std::span<const float> values, ColumnBlock& block, std::size_t row);
void load_row(const ColumnBlock& block, std::size_t row, std::span<float> values);

/// Where a power's rows are collected: collected[row] += weight * scale_row * y (or = for the first).
struct CollectedRows {
  /// Row 0; the others follow `stride` floats apart. Null: this power is not collected.
  float* values = nullptr;
  std::size_t stride = 0;
  float weight = 1;
  /// One for each row; empty: 1.
  std::span<const float> scale;
  /// Add to what is there, rather than replace it.
  bool adds = false;
};

/// One product. All spans but targets and weights are by local row.
struct ProductStep {
  /// rows + 1 positions into targets.
  std::span<const partition::ArcIndex> offsets;
  /// Rows of `source`.
  std::span<const std::uint32_t> targets;
  /// Row 0 of this product is that row of `source` and `result`, but not of the rest.
  std::size_t first_row = 0;
  /// As targets; empty: all 1.
  std::span<const float> weights;
  std::span<const float> scale;
  float self_weight = 0;
  float restart_weight = 0;
  const ColumnBlock* source = nullptr;
  /// x0; needed with a restart_weight only.
  const ColumnBlock* origin = nullptr;
  /// y; null if only the collected rows are wanted. Of the width and storage of `source`.
  ColumnBlock* result = nullptr;
  CollectedRows collected;
};

/// Computes the rows [first, last). Threads may call it for different rows at the same time.
void multiply_rows(const ProductStep& step, std::size_t first, std::size_t last);

}  // namespace knotwork::embeddings
