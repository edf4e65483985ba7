// How rows travel: as float32, or in half the bytes as bfloat16 (the upper half of a float32: 8 bits of precision, the
// same range; Kalamkar et al. 2019, "A Study of BFLOAT16 for Deep Learning Training", arXiv:1905.12322). Tables are
// float32 in either case.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <span>

namespace knotwork::ps {

/// See protocol.capnp.
enum class RowFormat : std::uint8_t { kFloat32 = 0, kBfloat16 = 1 };

inline constexpr std::size_t bytes_per_value(RowFormat format) {
  return format == RowFormat::kBfloat16 ? 2 : 4;
}

/// Rounded to nearest, ties to even; NaN stays NaN.
inline constexpr std::uint16_t to_bfloat16(float value) {
  const auto bits = std::bit_cast<std::uint32_t>(value);
  const std::uint32_t rounded = (bits + 0x7fffU + ((bits >> 16) & 1U)) >> 16;
  const std::uint32_t quiet = (bits >> 16) | 0x40U;  // Rounding could carry a NaN to infinity.
  return static_cast<std::uint16_t>((bits & 0x7fffffffU) > 0x7f800000U ? quiet : rounded);
}

inline constexpr float from_bfloat16(std::uint16_t bits) {
  return std::bit_cast<float>(static_cast<std::uint32_t>(bits) << 16);
}

/// Writes `values` to `out`, which has values.size() * bytes_per_value(format) bytes at any address.
void write_values(std::span<const float> values, RowFormat format, std::byte* out);

/// The other way: values.size() values from `in`.
void read_values(const std::byte* in, RowFormat format, std::span<float> values);

}  // namespace knotwork::ps
