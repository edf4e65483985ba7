// "Did you mean": the known word nearest to one that nobody knows.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>

namespace knotwork::jobs {

/// Insertions, deletions, replacements and swaps of neighbours that turn `left` into `right` (optimal string alignment;
/// Damerau, CACM 1964).
std::size_t edit_distance(std::string_view left, std::string_view right);

/// The word of `known` nearest to `word` (a shared prefix of three letters counts as near), or "" if none is near
/// enough to be meant: more than half of the letters differ.
std::string nearest_name(std::string_view word, std::span<const std::string> known);

/// "; did you mean X?" with `prefix` before X, or "" if nothing is near.
std::string did_you_mean(std::string_view word, std::span<const std::string> known, std::string_view prefix = "");

}  // namespace knotwork::jobs
