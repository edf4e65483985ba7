// Drawing distinct pairs of nodes without an edge between them.
#pragma once

#include <cstdint>
#include <vector>

#include "partition/build_graph.h"
#include "partition/graph.h"
#include "partition/split.h"

namespace knotwork::partition {

/// `count` distinct unordered pairs of different nodes of `whole` that no edge joins in either direction, as original
/// nodes. Uniform pairs have the smaller original node first; of degree-matched pairs of a directed graph the first end
/// is drawn by out-degree and the second by in-degree. A function of the seed and of the graph in original ids alone.
/// Throws InputError if there are not so many. REQUIRES: whole.is_whole().
std::vector<Edge> draw_non_edges(const Graph& whole, std::uint64_t count, NegativeSampling sampling,
                                 std::uint64_t seed);

}  // namespace knotwork::partition
