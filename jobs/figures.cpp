// Number formatting; one place, so that every command prints alike.
#include "jobs/figures.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <cstdio>

namespace knotwork::jobs {
namespace {

std::string three_digits(double value) {
  // 9.995 and up would round to four digits.
  const int decimals = value < 9.995 ? 2 : value < 99.95 ? 1 : 0;
  return fixed(value, decimals);
}

std::string scaled(double value, std::string_view unit) {
  static constexpr std::array<std::string_view, 6> kPrefixes = {"", "k", "M", "G", "T", "P"};
  std::size_t prefix = 0;
  while (value >= 999.5 && prefix + 1 < kPrefixes.size()) {
    value /= 1000;
    ++prefix;
  }
  const bool whole = prefix == 0 && value == std::floor(value);
  std::string text = whole ? fixed(value, 0) : three_digits(value);
  if (prefix > 0 || !unit.empty()) text += " " + std::string(kPrefixes[prefix]) + std::string(unit);
  return text;
}

}  // namespace

std::string fixed(double value, int digits) {
  std::array<char, 64> buffer{};
  const int length = std::snprintf(buffer.data(), buffer.size(), "%.*f", digits, value);
  return {buffer.data(), static_cast<std::size_t>(std::clamp(length, 0, 63))};
}

std::optional<std::uint64_t> parse_bytes(std::string_view text) {
  double value = 0;
  const auto parsed = std::from_chars(text.data(), text.data() + text.size(), value);
  if (parsed.ec != std::errc{} || !(value >= 0)) return std::nullopt;
  std::string_view unit = text.substr(parsed.ptr - text.data());
  if (unit.ends_with('B')) unit.remove_suffix(1);
  constexpr std::string_view kPrefixes = "kMGTP";
  if (!unit.empty()) {
    const std::size_t prefix = kPrefixes.find(unit == "K" ? 'k' : unit.front());
    if (unit.size() > 1 || prefix == std::string_view::npos) return std::nullopt;
    value *= std::pow(1000.0, static_cast<double>(prefix + 1));
  }
  constexpr double kMost = 9.2e18;
  if (value > kMost) return std::nullopt;
  return static_cast<std::uint64_t>(value);
}

std::optional<double> parse_duration(std::string_view text) {
  double value = 0;
  const auto parsed = std::from_chars(text.data(), text.data() + text.size(), value);
  if (parsed.ec != std::errc{} || !(value >= 0)) return std::nullopt;
  const std::string_view unit = text.substr(parsed.ptr - text.data());
  constexpr std::pair<std::string_view, double> kUnits[] = {{"", 1},     {"ms", 0.001}, {"s", 1},    {"m", 60},
                                                            {"min", 60}, {"h", 3600},   {"d", 86400}};
  constexpr double kMost = 86400.0 * 36525;
  for (const auto& [name, seconds] : kUnits) {
    if (unit == name) return value * seconds <= kMost ? std::optional(value * seconds) : std::nullopt;
  }
  return std::nullopt;
}

std::string plain_number(double value) {
  std::array<char, 64> buffer{};
  const auto result = std::to_chars(buffer.data(), buffer.data() + buffer.size(), value);
  return {buffer.data(), result.ptr};
}

std::string human_count(double count) {
  return scaled(count, "");
}

std::string grouped_count(std::uint64_t count) {
  std::string digits = std::to_string(count);
  for (std::size_t end = digits.size(); end > 3; end -= 3) digits.insert(end - 3, ",");
  return digits;
}

std::string human_bytes(double bytes) {
  return scaled(bytes, "B");
}

std::string clock_time(double seconds) {
  if (!std::isfinite(seconds) || seconds < 0 || seconds > 1e9) return "--:--";
  const auto whole = static_cast<std::uint64_t>(std::llround(seconds));
  std::array<char, 32> buffer{};
  const auto hours = static_cast<unsigned>(whole / 3600);
  const auto minutes = static_cast<unsigned>(whole / 60 % 60);
  const auto rest = static_cast<unsigned>(whole % 60);
  if (hours > 0) {
    std::snprintf(buffer.data(), buffer.size(), "%u:%02u:%02u", hours, minutes, rest);
  } else {
    std::snprintf(buffer.data(), buffer.size(), "%02u:%02u", minutes, rest);
  }
  return buffer.data();
}

std::string human_seconds(double seconds) {
  if (seconds < 0.9995) return three_digits(seconds * 1000) + " ms";
  if (seconds < 99.95) return three_digits(seconds) + " s";
  return clock_time(seconds) + (seconds >= 3600 ? " h" : " min");
}

std::size_t display_width(std::string_view text) {
  return static_cast<std::size_t>(
      std::ranges::count_if(text, [](char c) { return (static_cast<unsigned char>(c) & 0xC0U) != 0x80U; }));
}

}  // namespace knotwork::jobs
