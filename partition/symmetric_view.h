// A graph as partitioners want it: undirected adjacency. An undirected graph is looked at where it lies; a directed one
// is copied with every arc in both lists.
#pragma once

#include <cstdint>
#include <memory>
#include <span>

#include "partition/graph.h"

namespace knotwork::partition {

/// Undirected adjacency over global nodes. If v is in u's list then u is in v's, with the same weight.
struct SymmetricView {
  GlobalNode node_count = 0;
  std::span<const ArcIndex> offsets;
  std::span<const GlobalNode> targets;
  /// As targets; empty if unweighted.
  std::span<const float> weights;
  std::shared_ptr<const void> owner;

  std::span<const GlobalNode> neighbours(GlobalNode node) const {
    return targets.subspan(offsets[node], offsets[node + 1] - offsets[node]);
  }
};

/// The view of a whole graph. A directed graph is copied, u→v and v→u becoming one edge with the sum of their weights.
/// REQUIRES: whole.is_whole(). The undirected view is valid as long as `whole` or the view lives.
SymmetricView symmetric_view(const Graph& whole);

/// Bytes that symmetric_view takes at its peak: 0 for an undirected graph.
std::uint64_t symmetric_view_bytes(const Graph& whole);

}  // namespace knotwork::partition
