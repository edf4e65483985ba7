// Rows to and from bfloat16 in SIMD, compiled once for every instruction set and chosen at run time (Highway): between
// hosts every row that travels passes here four times.
#include "ps/row_format.h"

#include <cstring>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "ps/row_format.cpp"
// clang-format off
#include <hwy/foreach_target.h>
// clang-format on
#include <hwy/highway.h>

HWY_BEFORE_NAMESPACE();
namespace knotwork::ps::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

using Words = hn::ScalableTag<std::uint32_t>;
using Halves = hn::Rebind<std::uint16_t, Words>;

// to_bfloat16, lane by lane. Messages may lie at any address, so bytes are copied rather than cast.
void round_rows(const float* values, std::size_t count, std::byte* out) {
  const Words words;
  const Halves halves;
  const hn::RebindToSigned<Words> signed_words;
  const std::size_t lanes = hn::Lanes(words);
  HWY_ALIGN std::uint16_t rounded_lanes[hn::MaxLanes(words)];
  std::size_t i = 0;
  for (; i + lanes <= count; i += lanes) {
    const auto bits = hn::BitCast(words, hn::LoadU(hn::Rebind<float, Words>(), values + i));
    const auto upper = hn::ShiftRight<16>(bits);
    const auto odd = hn::And(upper, hn::Set(words, 1));
    const auto rounded = hn::ShiftRight<16>(hn::Add(hn::Add(bits, odd), hn::Set(words, 0x7fff)));
    const auto magnitude = hn::BitCast(signed_words, hn::And(bits, hn::Set(words, 0x7fffffff)));
    const auto is_nan = hn::RebindMask(words, hn::Gt(magnitude, hn::Set(signed_words, 0x7f800000)));
    const auto chosen = hn::IfThenElse(is_nan, hn::Or(upper, hn::Set(words, 0x40)), rounded);
    hn::Store(hn::TruncateTo(halves, chosen), halves, rounded_lanes);
    std::memcpy(out + 2 * i, rounded_lanes, 2 * lanes);
  }
  for (; i < count; ++i) {
    const std::uint16_t half = to_bfloat16(values[i]);
    std::memcpy(out + 2 * i, &half, sizeof(half));
  }
}

void widen_rows(const std::byte* in, std::size_t count, float* values) {
  const Words words;
  const Halves halves;
  const std::size_t lanes = hn::Lanes(words);
  HWY_ALIGN std::uint16_t half_lanes[hn::MaxLanes(words)];
  std::size_t i = 0;
  for (; i + lanes <= count; i += lanes) {
    std::memcpy(half_lanes, in + 2 * i, 2 * lanes);
    const auto bits = hn::ShiftLeft<16>(hn::PromoteTo(words, hn::Load(halves, half_lanes)));
    hn::StoreU(hn::BitCast(hn::Rebind<float, Words>(), bits), hn::Rebind<float, Words>(), values + i);
  }
  for (; i < count; ++i) {
    std::uint16_t half = 0;
    std::memcpy(&half, in + 2 * i, sizeof(half));
    values[i] = from_bfloat16(half);
  }
}

}  // namespace knotwork::ps::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace knotwork::ps {

namespace {
HWY_EXPORT(round_rows);
HWY_EXPORT(widen_rows);
}  // namespace

void write_values(std::span<const float> values, RowFormat format, std::byte* out) {
  if (format == RowFormat::kFloat32) {
    if (!values.empty()) std::memcpy(out, values.data(), values.size_bytes());
    return;
  }
  HWY_DYNAMIC_DISPATCH(round_rows)(values.data(), values.size(), out);
}

void read_values(const std::byte* in, RowFormat format, std::span<float> values) {
  if (format == RowFormat::kFloat32) {
    if (!values.empty()) std::memcpy(values.data(), in, values.size_bytes());
    return;
  }
  HWY_DYNAMIC_DISPATCH(widen_rows)(in, values.size(), values.data());
}

}  // namespace knotwork::ps
#endif  // HWY_ONCE
