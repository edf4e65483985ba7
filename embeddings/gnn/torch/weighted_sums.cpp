// Compiled once for every instruction set and chosen at run time.
#include "embeddings/gnn/torch/weighted_sums.h"

#include <algorithm>

#define HWY_DISABLED_TARGETS (HWY_SVE | HWY_SVE2 | HWY_SVE_256 | HWY_SVE2_128 | HWY_RVV | HWY_SSSE3)
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "embeddings/gnn/torch/weighted_sums.cpp"
// clang-format off
#include <hwy/foreach_target.h>
// clang-format on
#include <hwy/cache_control.h>
#include <hwy/highway.h>

HWY_BEFORE_NAMESPACE();
namespace knotwork::embeddings::gnn::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

using Floats = hn::CappedTag<float, 16>;

// Terms from here to the one whose row is asked for beforehand.
constexpr std::size_t kPrefetchDistance = 8;

/// kVectors vectors of row i, from `column`.
template <std::size_t kVectors>
HWY_INLINE void sum_panel(const WeightedSums& sums, std::size_t row, std::size_t column) {
  const Floats d;
  const std::size_t lanes = hn::Lanes(d);
  const float* const x = sums.x + column;
  hn::Vec<Floats> panel[kVectors];
#pragma GCC unroll 8
  for (std::size_t v = 0; v < kVectors; ++v) panel[v] = hn::Zero(d);
  const std::uint64_t last = sums.offsets[row + 1];
  for (std::uint64_t k = sums.offsets[row]; k < last; ++k) {
    const std::size_t soon = std::min<std::size_t>(k + kPrefetchDistance, sums.numbers.size() - 1);
    const float* const next = x + sums.numbers[soon] * sums.columns;
    for (std::size_t at = 0; at < kVectors * hn::MaxLanes(Floats()); at += 16) hwy::Prefetch(next + at);
    const float* const from = x + sums.numbers[k] * sums.columns;
    const auto factor = hn::Set(d, sums.factors[k]);
#pragma GCC unroll 8
    for (std::size_t v = 0; v < kVectors; ++v) panel[v] = hn::MulAdd(factor, hn::LoadU(d, from + v * lanes), panel[v]);
  }
  if (row < sums.own.size()) {
    const auto factor = hn::Set(d, sums.own[row]);
#pragma GCC unroll 8
    for (std::size_t v = 0; v < kVectors; ++v)
      panel[v] = hn::MulAdd(factor, hn::LoadU(d, x + row * sums.columns + v * lanes), panel[v]);
  }
#pragma GCC unroll 8
  for (std::size_t v = 0; v < kVectors; ++v) hn::StoreU(panel[v], d, sums.y + row * sums.columns + column + v * lanes);
}

/// The last columns, fewer than a vector.
HWY_INLINE void sum_rest(const WeightedSums& sums, std::size_t row, std::size_t column) {
  const std::size_t count = sums.columns - column;
  float rest[16] = {};
  const auto add = [&](float factor, std::size_t number) {
    const float* const from = sums.x + number * sums.columns + column;
    for (std::size_t c = 0; c < count; ++c) rest[c] += factor * from[c];
  };
  for (std::uint64_t k = sums.offsets[row]; k < sums.offsets[row + 1]; ++k) add(sums.factors[k], sums.numbers[k]);
  if (row < sums.own.size()) add(sums.own[row], row);
  std::copy_n(rest, count, sums.y + row * sums.columns + column);
}

void sum(const WeightedSums& sums, std::size_t first, std::size_t last) {
  const std::size_t lanes = hn::Lanes(Floats());
  for (std::size_t row = first; row < last; ++row) {
    std::size_t column = 0;
    for (; column + 8 * lanes <= sums.columns; column += 8 * lanes) sum_panel<8>(sums, row, column);
    for (; column + 4 * lanes <= sums.columns; column += 4 * lanes) sum_panel<4>(sums, row, column);
    for (; column + lanes <= sums.columns; column += lanes) sum_panel<1>(sums, row, column);
    if (column < sums.columns) sum_rest(sums, row, column);
  }
}

}  // namespace knotwork::embeddings::gnn::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace knotwork::embeddings::gnn {

namespace {

HWY_EXPORT(sum);

}  // namespace

void sum_rows(const WeightedSums& sums, std::size_t first, std::size_t last) {
  if (first < last) HWY_DYNAMIC_DISPATCH(sum)(sums, first, last);
}

}  // namespace knotwork::embeddings::gnn
#endif  // HWY_ONCE
