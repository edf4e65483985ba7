// Digits are read eight at a time (SWAR: Lemire, "Quickly parsing eight digits", 2018), without a branch per digit.
#include "partition/edge_list_parser.h"

#include <array>
#include <bit>
#include <charconv>
#include <cmath>
#include <cstring>
#include <string>
#include <utility>

namespace knotwork::partition {

namespace {

static_assert(std::endian::native == std::endian::little, "read_integer assumes that the first byte is the lowest");

enum class ByteKind : std::uint8_t { kField, kBlank, kNewline, kControl };

constexpr std::array<ByteKind, 256> kByteKinds = [] {
  std::array<ByteKind, 256> kinds{};
  for (std::size_t byte = 0; byte < 32; ++byte) kinds[byte] = ByteKind::kControl;
  kinds[127] = ByteKind::kControl;
  for (const char blank : {' ', '\t', '\v', '\f', '\r', ',', ';'}) {
    kinds[static_cast<unsigned char>(blank)] = ByteKind::kBlank;
  }
  kinds['\n'] = ByteKind::kNewline;
  return kinds;
}();

ByteKind kind_of(char byte) {
  return kByteKinds[static_cast<unsigned char>(byte)];
}

const char* skip_blanks(const char* text) {
  while (kind_of(*text) == ByteKind::kBlank) ++text;
  return text;
}

const char* end_of_field(const char* text) {
  while (kind_of(*text) == ByteKind::kField) ++text;
  return text;
}

// Blocks end with a newline, so there always is one before `end`.
const char* after_newline(const char* text, const char* end) {
  return static_cast<const char*>(std::memchr(text, '\n', static_cast<std::size_t>(end - text))) + 1;
}

std::string control_byte_message(char byte) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  const auto value = static_cast<unsigned char>(byte);
  return std::string("found the control byte 0x") + kDigits[value >> 4] + kDigits[value & 15U] +
         ", expected text: is this a graph file?";
}

// The eight digits in `chunk` (first digit in the lowest byte) as a number.
std::uint64_t eight_digits(std::uint64_t chunk) {
  chunk = (chunk * 10) + (chunk >> 8);
  constexpr std::uint64_t kMask = 0x000000ff000000ffU;
  constexpr std::uint64_t kScaleHigh = 0x000f424000000064U;  // 100 + (1000000 << 32)
  constexpr std::uint64_t kScaleLow = 0x0000271000000001U;   // 1 + (10000 << 32)
  return (((chunk & kMask) * kScaleHigh) + (((chunk >> 16) & kMask) * kScaleLow)) >> 32;
}

// Reads a canonical integer at `text` and moves `text` behind it. The byte behind may be anything: the caller checks
// that the field ends there. Reads up to 8 bytes beyond the field.
bool read_integer(const char*& text, std::uint64_t& value) {
  std::uint64_t chunk;
  std::memcpy(&chunk, text, sizeof(chunk));
  const std::uint64_t digits = chunk ^ 0x3030303030303030U;  // digits become 0..9, everything else more
  // The high bit of each byte that holds no digit (a carry can only spoil bytes above the first such one).
  const std::uint64_t others = ((digits + 0x7676767676767676U) | digits) & 0x8080808080808080U;
  if (others != 0) {
    const int length = std::countr_zero(others) >> 3;
    if (length == 0 || (*text == '0' && length > 1)) return false;
    value = eight_digits(digits << (64 - (8 * length)));
    text += length;
    return true;
  }
  const auto [end, error] = std::from_chars(text, text + 21, value);
  if (error != std::errc() || *text == '0') return false;
  text = end;
  return true;
}

// Bit i says that byte i of the eight at `text` is no digit.
std::uint32_t non_digits(const char* text) {
  std::uint64_t chunk;
  std::memcpy(&chunk, text, sizeof(chunk));
  const std::uint64_t digits = chunk ^ 0x3030303030303030U;
  const std::uint64_t low_bits = 0x7f7f7f7f7f7f7f7fU;
  const std::uint64_t others = (((digits & low_bits) + 0x7676767676767676U) | digits) & ~low_bits;
  return static_cast<std::uint32_t>(((others >> 7) * 0x0102040810204080U) >> 56);
}

// The number in the `length` digits at `text`, 1 to 8 of them.
std::uint64_t short_integer(const char* text, std::uint32_t length) {
  std::uint64_t chunk;
  std::memcpy(&chunk, text, sizeof(chunk));
  return eight_digits((chunk ^ 0x3030303030303030U) << (64 - (8 * length)));
}

// Reads a line as most are: two canonical integers of at most 8 digits, one blank between them, a newline behind. Finds
// both ends at once, so that a line waits for one chain of instructions instead of one a field. Returns false, without
// moving `text`, for any other line. Reads up to 34 bytes.
bool read_plain_line(const char*& text, IdPair& pair) {
  const std::uint32_t others = non_digits(text) | (non_digits(text + 8) << 8) | (non_digits(text + 16) << 16);
  const auto blank = static_cast<std::uint32_t>(std::countr_zero(others));
  const auto newline = static_cast<std::uint32_t>(std::countr_zero(others & (others - 1)));
  const std::uint32_t second = blank + 1;
  const std::uint32_t second_length = newline - second;  // wraps around if there is no newline
  const bool lengths_fit = (blank - 1 < 8) & (second_length - 1 < 8);
  const bool ends_fit = (kind_of(text[blank]) == ByteKind::kBlank) & (text[newline] == '\n');
  const bool canonical = ((text[0] != '0') | (blank == 1)) & ((text[second] != '0') | (second_length == 1));
  const bool plain = lengths_fit & ends_fit & canonical;
  if (!plain) return false;
  pair = {short_integer(text, blank), short_integer(text + second, second_length)};
  text += newline + 1;
  return true;
}

}  // namespace

std::vector<std::string_view> fields_of(std::string_view line) {
  std::vector<std::string_view> fields;
  std::size_t begin = 0;
  while (begin < line.size()) {
    while (begin < line.size() && kind_of(line[begin]) != ByteKind::kField) ++begin;
    std::size_t end = begin;
    while (end < line.size() && kind_of(line[end]) == ByteKind::kField) ++end;
    if (end > begin) fields.push_back(line.substr(begin, end - begin));
    begin = end;
  }
  return fields;
}

bool is_canonical_integer(std::string_view text) {
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  return error == std::errc() && end == text.data() + text.size() && (text.size() == 1 || text.front() != '0');
}

float parse_weight(const char* begin, const char* end, std::uint64_t line) {
  const auto found = [&] { return "found '" + std::string(begin, end) + "' as a weight, expected "; };
  const char* const digits = end - begin > 1 && *begin == '+' ? begin + 1 : begin;
  double weight = 0.0;
  const auto [stop, error] = std::from_chars(digits, end, weight);
  if (error == std::errc::invalid_argument || stop != end) {
    throw LineError(line, found() + "a number (or give the option to ignore weights)");
  }
  if (error != std::errc() || !std::isfinite(weight) || weight > double{std::numeric_limits<float>::max()}) {
    throw LineError(line, found() + "a finite number below 3.4e38");
  }
  if (weight < 0.0) throw LineError(line, found() + "a number that is not negative");
  const auto rounded = static_cast<float>(weight);
  // Only a true zero means "no edge".
  return rounded == 0.0F && weight > 0.0 ? std::numeric_limits<float>::min() : rounded;
}

const char* EdgeBlockParser::read_weight(const char* text) {
  const char* const end = end_of_field(text);
  if (end == text) throw LineError(lines_, "found 2 fields, expected a weight as the third");
  weights_.push_back(parse_weight(text, end, lines_));
  return skip_blanks(end);
}

const char* EdgeBlockParser::finish_line(const char* text) const {
  if (*text == '\n') return text + 1;
  if (format_.allows_more_fields || *text == '#') return after_newline(text, end_);
  if (kind_of(*text) == ByteKind::kControl) throw LineError(lines_, control_byte_message(*text));
  throw LineError(lines_, "found a third field '" + std::string(text, end_of_field(text)) +
                              "', expected 2 fields as on the first line");
}

template <typename ReadPlain, typename ReadId>
bool EdgeBlockParser::parse_lines(const TextBlock& block, ReadPlain read_plain, ReadId read_id) {
  pairs_.clear();
  weights_.clear();
  lines_ = 0;
  end_ = block.end();
  for (const char* text = block.begin(); text < block.end();) {
    ++lines_;
    IdPair pair;
    if (read_plain(text, pair)) {
      pairs_.push_back(pair);
      continue;
    }
    text = skip_blanks(text);
    if (*text == '\n') {
      ++text;
      continue;
    }
    if (*text == '#' || *text == '%') {
      text = after_newline(text, end_);
      continue;
    }
    const char* const first = text;
    if (!read_id(text, pair.source)) return false;
    const char* const first_end = text;
    text = skip_blanks(text);
    if (*text == '\n') {
      throw LineError(lines_, "found one field '" + std::string(first, first_end) +
                                  "', expected two node ids (and maybe a weight)");
    }
    if (!read_id(text, pair.target)) return false;
    text = skip_blanks(text);
    if (format_.reads_weight) text = read_weight(text);
    pairs_.push_back(pair);
    text = finish_line(text);
  }
  return true;
}

bool EdgeBlockParser::parse_integers(const TextBlock& block) {
  const std::uint64_t lowest = format_.lowest_id;
  const std::uint64_t width = format_.highest_id - lowest;
  const auto is_allowed = [&](std::uint64_t id) { return id - lowest <= width; };
  const auto read_plain = [&](const char*& text, IdPair& pair) {
    const char* behind = text;
    if (format_.reads_weight || !read_plain_line(behind, pair)) return false;
    if (!is_allowed(pair.source) || !is_allowed(pair.target)) return false;
    text = behind;
    return true;
  };
  return parse_lines(block, read_plain, [&](const char*& text, std::uint64_t& id) {
    if (!read_integer(text, id)) return false;
    const ByteKind behind = kind_of(*text);
    if (behind != ByteKind::kBlank && behind != ByteKind::kNewline) return false;
    if (!is_allowed(id)) {
      throw LineError(lines_, "found node " + std::to_string(id) + ", expected " + std::to_string(lowest) + " to " +
                                  std::to_string(format_.highest_id));
    }
    return true;
  });
}

void EdgeBlockParser::parse_strings(const TextBlock& block, StringTable& names) {
  std::uint64_t position = first_position(block.index);
  const auto never_plain = [](const char*&, IdPair&) { return false; };
  parse_lines(block, never_plain, [&](const char*& text, std::uint64_t& id) {
    const char* const end = end_of_field(text);
    if (kind_of(*end) == ByteKind::kControl) throw LineError(lines_, control_byte_message(*end));
    id = names.intern({text, end}, position++);
    text = end;
    return true;
  });
}

}  // namespace knotwork::partition
