// How numbers look to a person: "1.23 M", "3.4 GB", "00:12".
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace knotwork::jobs {

/// A count with three significant digits and k, M, G or T (powers of 1000): 950 -> "950", 1234567 -> "1.23 M".
std::string human_count(double count);

/// An exact count with thin groups: 1234567 -> "1,234,567".
std::string grouped_count(std::uint64_t count);

/// Bytes in powers of 1000: 3400000000 -> "3.40 GB".
std::string human_bytes(double bytes);

/// Bytes as people give them: "512M", "1.5G", "8GB", "4096"; powers of 1000, as above. Empty if it is none, or over
/// 2^63.
std::optional<std::uint64_t> parse_bytes(std::string_view text);

/// Seconds of a duration as people give it: "500ms", "30s", "10m", "1.5h", "1d", "90" (seconds). Empty if it is none,
/// or over a hundred years.
std::optional<double> parse_duration(std::string_view text);

/// A duration for a progress line: 12 s -> "00:12", 3723 s -> "1:02:03". Infinite or NaN: "--:--".
std::string clock_time(double seconds);

/// A duration for a report: 0.0123 -> "12.3 ms", 4.56 -> "4.56 s", 75 -> "1:15" ("min" above a minute).
std::string human_seconds(double seconds);

/// `value` with `digits` decimals.
std::string fixed(double value, int digits);

/// The shortest text that reads back as the same number (for configuration values): 0.025 -> "0.025".
std::string plain_number(double value);

/// Columns that `text` takes on a terminal: UTF-8 continuation bytes take none.
std::size_t display_width(std::string_view text);

}  // namespace knotwork::jobs
