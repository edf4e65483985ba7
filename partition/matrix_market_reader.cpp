#include "partition/matrix_market_reader.h"

#include <algorithm>
#include <charconv>
#include <numeric>
#include <string>
#include <utility>
#include <vector>

#include "partition/errors.h"

namespace knotwork::partition {

namespace {

constexpr std::string_view kBanner = "%%MatrixMarket";

struct MatrixHeader {
  bool has_values = false;
  bool symmetric = false;
  std::uint64_t node_count = 0;
  std::uint64_t entry_count = 0;
};

std::string lower(std::string_view text) {
  std::string result(text);
  std::transform(result.begin(), result.end(), result.begin(),
                 [](char c) { return static_cast<char>(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c); });
  return result;
}

MatrixHeader parse_banner(const std::string& name, std::string_view line) {
  const std::vector<std::string_view> fields = fields_of(line);
  const auto refuse = [&](const std::string& expected) {
    throw InputError(name + ":1: found '" + std::string(line.substr(0, 100)) + "', expected " + expected);
  };
  if (fields.size() != 5) refuse("'%%MatrixMarket matrix coordinate FIELD SYMMETRY'");
  if (lower(fields[1]) != "matrix" || lower(fields[2]) != "coordinate") refuse("a 'matrix coordinate' file");
  const std::string field = lower(fields[3]);
  const std::string symmetry = lower(fields[4]);
  if (field != "pattern" && field != "real" && field != "integer") refuse("a pattern, real or integer matrix");
  if (symmetry != "general" && symmetry != "symmetric") refuse("a general or symmetric matrix");
  MatrixHeader header;
  header.has_values = field != "pattern";
  header.symmetric = symmetry == "symmetric";
  return header;
}

bool read_number(std::string_view field, std::uint64_t& value) {
  const auto [end, error] = std::from_chars(field.data(), field.data() + field.size(), value);
  return error == std::errc() && end == field.data() + field.size();
}

void parse_size(const std::string& where, std::string_view line, MatrixHeader& header, std::uint64_t max_nodes) {
  const std::vector<std::string_view> fields = fields_of(line);
  std::uint64_t columns = 0;
  if (fields.size() != 3 || !read_number(fields[0], header.node_count) || !read_number(fields[1], columns) ||
      !read_number(fields[2], header.entry_count)) {
    throw InputError(where + "found '" + std::string(line.substr(0, 100)) + "', expected 'rows columns entries'");
  }
  if (header.node_count != columns) {
    throw InputError(where + "found a matrix of " + std::to_string(header.node_count) + " by " +
                     std::to_string(columns) + ", expected a square one: an adjacency matrix");
  }
  if (header.node_count == 0) throw InputError(where + "found an empty matrix, expected at least one row");
  if (header.node_count > max_nodes) {
    throw InputError(where + "found " + std::to_string(columns) + " nodes, expected " + std::to_string(max_nodes) +
                     " at most");
  }
}

// Reads banner and size line from the head and turns the latter into a comment.
MatrixHeader take_header(TextSource& source, const ReadOptions& options) {
  const std::string head(source.head());
  std::size_t begin = 0;
  std::uint64_t number = 0;
  MatrixHeader header;
  while (begin < head.size()) {
    const std::size_t end = std::min(head.find('\n', begin), head.size());
    const std::string_view line = std::string_view(head).substr(begin, end - begin);
    ++number;
    if (number == 1) {
      header = parse_banner(source.name(), line);
    } else if (!line.starts_with('%') && !fields_of(line).empty()) {
      parse_size(source.name() + ":" + std::to_string(number) + ": ", line, header, options.tuning.max_nodes);
      source.overwrite_head(begin, "%");
      return header;
    }
    begin = end + 1;
  }
  throw InputError(source.name() + ":" + std::to_string(number) +
                   ": found no size line, expected 'rows columns entries'");
}

// A symmetric file lists one triangle; as a directed graph it has the arcs of both.
void add_reverses(EdgeArrays& edges) {
  const std::size_t count = edges.chunks.size();
  for (std::size_t c = 0; c < count; ++c) {
    const EdgeChunk& chunk = edges.chunks[c];  // until push_back below
    EdgeChunk reverse{HugeArray<Edge>(chunk.edges.size()), HugeArray<float>(chunk.weights.size())};
    std::transform(chunk.edges.begin(), chunk.edges.end(), reverse.edges.begin(), [](const Edge& edge) {
      return Edge{edge.target, edge.source};
    });
    std::copy(chunk.weights.begin(), chunk.weights.end(), reverse.weights.begin());
    edges.chunks.push_back(std::move(reverse));
  }
}

}  // namespace

bool looks_like_matrix_market(std::string_view head) {
  return lower(head.substr(0, kBanner.size())) == lower(kBanner);
}

ParsedEdges read_matrix_market(TextSource& source, const ReadOptions& options) {
  const MatrixHeader header = take_header(source, options);
  if (options.weights == WeightColumn::kRequire && !header.has_values) {
    throw InputError(source.name() + ":1: found a pattern matrix, expected values as weights");
  }
  const EdgeLineFormat format{.reads_weight = header.has_values && options.weights != WeightColumn::kIgnore,
                              .allows_more_fields = header.has_values && options.weights == WeightColumn::kIgnore,
                              .lowest_id = 1,
                              .highest_id = header.node_count};
  const unsigned team = thread_count(options.threads);
  std::vector<IdChunkFiller> fillers(team);
  std::vector<EdgeBlockParser> parsers(team, EdgeBlockParser(format));
  ParsedEdges result;
  result.lines = for_each_block(source, team, [&](unsigned thread, const TextBlock& block) {
    EdgeBlockParser& parser = parsers[thread];
    if (!parser.parse_integers(block)) {
      throw LineError(parser.stopped_at_line(), "found an entry whose row or column is no integer, expected 1 to " +
                                                    std::to_string(header.node_count));
    }
    fillers[thread].add(parser, block.index, false);
    return parser.lines();
  });
  for (IdChunkFiller& filler : fillers) {
    for (IdChunk& chunk : filler.take()) {
      result.edges_read += chunk.size();
      EdgeChunk edges =
          exchange_ids(std::move(chunk), [](std::uint64_t id) { return static_cast<OriginalNode>(id - 1); });
      result.zero_weights_dropped += drop_zero_weights(edges);
      result.edges.chunks.push_back(std::move(edges));
    }
  }
  if (result.edges_read != header.entry_count) {
    throw InputError(source.name() + ": found " + std::to_string(result.edges_read) + " entries, expected " +
                     std::to_string(header.entry_count) + " as the size line says");
  }
  std::vector<std::uint64_t> names(header.node_count);
  std::iota(names.begin(), names.end(), std::uint64_t{1});
  result.names = NodeNames::from_integers(std::move(names));
  result.directed = !header.symmetric || options.directed;
  if (header.symmetric && options.directed) add_reverses(result.edges);
  return result;
}

}  // namespace knotwork::partition
