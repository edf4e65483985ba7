#include "partition/metis_graph_reader.h"

#include <algorithm>
#include <bit>
#include <charconv>
#include <numeric>
#include <optional>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "partition/errors.h"

namespace knotwork::partition {

namespace {

struct MetisHeader {
  std::uint64_t node_count = 0;
  std::uint64_t edge_count = 0;
  bool edge_weights = false;
  /// Numbers before the neighbours: vertex size and vertex weights.
  std::uint64_t leading_numbers = 0;
  /// Where the line begins in the head, and its number.
  std::size_t begin = 0;
  std::uint64_t line = 0;
};

bool read_number(std::string_view field, std::uint64_t& value) {
  const auto [end, error] = std::from_chars(field.data(), field.data() + field.size(), value);
  return error == std::errc() && end == field.data() + field.size();
}

// Fields of the header line into numbers; nullopt if it isn't one.
std::optional<MetisHeader> parse_header(std::string_view line) {
  const std::vector<std::string_view> fields = fields_of(line);
  MetisHeader header;
  if (fields.size() < 2 || fields.size() > 4 || !read_number(fields[0], header.node_count) ||
      !read_number(fields[1], header.edge_count)) {
    return std::nullopt;
  }
  std::string flags = fields.size() > 2 ? std::string(fields[2]) : "000";
  if (flags.size() > 3 || flags.find_first_not_of("01") != std::string::npos) return std::nullopt;
  flags.insert(0, 3 - flags.size(), '0');
  std::uint64_t constraints = 1;
  if (fields.size() > 3 && !read_number(fields[3], constraints)) return std::nullopt;
  header.edge_weights = flags[2] == '1';
  header.leading_numbers = (flags[0] == '1' ? 1 : 0) + (flags[1] == '1' ? constraints : 0);
  return header;
}

std::optional<MetisHeader> find_header(std::string_view head) {
  std::uint64_t number = 0;
  for (std::size_t begin = 0; begin < head.size();) {
    const std::size_t end = std::min(head.find('\n', begin), head.size());
    ++number;
    if (head[begin] != '%') {
      std::optional<MetisHeader> header = parse_header(head.substr(begin, end - begin));
      if (header) {
        header->begin = begin;
        header->line = number;
      }
      return header;
    }
    begin = end + 1;
  }
  return std::nullopt;
}

struct MetisArc {
  /// Row counted from the first of its block, later of the file.
  std::uint64_t row;
  OriginalNode neighbour;
  float weight;
};

struct MetisBlock {
  std::uint64_t index = 0;
  std::uint64_t rows = 0;
  /// One past the last row that has something on its line.
  std::uint64_t rows_used = 0;
  std::vector<MetisArc> arcs;
};

// Parses one block of node lines.
class NodeLineParser {
 public:
  NodeLineParser(const MetisHeader& header, WeightColumn weights)
      : header_(header), keeps_weights_(header.edge_weights && weights != WeightColumn::kIgnore) {}

  MetisBlock parse(const TextBlock& block) {
    MetisBlock result;
    result.index = block.index;
    lines_ = 0;
    for (const char* text = block.begin(); text < block.end();) {
      const char* end = std::find(text, block.end(), '\n');
      ++lines_;
      if (*text != '%') parse_line({text, end}, result);
      text = end + 1;
    }
    return result;
  }
  std::uint64_t lines() const { return lines_; }

 private:
  std::uint64_t number(std::string_view field, const char* what) const {
    std::uint64_t value = 0;
    if (!read_number(field, value)) {
      throw LineError(lines_, "found '" + printable(field) + "', expected " + what);
    }
    return value;
  }

  static std::string printable(std::string_view field) {
    std::string text(field.substr(0, 40));
    std::replace_if(
        text.begin(), text.end(), [](unsigned char c) { return c < 32 || c == 127; }, '?');
    return text;
  }

  void parse_line(std::string_view line, MetisBlock& result) {
    const std::uint64_t row = result.rows++;
    std::uint64_t skipped = 0;
    for (std::string_view field = next_field(line); !field.empty(); field = next_field(line)) {
      result.rows_used = row + 1;
      if (skipped < header_.leading_numbers) {
        number(field, "a vertex size or weight (the header's third number announces them)");
        ++skipped;
        continue;
      }
      const std::uint64_t neighbour = number(field, "the number of a neighbour");
      if (neighbour < 1 || neighbour > header_.node_count) {
        throw LineError(lines_, "found neighbour " + std::to_string(neighbour) + ", expected 1 to " +
                                    std::to_string(header_.node_count));
      }
      float weight = 1.0F;
      if (header_.edge_weights) {
        const std::string_view text = next_field(line);
        if (text.empty()) throw LineError(lines_, "found a neighbour without a weight, expected one after each");
        const float read = parse_weight(text.data(), text.data() + text.size(), lines_);
        if (keeps_weights_) weight = read;
      }
      result.arcs.push_back({row, static_cast<OriginalNode>(neighbour - 1), weight});
    }
  }

  // Cuts the next field off `line`; empty at its end. Any byte up to the space separates.
  static std::string_view next_field(std::string_view& line) {
    const auto blank = [](char c) { return c == ' ' || c == '\t' || c == '\r' || c == '\v' || c == '\f'; };
    const auto begin = std::find_if_not(line.begin(), line.end(), blank);
    const auto end = std::find_if(begin, line.end(), blank);
    const std::string_view field(begin, end);
    line = std::string_view(end, line.end());
    return field;
  }

  const MetisHeader& header_;
  bool keeps_weights_;
  std::uint64_t lines_ = 0;
};

using ArcKey = std::tuple<OriginalNode, OriginalNode, float>;

// Order-free checksum of an arc between a < b.
std::uint64_t arc_hash(OriginalNode a, OriginalNode b, float weight) {
  std::uint64_t hash = ((std::uint64_t{a} << 32) | b) * 0x9e3779b97f4a7c15U;
  hash = (hash ^ (hash >> 32) ^ std::bit_cast<std::uint32_t>(weight)) * 0xbf58476d1ce4e5b9U;
  hash = (hash ^ (hash >> 29)) * 0x94d049bb133111ebU;
  return hash ^ (hash >> 32);
}

// Names the first arc that has no equal reverse.
[[noreturn]] void throw_asymmetric(const std::string& name, const std::vector<MetisBlock>& blocks) {
  std::vector<ArcKey> forward;
  std::vector<ArcKey> backward;
  for (const MetisBlock& block : blocks) {
    for (const MetisArc& arc : block.arcs) {
      const auto row = static_cast<OriginalNode>(arc.row);
      if (row < arc.neighbour) forward.emplace_back(row, arc.neighbour, arc.weight);
      if (row > arc.neighbour) backward.emplace_back(arc.neighbour, row, arc.weight);
    }
  }
  std::sort(forward.begin(), forward.end());
  std::sort(backward.begin(), backward.end());
  const auto [f, b] = std::mismatch(forward.begin(), forward.end(), backward.begin(), backward.end());
  const bool missing_backward = b == backward.end() || (f != forward.end() && *f < *b);
  auto [from, to, weight] = missing_backward ? *f : *b;
  if (!missing_backward) std::swap(from, to);
  throw InputError(name + ": found that node " + std::to_string(from + 1) + " lists node " + std::to_string(to + 1) +
                   " but not the reverse, expected each edge at both of its nodes with the same weight");
}

// Makes rows count from the start of the file and checks their number.
void number_rows(const std::string& name, const MetisHeader& header, std::vector<MetisBlock>& blocks) {
  std::sort(blocks.begin(), blocks.end(), [](const auto& a, const auto& b) { return a.index < b.index; });
  std::uint64_t first = 0;
  std::uint64_t used = 0;
  for (MetisBlock& block : blocks) {
    for (MetisArc& arc : block.arcs) arc.row += first;
    if (block.rows_used > 0) used = first + block.rows_used;
    first += block.rows;
  }
  if (first < header.node_count || used > header.node_count) {
    throw InputError(name + ": found " + std::to_string(std::max(first < header.node_count ? first : used, used)) +
                     " node lines, expected " + std::to_string(header.node_count) + " as the header on line " +
                     std::to_string(header.line) + " says");
  }
}

struct ArcCounts {
  std::uint64_t arcs = 0;
  std::uint64_t loops = 0;
  bool symmetric = true;
};

ArcCounts count_arcs(const std::vector<MetisBlock>& blocks) {
  ArcCounts counts;
  std::uint64_t balance = 0;  // forward hashes minus backward ones
  std::uint64_t forward = 0;
  std::uint64_t backward = 0;
  for (const MetisBlock& block : blocks) {
    for (const MetisArc& arc : block.arcs) {
      const auto row = static_cast<OriginalNode>(arc.row);
      ++counts.arcs;
      if (row == arc.neighbour) {
        ++counts.loops;
      } else if (row < arc.neighbour) {
        ++forward;
        balance += arc_hash(row, arc.neighbour, arc.weight);
      } else {
        ++backward;
        balance -= arc_hash(arc.neighbour, row, arc.weight);
      }
    }
  }
  counts.symmetric = balance == 0 && forward == backward;
  return counts;
}

// A self-loop, which METIS forbids, may have been counted once, half or not at all.
void check_edge_count(const std::string& name, const MetisHeader& header, const ArcCounts& counts) {
  const std::uint64_t proper = (counts.arcs - counts.loops) / 2;
  if (header.edge_count >= proper && header.edge_count <= proper + counts.loops) return;
  throw InputError(name + ":" + std::to_string(header.line) + ": found a header that says " +
                   std::to_string(header.edge_count) + " edges, expected " + std::to_string(proper) +
                   " as the node lines list (each edge counted once)");
}

EdgeChunk edges_of(MetisBlock&& block, bool directed, bool weighted) {
  const auto keep = [&](const MetisArc& arc) { return directed || arc.row <= arc.neighbour; };
  const auto kept = static_cast<std::size_t>(std::count_if(block.arcs.begin(), block.arcs.end(), keep));
  EdgeChunk chunk{HugeArray<Edge>(kept), HugeArray<float>(weighted ? kept : 0)};
  std::size_t filled = 0;
  for (const MetisArc& arc : block.arcs) {
    if (!keep(arc)) continue;
    if (weighted) chunk.weights[filled] = arc.weight;
    chunk.edges[filled++] = {static_cast<OriginalNode>(arc.row), arc.neighbour};
  }
  block.arcs = {};
  return chunk;
}

MetisHeader take_header(TextSource& source, const ReadOptions& options) {
  const std::optional<MetisHeader> header = find_header(source.head());
  if (!header) {
    throw InputError(source.name() + ": found no METIS header, expected 'nodes edges [fmt [ncon]]' on the first line");
  }
  const std::string where = source.name() + ":" + std::to_string(header->line) + ": ";
  if (header->node_count == 0) throw InputError(where + "found an empty graph, expected at least one node");
  if (header->node_count > options.tuning.max_nodes) {
    throw InputError(where + "found " + std::to_string(header->node_count) + " nodes, expected " +
                     std::to_string(options.tuning.max_nodes) + " at most");
  }
  if (options.weights == WeightColumn::kRequire && !header->edge_weights) {
    throw InputError(where + "found a graph without edge weights, expected them (fmt ending in 1)");
  }
  source.overwrite_head(header->begin, "%");
  return *header;
}

}  // namespace

bool looks_like_metis_graph(std::string_view head) {
  return find_header(head).has_value();
}

ParsedEdges read_metis_graph(TextSource& source, const ReadOptions& options) {
  const MetisHeader header = take_header(source, options);
  const unsigned team = thread_count(options.threads);
  std::vector<std::vector<MetisBlock>> by_thread(team);
  ParsedEdges result;
  result.lines = for_each_block(source, team, [&](unsigned thread, const TextBlock& block) {
    NodeLineParser parser(header, options.weights);
    by_thread[thread].push_back(parser.parse(block));
    return parser.lines();
  });
  std::vector<MetisBlock> blocks;
  for (std::vector<MetisBlock>& own : by_thread) std::move(own.begin(), own.end(), std::back_inserter(blocks));
  number_rows(source.name(), header, blocks);
  const ArcCounts counts = count_arcs(blocks);
  if (!options.directed) {
    if (!counts.symmetric) throw_asymmetric(source.name(), blocks);
    check_edge_count(source.name(), header, counts);
  }

  const bool weighted = header.edge_weights && options.weights != WeightColumn::kIgnore;
  for (MetisBlock& block : blocks) {
    EdgeChunk chunk = edges_of(std::move(block), options.directed, weighted);
    result.edges_read += chunk.edges.size();
    result.zero_weights_dropped += drop_zero_weights(chunk);
    result.edges.chunks.push_back(std::move(chunk));
  }
  std::vector<std::uint64_t> names(header.node_count);
  std::iota(names.begin(), names.end(), std::uint64_t{1});
  result.names = NodeNames::from_integers(std::move(names));
  result.directed = options.directed;
  return result;
}

}  // namespace knotwork::partition
