#include "worker/consistency.h"

#include <charconv>

#include "partition/errors.h"

namespace knotwork::worker {

Consistency parse_consistency(std::string_view text, std::optional<std::uint32_t> staleness) {
  if (text == "asp") return {.bounded = false, .staleness = staleness};
  if (text == "bsp") return {.bounded = true, .staleness = 0};
  constexpr std::string_view kPrefix = "ssp:";
  if (text.starts_with(kPrefix)) {
    const std::string_view number = text.substr(kPrefix.size());
    std::uint32_t bound = 0;
    const auto parsed = std::from_chars(number.data(), number.data() + number.size(), bound);
    if (parsed.ec == std::errc{} && parsed.ptr == number.data() + number.size() && bound > 0) {
      return {.bounded = true, .staleness = bound};
    }
  }
  throw partition::InputError("unknown consistency '" + std::string(text) +
                              "'; expected asp, bsp, or ssp:N with N at least 1");
}

}  // namespace knotwork::worker
