// From a heap of edges to a Graph: duplicates merged, self-loops dropped, nodes renumbered by degree.
//
// How: (1) the edges are scattered into rows, an undirected edge only once, and the rows are sorted and merged; (2) the
// merged rows give every node's degree, and the degrees the rank; (3) the rows are scattered again, now by rank and in
// both directions, and sorted. Two passes over memory rather than a sort of tuples; the edges are freed after the
// first, so that the peak is 1.5 times the finished arrays for an undirected graph and 3 times for a directed one.
// Rows are sorted by Highway's vectorised quicksort (Wassenberg et al., "Vectorized and performance-portable
// quicksort", 2022).
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
