#include "ps/row_format.h"

#include <cstring>

namespace knotwork::ps {

// Loops that compilers turn into vector code: the copies of two bytes are only the lawful way to any address.

void write_values(std::span<const float> values, RowFormat format, std::byte* out) {
  if (format == RowFormat::kFloat32) {
    if (!values.empty()) std::memcpy(out, values.data(), values.size_bytes());
    return;
  }
  for (std::size_t i = 0; i < values.size(); ++i) {
    const std::uint16_t half = to_bfloat16(values[i]);
    std::memcpy(out + 2 * i, &half, sizeof(half));
  }
}

void read_values(const std::byte* in, RowFormat format, std::span<float> values) {
  if (format == RowFormat::kFloat32) {
    if (!values.empty()) std::memcpy(values.data(), in, values.size_bytes());
    return;
  }
  for (std::size_t i = 0; i < values.size(); ++i) {
    std::uint16_t half = 0;
    std::memcpy(&half, in + 2 * i, sizeof(half));
    values[i] = from_bfloat16(half);
  }
}

}  // namespace knotwork::ps
