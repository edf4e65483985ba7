#include "worker/consistency.h"

#include <charconv>

#include "partition/errors.h"

namespace knotwork::worker {

namespace {

/// The N of "ssp:N", and 0 for "bsp".
std::optional<std::uint32_t> bound_of(std::string_view text) {
  if (text == "bsp") return 0;
  constexpr std::string_view kPrefix = "ssp:";
  if (!text.starts_with(kPrefix)) return std::nullopt;
  const std::string_view number = text.substr(kPrefix.size());
  std::uint32_t bound = 0;
  const auto parsed = std::from_chars(number.data(), number.data() + number.size(), bound);
  if (parsed.ec != std::errc{} || parsed.ptr != number.data() + number.size() || bound == 0) return std::nullopt;
  return bound;
}

}  // namespace

Consistency parse_consistency(std::string_view text, std::optional<std::uint32_t> staleness) {
  if (text == "asp") return {.bounded = false, .staleness = staleness};
  const std::optional<std::uint32_t> bound = bound_of(text);
  if (!bound) {
    throw partition::InputError("unknown consistency '" + std::string(text) +
                                "'; expected asp, bsp, or ssp:N with N at least 1");
  }
  if (staleness) {
    throw partition::InputError("staleness needs consistency asp, found " + std::string(text) +
                                ", which says itself how far processes may be apart");
  }
  return {.bounded = true, .staleness = bound};
}

}  // namespace knotwork::worker
