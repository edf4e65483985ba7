#include "partition/read_graph.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include "partition/build_graph.h"
#include "partition/edge_list_reader.h"
#include "partition/errors.h"
#include "partition/matrix_market_reader.h"
#include "partition/metis_graph_reader.h"
#include "partition/parsed_edges.h"

namespace knotwork::partition {

namespace {

bool is_named_graph(std::string_view path) {
  for (const std::string_view packed : {".gz", ".zst"}) {
    if (path.ends_with(packed)) path.remove_suffix(packed.size());
  }
  return path.ends_with(".graph");
}

GraphFormat recognised(const std::string& path, std::string_view head) {
  if (looks_like_matrix_market(head)) return GraphFormat::kMatrixMarket;
  if (is_named_graph(path) && looks_like_metis_graph(head)) return GraphFormat::kMetis;
  return GraphFormat::kEdgeList;
}

ParsedEdges read_edges(TextSource& source, GraphFormat format, const ReadOptions& options) {
  switch (format) {
    case GraphFormat::kMetis:
      return read_metis_graph(source, options);
    case GraphFormat::kMatrixMarket:
      return read_matrix_market(source, options);
    default:
      return read_edge_list(source, options);
  }
}

// Whether every arc has its reverse, with the same weight.
bool is_symmetric(const Graph& graph) {
  bool symmetric = true;
#pragma omp parallel for schedule(dynamic, 256) reduction(&& : symmetric)
  for (GlobalNode node = 0; node < graph.row_count(); ++node) {
    const auto list = graph.neighbours(node);
    for (std::size_t i = 0; symmetric && i < list.size(); ++i) {
      const auto back = graph.neighbours(list[i]);
      const auto found = std::lower_bound(back.begin(), back.end(), node);
      symmetric = found != back.end() && *found == node &&
                  (!graph.summary().weighted ||
                   graph.weights(node)[i] == graph.weights(list[i])[static_cast<std::size_t>(found - back.begin())]);
    }
  }
  return symmetric;
}

// The same arcs, called undirected. Ranks by in-degree plus out-degree are ranks by degree then.
Graph undirected_view(const Graph& graph) {
  GraphSummary summary = graph.summary();
  summary.directed = false;
  return Graph(summary, graph.parts(), graph.arrays());
}

}  // namespace

NamedGraph read_graph(const std::string& path, const ReadOptions& options) {
  const auto start = std::chrono::steady_clock::now();
  ReadReport report;
  ParsedEdges parsed;
  {
    TextSource source(path, options.tuning.block_bytes, options.progress);
    report.format = options.format == GraphFormat::kAuto ? recognised(path, source.head()) : options.format;
    if (report.format == GraphFormat::kMatrixMarket && !looks_like_matrix_market(source.head())) {
      throw InputError(source.name() + ":1: found no banner, expected '%%MatrixMarket matrix coordinate …'");
    }
    parsed = read_edges(source, report.format, options);
    report.bytes = source.text_bytes();
  }
  report.lines = parsed.lines;
  report.edges_read = parsed.edges_read;
  report.zero_weights_dropped = parsed.zero_weights_dropped;
  report.header_skipped = parsed.header_skipped;

  BuildReport built;
  Graph graph = build_graph(std::move(parsed.edges), static_cast<OriginalNode>(parsed.names.size()), parsed.directed,
                            built, thread_count(options.threads));
  report.self_loops_dropped = built.self_loops_dropped;
  report.duplicates_merged = built.duplicates_merged;
  const bool may_be_undirected = report.format == GraphFormat::kMatrixMarket && parsed.directed && !options.directed;
  if (may_be_undirected && is_symmetric(graph)) graph = undirected_view(graph);
  report.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  return {std::move(graph), std::move(parsed.names), report};
}

}  // namespace knotwork::partition
