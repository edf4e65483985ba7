// How the methods see a table of embedding rows, wherever it lies.
//
// Rows are float32, row-major, 64-byte aligned, `stride` floats apart; columns dim .. stride - 1 are zero and stay
// zero, so kernels run over whole vectors without a tail. Own rows lie in the parameter server's shard itself; rows of
// other ranks are replicas. Methods get one of these views and never ask who owns a row.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "partition/ids.h"

namespace knotwork::embeddings {

/// Floats from one row to the next for rows of `dim` columns: the next multiple of 16 (64 bytes).
constexpr std::size_t row_stride(std::size_t dim) {
  return (dim + 15) / 16 * 16;
}

/// A view of rows first_row, first_row + 1, ... that lie one after another. `accumulators` (one float a row; row-wise
/// AdaGrad, Gupta et al. 2014) is null when the optimizer keeps no state.
struct DenseRows {
  float* values = nullptr;
  float* accumulators = nullptr;
  std::size_t stride = 0;
  std::size_t dim = 0;
  partition::GlobalNode first_row = 0;

  float* row(partition::GlobalNode node) const { return values + static_cast<std::size_t>(node - first_row) * stride; }
  float* accumulator(partition::GlobalNode node) const { return accumulators + (node - first_row); }
};

}  // namespace knotwork::embeddings
