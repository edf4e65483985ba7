// One block of edge-list lines into pairs of ids. The grammar:
//
//     line    = [blank] | [blank] ("#" | "%") anything | [blank] id blank id [blank weight] [blank anything]
//     blank   = one or more of: space, tab, vertical tab, form feed, carriage return, comma, semicolon
//     id      = one or more bytes that are neither blank nor control characters (UTF-8 is not looked into)
//     weight  = a decimal number, not negative, finite
//
// Whether lines have a weight, and whether anything may follow, is settled before (EdgeLineFormat). A "#" where a
// field after the second may begin starts a comment. Runs of blanks count as one, so empty CSV fields don't exist.
#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <string_view>
#include <vector>

#include "partition/edge_list_names.h"
#include "partition/text_source.h"

namespace knotwork::partition {

/// What the lines of one file look like.
struct EdgeLineFormat {
  /// The third field is a weight; a line without it is an error.
  bool reads_weight = false;
  /// Fields after those that are read are skipped; otherwise they are an error.
  bool allows_more_fields = false;
  /// Integer ids outside are an error.
  std::uint64_t lowest_id = 0;
  std::uint64_t highest_id = std::numeric_limits<std::uint64_t>::max();
};

struct IdPair {
  std::uint64_t source;
  std::uint64_t target;
};

/// Splits lines into fields: for looking at headers.
std::vector<std::string_view> fields_of(std::string_view line);

/// A canonical decimal uint64: digits only, no leading zero, below 2^64. Only such ids are integers, so that the name
/// in the output is the name in the input.
bool is_canonical_integer(std::string_view text);

/// The number that starts at `begin` and fills the field up to `end`, checked as a weight. Throws LineError.
float parse_weight(const char* begin, const char* end, std::uint64_t line);

/// The position (StringTable::intern) of the first id of a block; the following ids count up. Positions below that of
/// block 0 are free for ids that come before all blocks.
inline std::uint64_t first_position(std::uint64_t block_index) {
  return (block_index + 1) << 32;
}

/// Parses blocks; one per thread. The results stay valid until the next call.
class EdgeBlockParser {
 public:
  explicit EdgeBlockParser(EdgeLineFormat format) : format_(format) {}

  /// Parses a block whose ids are all integers. Returns false, with no result, once an id is none. Throws LineError.
  bool parse_integers(const TextBlock& block);
  /// Parses a block with ids as strings; pairs hold provisional numbers of `names`. Throws LineError.
  void parse_strings(const TextBlock& block, StringTable& names);

  const std::vector<IdPair>& pairs() const { return pairs_; }
  /// As many as pairs if the format reads weights.
  const std::vector<float>& weights() const { return weights_; }
  /// Lines of the block that was parsed last, data or not.
  std::uint64_t lines() const { return lines_; }
  /// The line of the id that made parse_integers return false.
  std::uint64_t stopped_at_line() const { return lines_; }

 private:
  // `read_plain(text, pair)` takes a whole line of the usual kind, or nothing.
  template <typename ReadPlain, typename ReadId>
  bool parse_lines(const TextBlock& block, ReadPlain read_plain, ReadId read_id);
  const char* read_weight(const char* text);
  const char* finish_line(const char* text) const;

  EdgeLineFormat format_;
  std::vector<IdPair> pairs_;
  std::vector<float> weights_;
  std::uint64_t lines_ = 0;
  const char* end_ = nullptr;
};

}  // namespace knotwork::partition
