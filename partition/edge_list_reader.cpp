#include "partition/edge_list_reader.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <bit>
#include <charconv>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "partition/errors.h"

namespace knotwork::partition {

namespace {

struct HeadLine {
  std::size_t begin = 0;
  std::uint64_t number = 0;
  std::string_view text;
  std::vector<std::string_view> fields;
};

// The first data lines of the head, two at most.
std::vector<HeadLine> first_data_lines(std::string_view head) {
  std::vector<HeadLine> lines;
  std::uint64_t number = 0;
  for (std::size_t begin = 0; begin < head.size() && lines.size() < 2;) {
    const std::size_t end = std::min(head.find('\n', begin), head.size());
    if (end == head.size() && end == TextSource::kHeadBytes) break;  // cut off
    HeadLine line{begin, ++number, head.substr(begin, end - begin), {}};
    line.fields = fields_of(line.text);
    if (!line.fields.empty() && line.fields[0][0] != '#' && line.fields[0][0] != '%') lines.push_back(std::move(line));
    begin = end + 1;
  }
  return lines;
}

std::string folded(std::string_view field) {
  std::string result;
  for (const char c : field) {
    if (c != '_') result += static_cast<char>(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
  }
  return result;
}

bool begins_like_a_word(std::string_view field) {
  const char c = field[0];
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

bool is_number(std::string_view field) {
  double value = 0.0;
  return std::from_chars(field.data(), field.data() + field.size(), value).ptr == field.data() + field.size();
}

enum class HeaderKind { kNone, kCertain, kIfAllIdsAreIntegers };

HeaderKind header_kind(const std::vector<HeadLine>& lines) {
  using Pair = std::pair<std::string_view, std::string_view>;
  static constexpr std::array<Pair, 8> kPairs = {{{"source", "target"},
                                                  {"src", "dst"},
                                                  {"from", "to"},
                                                  {"fromnodeid", "tonodeid"},
                                                  {"node1", "node2"},
                                                  {"head", "tail"},
                                                  {"user", "item"},
                                                  {"u", "v"}}};
  if (lines.empty() || lines[0].fields.size() < 2) return HeaderKind::kNone;
  const std::vector<std::string_view>& fields = lines[0].fields;
  const std::string first = folded(fields[0]);
  const std::string second = folded(fields[1]);
  if (std::find(kPairs.begin(), kPairs.end(), Pair{first, second}) != kPairs.end()) return HeaderKind::kCertain;
  const bool more = fields.size() > 2;
  if (more && (folded(fields[2]) == "weight" || folded(fields[2]) == "w")) return HeaderKind::kCertain;
  const bool words = begins_like_a_word(fields[0]) && begins_like_a_word(fields[1]) && !(more && is_number(fields[2]));
  const bool integers_follow = lines.size() > 1 && lines[1].fields.size() > 1 &&
                               is_canonical_integer(lines[1].fields[0]) && is_canonical_integer(lines[1].fields[1]);
  return words && integers_follow ? HeaderKind::kIfAllIdsAreIntegers : HeaderKind::kNone;
}

// std::popcount is a call into a table without -mpopcnt, which one binary for all machines can't be built with.
// Warren, "Hacker's Delight", figure 5-2.
constexpr std::uint32_t bit_count(std::uint64_t word) {
  word -= (word >> 1) & 0x5555555555555555U;
  word = (word & 0x3333333333333333U) + ((word >> 2) & 0x3333333333333333U);
  word = (word + (word >> 4)) & 0x0f0f0f0f0f0f0f0fU;
  return static_cast<std::uint32_t>((word * 0x0101010101010101U) >> 56);
}

// Original nodes of integer ids that lie densely: a bitmap of ids with running counts, 1.5 bits an id.
class DenseIds {
 public:
  explicit DenseIds(std::uint64_t highest) : present_(highest / 64 + 1), before_(highest / 64 + 1) {}

  void insert(std::uint64_t id) {
    std::atomic_ref<std::uint64_t> word(present_[id / 64]);
    const std::uint64_t bit = std::uint64_t{1} << (id % 64);
    if ((word.load(std::memory_order_relaxed) & bit) == 0) word.fetch_or(bit, std::memory_order_relaxed);
  }
  // Returns the ids, rising.
  std::vector<std::uint64_t> settle() {
    std::uint64_t count = 0;
    for (std::size_t w = 0; w < present_.size(); ++w) {
      before_[w] = static_cast<OriginalNode>(count);
      count += bit_count(present_[w]);
    }
    std::vector<std::uint64_t> ids;
    ids.reserve(count);
    for (std::size_t w = 0; w < present_.size(); ++w) {
      for (std::uint64_t word = present_[w]; word != 0; word &= word - 1) {
        ids.push_back(w * 64 + static_cast<std::uint64_t>(std::countr_zero(word)));
      }
    }
    return ids;
  }
  OriginalNode number(std::uint64_t id) const {
    const std::uint64_t lower = (std::uint64_t{1} << (id % 64)) - 1;
    return before_[id / 64] + bit_count(present_[id / 64] & lower);
  }
  static std::uint64_t bytes(std::uint64_t highest) { return (highest / 64 + 1) * 12; }

 private:
  HugeArray<std::uint64_t> present_;
  HugeArray<OriginalNode> before_;
};

class EdgeListReader {
 public:
  EdgeListReader(TextSource& source, const ReadOptions& options)
      : source_(source),
        options_(options),
        team_(thread_count(options.threads)),
        strings_(source.name(), options.tuning.max_nodes) {}

  ParsedEdges read() {
    look_at_head();
    parse();
    if (chunks_.empty()) throw_no_edges();
    result_.directed = options_.directed;
    for (const IdChunk& chunk : chunks_) result_.edges_read += chunk.size();
    if (found_string_) {
      settle_strings();
    } else {
      settle_integers();
    }
    return std::move(result_);
  }

 private:
  [[noreturn]] void throw_no_edges() const {
    throw InputError(source_.name() + ": found no edges, expected lines of the form 'source target [weight]'");
  }

  void look_at_head() {
    const std::vector<HeadLine> lines = first_data_lines(source_.head());
    header_ = header_kind(lines);
    const std::size_t first = header_ == HeaderKind::kNone ? 0 : 1;
    const bool third_field = lines.size() > first && lines[first].fields.size() > 2 && lines[first].fields[2][0] != '#';
    if (options_.weights == WeightColumn::kRequire && lines.size() > first && !third_field) {
      throw InputError(source_.name() + ":" + std::to_string(lines[first].number) +
                       ": found 2 fields, expected a weight as the third");
    }
    format_.reads_weight = third_field && options_.weights != WeightColumn::kIgnore;
    format_.allows_more_fields = third_field || options_.weights == WeightColumn::kIgnore;
    if (header_ == HeaderKind::kNone) return;
    result_.header_skipped = true;
    header_line_ = lines[0].number;
    header_fields_.assign(lines[0].fields.begin(), lines[0].fields.end());
    source_.overwrite_head(lines[0].begin, std::string(lines[0].text.size(), ' '));
  }

  void parse() {
    std::vector<IdChunkFiller> fillers(team_);
    std::vector<EdgeBlockParser> parsers(team_, EdgeBlockParser(format_));
    result_.lines = for_each_block(source_, team_, [&](unsigned thread, const TextBlock& block) {
      EdgeBlockParser& parser = parsers[thread];
      const bool integers = !found_string_.load(std::memory_order_relaxed) && parser.parse_integers(block);
      if (!integers) {
        found_string_ = true;
        parser.parse_strings(block, strings_);
      }
      fillers[thread].add(parser, block.index, !integers);
      return parser.lines();
    });
    for (IdChunkFiller& filler : fillers) {
      for (IdChunk& chunk : filler.take()) chunks_.push_back(std::move(chunk));
    }
  }

  // Takes a chunk of integers back to strings.
  void intern_integers(IdChunk& chunk) {
    std::array<char, 20> digits{};
    const auto interned = [&](std::uint64_t id, std::uint64_t position) {
      char* const end = std::to_chars(digits.data(), digits.data() + digits.size(), id).ptr;
      return strings_.intern({digits.data(), end}, position);
    };
    HugeArray<Edge> numbers(chunk.size());
    std::size_t next_segment = 0;
    std::uint64_t position = 0;
    for (std::size_t i = 0; i < numbers.size(); ++i, position += 2) {
      if (next_segment < chunk.segments.size() && chunk.segments[next_segment].first_edge == i) {
        const IdSegment& segment = chunk.segments[next_segment++];
        position = first_position(segment.block) + (2 * segment.edges_before);
      }
      const IdPair pair = chunk.pair(i);
      numbers[i].source = interned(pair.source, position);
      numbers[i].target = interned(pair.target, position + 1);
    }
    chunk.narrow = std::move(numbers);
    chunk.wide = HugeArray<IdPair>();
    chunk.holds_strings = true;
  }

  // The supposed header was an edge after all.
  void reinstate_header() {
    IdChunk chunk;
    chunk.narrow = HugeArray<Edge>(1);
    chunk.narrow[0].source = strings_.intern(header_fields_[0], 0);
    chunk.narrow[0].target = strings_.intern(header_fields_[1], 1);
    if (format_.reads_weight) {
      throw InputError(source_.name() + ":" + std::to_string(header_line_) + ": found no number as the third field, " +
                       "expected a weight as on the other lines");
    }
    chunks_.push_back(std::move(chunk));
    ++result_.edges_read;
    result_.header_skipped = false;
  }

  void settle_strings() {
    for (IdChunk& chunk : chunks_) {
      if (!chunk.holds_strings) intern_integers(chunk);
    }
    if (header_ == HeaderKind::kIfAllIdsAreIntegers) reinstate_header();
    const SettledNames settled = strings_.settle();
    result_.names = settled.names;
    exchange([&](std::uint64_t number) { return settled.original[number]; });
  }

  void settle_integers() {
    std::uint64_t highest = 0;
    for (const IdChunk& chunk : chunks_) highest = std::max(highest, chunk.highest_id);
    constexpr std::uint64_t kAlwaysFine = std::uint64_t{1} << 20;
    if (DenseIds::bytes(highest) <= std::max(kAlwaysFine, result_.edges_read * 4)) {
      DenseIds ids(highest);
      for_each_id([&](auto each) { each([&](std::uint64_t id) { ids.insert(id); }); });
      settle_with(ids);
    } else {
      IntegerTable ids(source_.name(), options_.tuning.max_nodes);
      for_each_id([&](auto each) {
        IntegerTable::Inserter inserter(ids);
        each([&](std::uint64_t id) { inserter.insert(id); });
        inserter.flush();
      });
      settle_with(ids);
    }
  }

  // In each thread calls `visit(each)`, where each(f) calls f for every id of the thread's share of chunks.
  template <typename Visit>
  void for_each_id(Visit visit) {
#pragma omp parallel num_threads(static_cast <int>(team_))
    visit([&](auto use) {
#pragma omp for schedule(dynamic)
      for (std::size_t c = 0; c < chunks_.size(); ++c) {
        for (std::size_t i = 0; i < chunks_[c].size(); ++i) {
          const IdPair pair = chunks_[c].pair(i);
          use(pair.source);
          use(pair.target);
        }
      }
    });
  }

  template <typename Ids>
  void settle_with(Ids& ids) {
    std::vector<std::uint64_t> names = ids.settle();
    if (names.size() > options_.tuning.max_nodes) {
      throw InputError(source_.name() + ": found " + std::to_string(names.size()) + " different nodes, expected " +
                       std::to_string(options_.tuning.max_nodes) + " at most");
    }
    const bool identity = names.back() == names.size() - 1;
    result_.names = NodeNames::from_integers(std::move(names));
    if (identity) {
      exchange([](std::uint64_t id) { return static_cast<OriginalNode>(id); });
    } else {
      exchange([&](std::uint64_t id) { return ids.number(id); });
    }
  }

  template <typename ToNode>
  void exchange(ToNode to_node) {
    std::vector<EdgeChunk> edges(chunks_.size());
    std::uint64_t zeros = 0;
#pragma omp parallel for num_threads(static_cast <int>(team_)) schedule(dynamic) reduction(+ : zeros)
    for (std::size_t c = 0; c < chunks_.size(); ++c) {
      edges[c] = exchange_ids(std::move(chunks_[c]), to_node);
      zeros += drop_zero_weights(edges[c]);
    }
    chunks_.clear();
    result_.edges.chunks = std::move(edges);
    result_.zero_weights_dropped = zeros;
  }

  TextSource& source_;
  const ReadOptions& options_;
  unsigned team_;
  EdgeLineFormat format_;
  HeaderKind header_ = HeaderKind::kNone;
  std::uint64_t header_line_ = 0;
  std::vector<std::string> header_fields_;
  StringTable strings_;
  std::atomic<bool> found_string_{false};
  std::vector<IdChunk> chunks_;
  ParsedEdges result_;
};

}  // namespace

ParsedEdges read_edge_list(TextSource& source, const ReadOptions& options) {
  return EdgeListReader(source, options).read();
}

}  // namespace knotwork::partition
