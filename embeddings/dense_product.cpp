// The product in SIMD, compiled once for every instruction set and chosen at run time (Highway).
#include "embeddings/dense_product.h"

#define HWY_DISABLED_TARGETS (HWY_SVE | HWY_SVE2 | HWY_SVE_256 | HWY_SVE2_128 | HWY_RVV | HWY_SSSE3)
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "embeddings/dense_product.cpp"
// clang-format off
#include <hwy/foreach_target.h>
// clang-format on
#include <hwy/contrib/math/math-inl.h>
#include <hwy/highway.h>

HWY_BEFORE_NAMESPACE();
namespace knotwork::embeddings::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

using Floats = hn::CappedTag<float, 16>;
using Vector = hn::Vec<Floats>;

// With two vectors of columns twelve sums, two of `right` and one broadcast: 15 of AVX2's 16 registers.
constexpr std::size_t kTileRows = 6;

// kRows rows by kVectors vectors of columns.
template <std::size_t kRows, std::size_t kVectors>
HWY_INLINE void multiply_tile(const DenseProduct& product, std::size_t row, std::size_t column) {
  const Floats d;
  const std::size_t lanes = hn::Lanes(d);
  Vector sums[kRows * kVectors];
  float* const out = product.out + row * product.out_row + column;
#pragma GCC unroll 12
  for (std::size_t i = 0; i < kRows * kVectors; ++i) {
    sums[i] = product.adds ? hn::LoadU(d, out + i / kVectors * product.out_row + i % kVectors * lanes) : hn::Zero(d);
  }
  const float* left = product.left + row * product.left_row;
  const float* right = product.right + column;
  for (std::size_t k = 0; k < product.depth; ++k, left += product.left_depth, right += product.right_depth) {
    Vector columns[kVectors];
#pragma GCC unroll 2
    for (std::size_t v = 0; v < kVectors; ++v) columns[v] = hn::LoadU(d, right + v * lanes);
#pragma GCC unroll 6
    for (std::size_t r = 0; r < kRows; ++r) {
      const Vector value = hn::Set(d, left[r * product.left_row]);
#pragma GCC unroll 2
      for (std::size_t v = 0; v < kVectors; ++v) {
        sums[r * kVectors + v] = hn::MulAdd(value, columns[v], sums[r * kVectors + v]);
      }
    }
  }
#pragma GCC unroll 12
  for (std::size_t i = 0; i < kRows * kVectors; ++i) {
    hn::StoreU(sums[i], d, out + i / kVectors * product.out_row + i % kVectors * lanes);
  }
}

template <std::size_t kRows>
HWY_INLINE void multiply_rows(const DenseProduct& product, std::size_t row) {
  const std::size_t lanes = hn::Lanes(Floats());
  std::size_t column = 0;
  for (; column + 2 * lanes <= product.columns; column += 2 * lanes) multiply_tile<kRows, 2>(product, row, column);
  for (; column < product.columns; column += lanes) multiply_tile<kRows, 1>(product, row, column);
}

void multiply(const DenseProduct& product) {
  std::size_t row = 0;
  for (; row + kTileRows <= product.rows; row += kTileRows) multiply_rows<kTileRows>(product, row);
  switch (product.rows - row) {
    case 5:
      return multiply_rows<5>(product, row);
    case 4:
      return multiply_rows<4>(product, row);
    case 3:
      return multiply_rows<3>(product, row);
    case 2:
      return multiply_rows<2>(product, row);
    case 1:
      return multiply_rows<1>(product, row);
    default:
      return;
  }
}

float weighted_exponentials(std::span<float> values, std::span<const float> weights, float scale, float shift) {
  const Floats d;
  const std::size_t lanes = hn::Lanes(d);
  const Vector times = hn::Set(d, scale);
  const Vector minus = hn::Set(d, -scale * shift);
  Vector sum = hn::Zero(d);
  for (std::size_t i = 0; i < values.size(); i += lanes) {
    const Vector exponent = hn::MulAdd(times, hn::LoadU(d, values.data() + i), minus);
    const Vector value = hn::Mul(hn::LoadU(d, weights.data() + i), hn::Exp(d, exponent));
    hn::StoreU(value, d, values.data() + i);
    sum = hn::Add(sum, value);
  }
  return hn::GetLane(hn::SumOfLanes(d, sum));
}

}  // namespace knotwork::embeddings::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace knotwork::embeddings {

namespace {
HWY_EXPORT(multiply);
HWY_EXPORT(weighted_exponentials);
}  // namespace

void multiply(const DenseProduct& product) {
  HWY_DYNAMIC_DISPATCH(multiply)(product);
}

float weighted_exponentials(std::span<float> values, std::span<const float> weights, float scale, float shift) {
  return HWY_DYNAMIC_DISPATCH(weighted_exponentials)(values, weights, scale, shift);
}

void PanelRows::inner_products(const float* left, std::size_t left_row, std::size_t row_count, std::size_t first_panel,
                               std::size_t last_panel, float* out, std::size_t out_row) const {
  DenseProduct product{.rows = row_count,
                       .columns = kPanelWidth,
                       .depth = dim_,
                       .left = left,
                       .left_row = left_row,
                       .right_depth = kPanelWidth,
                       .out_row = out_row};
  for (std::size_t index = first_panel; index < last_panel; ++index) {
    product.right = panel(index);
    product.out = out + (index - first_panel) * kPanelWidth;
    multiply(product);
  }
}

}  // namespace knotwork::embeddings
#endif  // HWY_ONCE
