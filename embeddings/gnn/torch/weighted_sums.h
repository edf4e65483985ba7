// Weighted sums of rows: what sums over neighbours, their derivatives and sparse products have in common.
//
//   y_i = sum over k in [offsets[i], offsets[i + 1]) of factors[k] x[numbers[k]]  +  own[i] x[i]
//
// In SIMD, for the instruction set of the processor at hand (Highway). A panel of columns stays in registers from the
// first term to the last, and terms are added in list order.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace knotwork::embeddings::gnn {

struct WeightedSums {
  std::span<const std::uint64_t> offsets;
  std::span<const std::uint32_t> numbers;
  std::span<const float> factors;
  /// Of the rows [0, own.size()); others have no such term.
  std::span<const float> own;
  /// Rows of `columns` floats, without padding.
  const float* x = nullptr;
  float* y = nullptr;
  std::size_t columns = 0;

  std::size_t rows() const { return offsets.size() - 1; }
};

/// Rows [first, last), overwritten.
void sum_rows(const WeightedSums& sums, std::size_t first, std::size_t last);

}  // namespace knotwork::embeddings::gnn
