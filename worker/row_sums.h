// Sums of row changes that do not depend on the order of adding: exact ones.
//
// Floating-point sums depend on their order because every addition rounds. Here each change is rounded first, on its
// own, to a multiple of 2^-26, and changes are added in double precision: multiples of 2^-26 below 2^27 fit its 53
// bits, so no addition rounds, and any order gives the same bits (the idea of Demmel and Nguyen, "Fast reproducible
// floating-point summation", ARITH 2013, with a grid fixed in advance). An error of 2^-27 is what float32 itself makes
// in a value of 0.1. AdaGrad's accumulators, whose range is wider, are summed as 64-bit integers in units of 2^-36.
//
// Every unit of work (a walk, a star) changes rows from the same start, so the changes of many units overshoot where
// one after the other would have come to rest. A sum of `count` changes is therefore scaled by min(1, full / count).
#pragma once

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "cluster/communicator.h"

namespace knotwork::worker {

/// Multiples of this are summed.
inline constexpr double kChangeGrid = 0x1.0p-26;
/// A single change of a column is cut off here. Training that needs more has diverged.
inline constexpr double kLargestChange = 0x1.0p10;
/// Changes that a sum has room for.
inline constexpr std::uint64_t kMostChanges = std::uint64_t{1} << 16;
inline constexpr double kAccumulatorGrid = 0x1.0p-36;
/// An accumulator's growth in one unit is cut off here.
inline constexpr double kLargestGrowth = 0x1.0p11;

/// Added and taken away again, it leaves a double of kLargestChange at most as the nearest multiple of kChangeGrid: its
/// own last bit is worth that.
inline constexpr double kRoundToGrid = 1.5 * 0x1.0p52 * kChangeGrid;

/// The nearest multiple of kChangeGrid, cut off at kLargestChange.
inline double on_grid(float change) {
  return (std::clamp(static_cast<double>(change), -kLargestChange, kLargestChange) + kRoundToGrid) - kRoundToGrid;
}

/// How many changes of a row are added up in full, see above.
inline double sum_scale(std::uint32_t count, std::uint32_t full) {
  return count <= full ? 1.0 : static_cast<double>(full) / count;
}

/// Sums for rows 0 .. size() - 1 of a batch.
class RowSums {
 public:
  /// `has_state`: rows have an AdaGrad accumulator.
  RowSums(std::size_t dim, bool has_state);

  /// Forgets all sums; there are `rows` rows now. One thread.
  void reset(std::size_t rows);
  /// Further rows, without changes. One thread.
  void grow(std::size_t rows);
  std::size_t size() const { return counts_.size(); }

  /// Adds what a unit changed: `after` - `before`, column by column, and the accumulator's growth. A row that is the
  /// same does not count. Any thread.
  void add(std::size_t row, const float* before, const float* after, float growth);

  /// Asks for the memory of a row's sum.
  void prefetch(std::size_t row) const {
    for (std::size_t i = 0; i < dim_; i += 8) __builtin_prefetch(sums_.data() + row * dim_ + i, 1);
  }

  /// How many changes were added.
  std::uint32_t count(std::size_t row) const { return counts_[row]; }
  /// Writes the change of the row, its growth last if rows have state: sums scaled by sum_scale.
  /// REQUIRES (here and in pack) count(row) > 0.
  void scaled(std::size_t row, std::uint32_t full, float* out) const;

  /// Bytes of a packed sum.
  std::size_t packed_bytes() const;
  /// Appends the row's sum to `out`.
  void pack(std::size_t row, cluster::Bytes& out) const;
  /// Adds a packed sum of another rank to the row's. One thread.
  void add_packed(std::size_t row, std::span<const std::byte> packed);

 private:
  std::size_t dim_;
  bool has_state_;
  std::vector<std::uint32_t> counts_;
  std::vector<std::int64_t> growth_;
  std::vector<double> sums_;  // written by a row's first change: never cleared
  std::unique_ptr<std::atomic_flag[]> locks_;
};

}  // namespace knotwork::worker
