// Small dense products in SIMD, for losses that compare many rows with many rows.
//
//   out[r][c]  =  (adds ? out[r][c] : 0)  +  sum over k of left(r, k) * right[k][c]
//
// One kernel serves all three products of such a loss: `left` is read element by element through two strides, so it may
// be a matrix or its transpose; `right` and `out` are read by whole vectors of columns. Logits take the transpose of
// the compared rows as `right`, packed in panels (PanelRows).
//
// Six rows by two vectors of columns stay in registers from the first k to the last (Goto and van de Geijn, "Anatomy of
// high-performance matrix multiplication", ACM TOMS 2008, section 4). The order of the sum is that of k, so a result
// depends on the machine's vector instructions (fused multiply-add or not), but not on how rows were shared out.
#pragma once

#include <cstddef>
#include <span>

#include "partition/huge_array.h"

namespace knotwork::embeddings {

/// Columns of a panel; columns of any product are a multiple of half of it.
inline constexpr std::size_t kPanelWidth = 32;

struct DenseProduct {
  std::size_t rows = 0;
  /// A multiple of 16.
  std::size_t columns = 0;
  std::size_t depth = 0;
  /// left(r, k) = left[r * left_row + k * left_depth].
  const float* left = nullptr;
  std::size_t left_row = 0;
  std::size_t left_depth = 1;
  /// right[k][c] = right[k * right_depth + c].
  const float* right = nullptr;
  std::size_t right_depth = 0;
  float* out = nullptr;
  std::size_t out_row = 0;
  /// Add to what is there, rather than replace it.
  bool adds = false;
};

/// Thread-safe for different `out`.
void multiply(const DenseProduct& product);

/// In place: values[i] = weights[i] * exp(scale * (values[i] - shift)). Returns the sum. Sizes are multiples of 16.
float weighted_exponentials(std::span<float> values, std::span<const float> weights, float scale, float shift);

/// The transpose of rows of `dim` floats in panels of kPanelWidth rows each: panel p is a matrix dim x kPanelWidth that
/// lies in one piece, so a product reads it from front to back. Rows beyond the last are zero.
class PanelRows {
 public:
  PanelRows() = default;
  /// Room for `rows` rows. Throws std::bad_alloc.
  PanelRows(std::size_t rows, std::size_t dim) : dim_(dim), own_(floats(rows, dim)), values_(own_.data()) {}
  /// In zeroed memory elsewhere of floats(rows, dim) floats.
  PanelRows(std::span<float> memory, std::size_t dim) : dim_(dim), values_(memory.data()) {}

  /// Rows with those that fill the last panel.
  static std::size_t padded(std::size_t rows) { return (rows + kPanelWidth - 1) / kPanelWidth * kPanelWidth; }
  static std::size_t floats(std::size_t rows, std::size_t dim) { return padded(rows) * dim; }

  /// Different rows may be set from different threads.
  void set(std::size_t row, std::span<const float> values) {
    float* const column = values_ + row / kPanelWidth * dim_ * kPanelWidth + row % kPanelWidth;
    for (std::size_t k = 0; k < dim_; ++k) column[k * kPanelWidth] = values[k];
  }
  const float* panel(std::size_t index) const { return values_ + index * dim_ * kPanelWidth; }
  std::size_t dim() const { return dim_; }

  /// out[r][c] for `row_count` rows of `left` (`dim` floats, `left_row` apart) and the panelled rows of
  /// [first_panel, last_panel): their inner products. Column 0 of `out` is the first panel's first row.
  void inner_products(const float* left, std::size_t left_row, std::size_t row_count, std::size_t first_panel,
                      std::size_t last_panel, float* out, std::size_t out_row) const;

 private:
  std::size_t dim_ = 0;
  partition::HugeArray<float> own_;  // Empty if the memory is elsewhere.
  float* values_ = nullptr;
};

}  // namespace knotwork::embeddings
