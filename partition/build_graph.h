// From a heap of edges to a Graph: duplicates merged, self-loops dropped, nodes renumbered by degree.
//
// How: (1) the ends of edges give every node's degree, duplicates included, and the degrees a ranking; (2) edges become
// arcs between ranks, an undirected edge only once, in the row of its lesser node, and are parted into buckets of rows
// that fit in a core's cache (arc_buckets.h); (3) bucket by bucket they are placed into rows, sorted and merged
// (distinct_rows.h); (4) if merging changed the order of degrees, (2) and (3) are done once more by the new ranking;
// (5) the rows of an undirected graph are mirrored: own arcs lead to lower ranks and stay where they are, reversed
// arcs come from higher ranks and, row after row, in rising order, so that nothing is sorted twice.
//
// Memory: edges are freed while they are parted, arcs while they are placed into rows. The peak is 1.5 times the
// finished arrays for an undirected graph and 2.3 times for a directed one (a little more: open blocks and slabs of the
// buckets; duplicates count until they are merged). Counters belong to one thread each; threads whose counters would
// take more than about the finished arrays are not used.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "partition/graph.h"
#include "partition/huge_array.h"
#include "partition/ids.h"

namespace knotwork::partition {

/// One edge between original nodes; an arc from source to target if the graph is directed.
struct Edge {
  OriginalNode source = 0;
  OriginalNode target = 0;
};

/// A run of edges as one reader thread produced it.
struct EdgeChunk {
  HugeArray<Edge> edges;
  /// As many as edges, positive and finite; empty if the graph is unweighted.
  HugeArray<float> weights;
};

/// Edges in chunks, so that threads fill them apart and the builder frees them piece by piece. The order of chunks and
/// of edges does not matter to build_graph. Either all chunks have weights or none has.
struct EdgeArrays {
  std::vector<EdgeChunk> chunks;

  /// Copies `edges` (and `weights`, as many or none) into one chunk. Throws std::invalid_argument if sizes differ.
  static EdgeArrays copy_of(std::span<const Edge> edges, std::span<const float> weights = {});
  std::uint64_t edge_count() const;
};

/// What building left out.
struct BuildReport {
  std::uint64_t self_loops_dropped = 0;
  /// Edges that were merged into an equal one. {a, b} and {b, a} are equal unless the graph is directed.
  std::uint64_t duplicates_merged = 0;
};

/// Builds the whole graph as one part and frees `edges` on the way.
///
/// Nodes are ranked by falling degree, ties by the smaller original node; the degree is the number of distinct
/// neighbours, in a directed graph in-degree plus out-degree, since a node is visited through its incoming arcs as
/// well. Weights of duplicates are added (in double, then rounded); without weights duplicates are just merged.
/// Self-loops are dropped and counted, their node stays; nodes without edges are kept.
///
/// The result does not depend on `threads` (0: as many as OpenMP would take) nor on the order of the edges.
/// Throws std::invalid_argument for an edge with a node >= node_count, a weight that is not positive and finite, or
/// chunks of which only some have weights; std::bad_alloc.
Graph build_graph(EdgeArrays&& edges, OriginalNode node_count, bool directed, BuildReport& report,
                  unsigned threads = 0);

}  // namespace knotwork::partition
