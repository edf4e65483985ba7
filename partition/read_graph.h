// Reads a graph that a person has: an edge list, a METIS .graph or a Matrix Market file, plain, .gz or .zst.
//
// Formats
//   edge list       `source target [weight]` on each line; the grammar is in edge_list_parser.h, headers and what makes
//                   ids integers or strings in edge_list_reader.h
//   METIS .graph    manual of METIS 5.1, section 4.1.1; metis_graph_reader.h
//   Matrix Market   coordinate files, https://math.nist.gov/MatrixMarket/formats.html; matrix_market_reader.h
//
// How a format is recognised (GraphFormat::kAuto): text that starts with "%%MatrixMarket" is Matrix Market. A METIS
// file can look just like an integer edge list, so it is taken for one only if the name ends in .graph (or .graph.gz,
// .graph.zst) and its first line that is no comment has the form of a METIS header. All else is an edge list.
// Compression is recognised by magic bytes in all cases.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "partition/graph.h"
#include "partition/ids.h"
#include "partition/node_names.h"
#include "partition/text_source.h"

namespace knotwork::partition {

enum class GraphFormat { kAuto, kEdgeList, kMetis, kMatrixMarket };

/// What to do with weights. Zero weights mean "no edge" where weights are read: the edge is dropped and counted, its
/// nodes stay (no walk crosses such an edge, and it adds nothing to any weighted sum).
enum class WeightColumn {
  /// Use weights if the file has them; an edge list has them if its first line has three fields or more.
  kAuto,
  /// A file without weights is an error.
  kRequire,
  /// The graph is unweighted whatever the file says; further fields are skipped.
  kIgnore,
};

/// What tests change to reach the corners; nobody else needs to.
struct ReadTuning {
  /// Text that a thread takes at a time.
  std::size_t block_bytes = std::size_t{1} << 18;
  /// More different nodes are an error.
  std::uint64_t max_nodes = kMaxNodes;
};

struct ReadOptions {
  GraphFormat format = GraphFormat::kAuto;
  /// Edge lists: lines are arcs. METIS: arcs are taken as they stand, without the check that each has its reverse.
  /// Matrix Market: see matrix_market_reader.h.
  bool directed = false;
  WeightColumn weights = WeightColumn::kAuto;
  /// 0: all of the machine. The result does not depend on it.
  unsigned threads = 0;
  ReadProgress progress;
  ReadTuning tuning;
};

/// What was read, for notices and reports.
struct ReadReport {
  GraphFormat format = GraphFormat::kEdgeList;
  /// Text after decompression.
  std::uint64_t bytes = 0;
  std::uint64_t lines = 0;
  /// Edges as the file lists them, before anything was dropped or merged (METIS: each edge once).
  std::uint64_t edges_read = 0;
  std::uint64_t self_loops_dropped = 0;
  std::uint64_t duplicates_merged = 0;
  std::uint64_t zero_weights_dropped = 0;
  /// The first line was a header and not an edge.
  bool header_skipped = false;
  double seconds = 0.0;
};

struct NamedGraph {
  Graph graph;
  NodeNames names;
  ReadReport report;
};

/// Reads the graph at `path` ("-": standard input) as one part.
///
/// Memory: the file is never held as a whole; integer ids peak below 2 times the finished arrays of an undirected graph
/// and below 3 times those of a directed one (plus the dictionary and some megabytes for each thread; each duplicate of
/// an edge adds 12 bytes at most).
/// Throws InputError, one line `file:line: found …, expected …`, for anything wrong with the input: no such file, a
/// folder, no permission, no edges, lines of one field, weights that are no numbers, negative, NaN or infinite, binary
/// data, compressed data that is damaged or cut off, too many nodes. SystemError if reading fails on the way.
NamedGraph read_graph(const std::string& path, const ReadOptions& options = {});

}  // namespace knotwork::partition
