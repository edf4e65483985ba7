// Checking and measuring parts, independent of whoever made them; and mending what is mendable.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "partition/graph.h"
#include "partition/symmetric_view.h"

namespace knotwork::partition {

struct PartitionQuality {
  /// Edges between two parts: an undirected edge counts once, a directed one once per direction.
  std::uint64_t edge_cut = 0;
  /// edge_cut / edges; 0 if there are none.
  double cut_fraction = 0;
  /// Nodes (arcs) of the largest part × K ÷ all.
  double node_balance = 1;
  double arc_balance = 1;
  Part empty_parts = 0;
};

/// Nodes of each part. REQUIRES: every entry < parts.
std::vector<std::uint64_t> part_sizes(std::span<const Part> part_of, Part parts);

/// What is wrong with the assignment (a wrong length, a node without a part), in words; empty if every one of
/// `node_count` nodes has a part below `parts`.
std::string assignment_fault(std::span<const Part> part_of, std::uint64_t node_count, Part parts);

/// REQUIRES: whole.is_whole() and assignment_fault(...) is empty.
PartitionQuality measure_partition(const Graph& whole, std::span<const Part> part_of, Part parts);

/// Moves nodes of low degree out of parts that hold more than `most_nodes` into the part with room that holds most of
/// their neighbours, and gives every empty part a node. Returns how many nodes moved. Deterministic.
/// REQUIRES: most_nodes * parts >= nodes >= parts, assignment_fault(...) is empty.
std::uint64_t mend_parts(const SymmetricView& graph, Part parts, std::uint64_t most_nodes, std::span<Part> part_of);

}  // namespace knotwork::partition
