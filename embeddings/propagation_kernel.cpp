// The product in SIMD, compiled once for every instruction set and chosen at run time (Highway).
//
// This file is compiled without contraction of a * b + c (see CMakeLists.txt): a fused multiply-add on machines that
// have one, and two roundings on others, would not give the same bits.
#include "embeddings/propagation_kernel.h"

#include <algorithm>
#include <bit>
#include <cstring>

#define HWY_DISABLED_TARGETS (HWY_SVE | HWY_SVE2 | HWY_SVE_256 | HWY_SVE2_128 | HWY_RVV | HWY_SSSE3)
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "embeddings/propagation_kernel.cpp"
// clang-format off
#include <hwy/foreach_target.h>
// clang-format on
#include <hwy/cache_control.h>
#include <hwy/highway.h>

HWY_BEFORE_NAMESPACE();
namespace knotwork::embeddings::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

using Floats = hn::CappedTag<float, 16>;
using Vector = hn::Vec<Floats>;

// Far enough for memory's latency, near enough that the lines are still there when they are used.
constexpr std::size_t kPrefetchDistance = 24;

template <BlockStorage kStorage>
HWY_INLINE Vector load(const std::byte* row, std::size_t column) {
  const Floats d;
  if constexpr (kStorage == BlockStorage::kFloat32) {
    return hn::Load(d, reinterpret_cast<const float*>(row) + column);
  } else {
    const hn::Rebind<std::uint16_t, Floats> halves;
    const hn::RebindToUnsigned<Floats> words;
    const auto upper = hn::LoadU(halves, reinterpret_cast<const std::uint16_t*>(row) + column);
    return hn::BitCast(d, hn::ShiftLeft<16>(hn::PromoteTo(words, upper)));
  }
}

// bfloat16: rounded to nearest, ties to even. Values are finite here.
template <BlockStorage kStorage>
HWY_INLINE void store(Vector value, std::byte* row, std::size_t column) {
  const Floats d;
  if constexpr (kStorage == BlockStorage::kFloat32) {
    hn::Store(value, d, reinterpret_cast<float*>(row) + column);
  } else {
    const hn::RebindToUnsigned<Floats> words;
    const hn::RebindToSigned<Floats> integers;
    const hn::Rebind<std::uint16_t, Floats> halves;
    const auto bits = hn::BitCast(words, value);
    const auto odd = hn::And(hn::ShiftRight<16>(bits), hn::Set(words, 1U));
    const auto rounded = hn::ShiftRight<16>(hn::Add(hn::Add(bits, hn::Set(words, 0x7fffU)), odd));
    hn::StoreU(hn::DemoteTo(halves, hn::BitCast(integers, rounded)), halves,
               reinterpret_cast<std::uint16_t*>(row) + column);
  }
}

// One row of a block of kVectors vectors. Sums stay in registers from the first neighbour to the last.
template <std::size_t kVectors, BlockStorage kStorage, bool kWeighted>
HWY_INLINE void multiply_row(const ProductStep& step, std::size_t row) {
  const Floats d;
  const std::size_t lanes = hn::Lanes(d);
  constexpr std::size_t kRowBytes = kVectors * hn::MaxLanes(Floats()) * bytes_per_value(kStorage);
  const std::byte* const source = step.source->row(0);
  const std::uint32_t* const targets = step.targets.data();
  const std::size_t last_arc = step.targets.size() - 1;
  Vector sums[kVectors];
#pragma GCC unroll 16
  for (std::size_t v = 0; v < kVectors; ++v) sums[v] = hn::Zero(d);
  const partition::ArcIndex end = step.offsets[row + 1];
  for (partition::ArcIndex arc = step.offsets[row]; arc < end; ++arc) {
    // Beyond the end of the row as well: most rows are shorter than the distance.
    const std::byte* const soon = source + targets[std::min(arc + kPrefetchDistance, last_arc)] * kRowBytes;
#pragma GCC unroll 4
    for (std::size_t line = 0; line < kRowBytes; line += 64) hwy::Prefetch(soon + line);
    const std::byte* const neighbour = source + targets[arc] * kRowBytes;
    if constexpr (kWeighted) {
      const Vector weight = hn::Set(d, step.weights[arc]);
#pragma GCC unroll 16
      for (std::size_t v = 0; v < kVectors; ++v) {
        sums[v] = hn::Add(sums[v], hn::Mul(weight, load<kStorage>(neighbour, v * lanes)));
      }
    } else {
#pragma GCC unroll 16
      for (std::size_t v = 0; v < kVectors; ++v) sums[v] = hn::Add(sums[v], load<kStorage>(neighbour, v * lanes));
    }
  }
  const Vector scale = hn::Set(d, step.scale[row]);
  const CollectedRows& collected = step.collected;
  const float collected_scale = collected.scale.empty() ? 1.0F : collected.scale[row];
#pragma GCC unroll 16
  for (std::size_t v = 0; v < kVectors; ++v) {
    Vector value = sums[v];
    if (step.self_weight != 0) {
      const Vector own = load<kStorage>(source + (step.first_row + row) * kRowBytes, v * lanes);
      value = hn::Add(value, hn::Mul(hn::Set(d, step.self_weight), own));
    }
    value = hn::Mul(scale, value);
    if (step.restart_weight != 0) {
      const Vector origin = load<kStorage>(step.origin->row(0) + row * kRowBytes, v * lanes);
      value = hn::Add(value, hn::Mul(hn::Set(d, step.restart_weight), origin));
    }
    if (step.result != nullptr) store<kStorage>(value, step.result->row(step.first_row + row), v * lanes);
    if (collected.values != nullptr) {
      float* const to = collected.values + row * collected.stride + v * lanes;
      Vector kept = hn::Mul(hn::Set(d, collected_scale), value);
      kept = hn::Mul(hn::Set(d, collected.weight), kept);
      hn::StoreU(collected.adds ? hn::Add(hn::LoadU(d, to), kept) : kept, d, to);
    }
  }
}

template <std::size_t kVectors, BlockStorage kStorage, bool kWeighted>
HWY_INLINE void multiply_range(const ProductStep& step, std::size_t first, std::size_t last) {
  for (std::size_t row = first; row < last; ++row) multiply_row<kVectors, kStorage, kWeighted>(step, row);
}

template <std::size_t kWidth>
HWY_INLINE void multiply_width(const ProductStep& step, std::size_t first, std::size_t last) {
  constexpr std::size_t kVectors = kWidth / hn::MaxLanes(Floats());
  constexpr BlockStorage kFull = BlockStorage::kFloat32;
  constexpr BlockStorage kHalf = BlockStorage::kBfloat16;
  const bool weighted = !step.weights.empty();
  if (step.source->storage() == kFull) {
    return weighted ? multiply_range<kVectors, kFull, true>(step, first, last)
                    : multiply_range<kVectors, kFull, false>(step, first, last);
  }
  return weighted ? multiply_range<kVectors, kHalf, true>(step, first, last)
                  : multiply_range<kVectors, kHalf, false>(step, first, last);
}

void multiply(const ProductStep& step, std::size_t first, std::size_t last) {
  switch (step.source->width()) {
    case 16:
      return multiply_width<16>(step, first, last);
    case 32:
      return multiply_width<32>(step, first, last);
    default:
      return multiply_width<64>(step, first, last);
  }
}

}  // namespace knotwork::embeddings::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace knotwork::embeddings {

namespace {

HWY_EXPORT(multiply);

std::uint16_t to_bfloat16(float value) {
  const auto bits = std::bit_cast<std::uint32_t>(value);
  return static_cast<std::uint16_t>((bits + 0x7fffU + ((bits >> 16) & 1U)) >> 16);
}

}  // namespace

void store_row(std::span<const float> values, ColumnBlock& block, std::size_t row) {
  if (block.storage() == BlockStorage::kFloat32) {
    std::memcpy(block.row(row), values.data(), block.row_bytes());
    return;
  }
  auto* const out = reinterpret_cast<std::uint16_t*>(block.row(row));
  for (std::size_t i = 0; i < block.width(); ++i) out[i] = to_bfloat16(values[i]);
}

void load_row(const ColumnBlock& block, std::size_t row, std::span<float> values) {
  if (block.storage() == BlockStorage::kFloat32) {
    std::memcpy(values.data(), block.row(row), block.row_bytes());
    return;
  }
  const auto* const in = reinterpret_cast<const std::uint16_t*>(block.row(row));
  for (std::size_t i = 0; i < block.width(); ++i)
    values[i] = std::bit_cast<float>(static_cast<std::uint32_t>(in[i]) << 16);
}

void multiply_rows(const ProductStep& step, std::size_t first, std::size_t last) {
  if (first < last) HWY_DYNAMIC_DISPATCH(multiply)(step, first, last);
}

}  // namespace knotwork::embeddings
#endif  // HWY_ONCE
