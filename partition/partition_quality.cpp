#include "partition/partition_quality.h"

#include <algorithm>

namespace knotwork::partition {

namespace {

/// Moves one node and keeps the sizes.
void move_node(std::span<Part> part_of, std::vector<std::uint64_t>& sizes, GlobalNode node, Part to) {
  --sizes[part_of[node]];
  ++sizes[to];
  part_of[node] = to;
}

/// The part with room that holds most of the node's neighbours; ties and no neighbours: the smallest such part.
Part best_part_with_room(const SymmetricView& graph, std::span<const Part> part_of, GlobalNode node,
                         const std::vector<std::uint64_t>& sizes, std::uint64_t most_nodes,
                         std::vector<std::uint32_t>& held) {
  std::fill(held.begin(), held.end(), 0U);
  for (const GlobalNode target : graph.neighbours(node)) ++held[part_of[target]];
  Part best = kInvalidPart;
  for (Part part = 0; part < held.size(); ++part) {
    if (sizes[part] >= most_nodes) continue;
    if (best == kInvalidPart || held[part] > held[best] || (held[part] == held[best] && sizes[part] < sizes[best])) {
      best = part;
    }
  }
  return best;
}

/// Empties first get the lowest-degree nodes of parts that can spare one, so that a hub never pays for it.
std::uint64_t fill_empty_parts(std::span<Part> part_of, std::vector<std::uint64_t>& sizes) {
  std::uint64_t moved = 0;
  auto node = static_cast<GlobalNode>(part_of.size());
  for (Part part = 0; part < sizes.size(); ++part) {
    if (sizes[part] > 0) continue;
    do --node;
    while (sizes[part_of[node]] < 2);
    move_node(part_of, sizes, node, part);
    ++moved;
  }
  return moved;
}

}  // namespace

std::vector<std::uint64_t> part_sizes(std::span<const Part> part_of, Part parts) {
  std::vector<std::uint64_t> sizes(parts, 0);
  for (const Part part : part_of) ++sizes[part];
  return sizes;
}

std::string assignment_fault(std::span<const Part> part_of, std::uint64_t node_count, Part parts) {
  if (part_of.size() != node_count) {
    return "parts for " + std::to_string(part_of.size()) + " nodes, expected " + std::to_string(node_count);
  }
  const auto wrong = std::find_if(part_of.begin(), part_of.end(), [parts](Part part) { return part >= parts; });
  if (wrong == part_of.end()) return {};
  return "node " + std::to_string(wrong - part_of.begin()) + " has no part below " + std::to_string(parts);
}

PartitionQuality measure_partition(const Graph& whole, std::span<const Part> part_of, Part parts) {
  const auto node_count = static_cast<std::int64_t>(part_of.size());
  const std::span<const ArcIndex> offsets = whole.arrays().offsets;
  const std::span<const GlobalNode> targets = whole.arrays().targets;
  std::uint64_t cut_arcs = 0;
#pragma omp parallel for schedule(dynamic, 4096) reduction(+ : cut_arcs)
  for (std::int64_t node = 0; node < node_count; ++node) {
    const Part own = part_of[node];
    for (ArcIndex arc = offsets[node]; arc < offsets[node + 1]; ++arc) cut_arcs += part_of[targets[arc]] != own;
  }
  std::vector<std::uint64_t> arcs(parts, 0);
  for (std::int64_t node = 0; node < node_count; ++node) arcs[part_of[node]] += offsets[node + 1] - offsets[node];
  const std::vector<std::uint64_t> sizes = part_sizes(part_of, parts);
  const auto balance = [parts](const std::vector<std::uint64_t>& loads, std::uint64_t all) {
    const std::uint64_t largest = *std::max_element(loads.begin(), loads.end());
    return all == 0 ? 1.0 : static_cast<double>(largest) * parts / static_cast<double>(all);
  };
  PartitionQuality quality;
  quality.edge_cut = whole.summary().directed ? cut_arcs : cut_arcs / 2;
  const std::uint64_t edges = whole.summary().edge_count();
  quality.cut_fraction = edges == 0 ? 0.0 : static_cast<double>(quality.edge_cut) / static_cast<double>(edges);
  quality.node_balance = balance(sizes, part_of.size());
  quality.arc_balance = balance(arcs, targets.size());
  quality.empty_parts = static_cast<Part>(std::count(sizes.begin(), sizes.end(), 0U));
  return quality;
}

std::uint64_t mend_parts(const SymmetricView& graph, Part parts, std::uint64_t most_nodes, std::span<Part> part_of) {
  std::vector<std::uint64_t> sizes = part_sizes(part_of, parts);
  std::uint64_t moved = fill_empty_parts(part_of, sizes);
  std::uint64_t overfull = 0;
  for (const std::uint64_t size : sizes) overfull += size > most_nodes ? size - most_nodes : 0;
  std::vector<std::uint32_t> held(parts);
  // From the last node down: the one-part order is by falling degree, and a leaf costs the least to move.
  for (std::size_t left = part_of.size(); left > 0 && overfull > 0; --left) {
    const auto node = static_cast<GlobalNode>(left - 1);
    if (sizes[part_of[node]] <= most_nodes) continue;
    move_node(part_of, sizes, node, best_part_with_room(graph, part_of, node, sizes, most_nodes, held));
    --overfull;
    ++moved;
  }
  return moved;
}

}  // namespace knotwork::partition
