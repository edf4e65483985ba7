// Renumbering: after the cut, every part is a contiguous range of global nodes, and inside a part nodes are sorted by
// degree rank. Neighbour lists keep their order (by degree rank); only the labels in them change.
#pragma once

#include <span>

#include "partition/graph.h"

namespace knotwork::partition {

/// The same graph with parts as ranges. `part_of[v]`: the part of global node v of `whole`, each below `parts`.
/// Peak memory: both graphs. Uses all OpenMP threads.
/// REQUIRES: whole.is_whole() and whole has one part. Throws std::invalid_argument otherwise.
Graph renumber_by_parts(const Graph& whole, std::span<const Part> part_of, Part parts);

/// The rows [first, last) of a whole graph, wherever parts end. Otherwise as slice_parts.
Graph slice_rows(const Graph& whole, GlobalNode first, GlobalNode last);

/// The parts [first, last) of a whole graph, for one rank. Shares all arrays of `whole` but the offsets (copied, so
/// that they start at 0); keeps `whole`'s memory alive. Throws std::invalid_argument if the range is empty or outside.
Graph slice_parts(const Graph& whole, Part first, Part last);

}  // namespace knotwork::partition
