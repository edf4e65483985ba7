// The graph as every other room sees it: compressed sparse rows (CSR) of a contiguous range of global nodes.
//
// One rank alone holds the whole range; under MPI each rank holds the range of its own parts. Neighbour lists are
// sorted by degree rank, so "the k-th neighbour" means the same node however the graph was cut and renumbered: walks
// and sums over neighbours come out identical for any number of parts. With one part, degree rank and global node are
// the same and lists are sorted by global node as well.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "partition/ids.h"

namespace knotwork::partition {

/// Facts about the whole graph, known on every rank.
struct GraphSummary {
  std::uint64_t node_count = 0;
  /// Stored arcs: two for an undirected edge, one for a directed one.
  ArcIndex arc_count = 0;
  bool directed = false;
  bool weighted = false;
  /// Edges of the input as the user counts them.
  std::uint64_t edge_count() const { return directed ? arc_count : arc_count / 2; }
};

/// K contiguous ranges of global nodes: part k is [bounds[k], bounds[k + 1]). The owner of a node is found by a search
/// among K bounds; there is no hash table and no directory.
class PartBounds {
 public:
  /// One part that holds all `node_count` nodes.
  explicit PartBounds(GlobalNode node_count) : bounds_{0, node_count} {}
  /// `bounds`: K + 1 values, rising (empty parts allowed), first 0. Throws std::invalid_argument otherwise.
  explicit PartBounds(std::vector<GlobalNode> bounds);

  Part part_count() const { return static_cast<Part>(bounds_.size() - 1); }
  GlobalNode first(Part part) const { return bounds_[part]; }
  GlobalNode last(Part part) const { return bounds_[part + 1]; }
  GlobalNode node_count() const { return bounds_.back(); }
  /// REQUIRES: node < node_count().
  Part part_of(GlobalNode node) const;
  std::span<const GlobalNode> bounds() const { return bounds_; }

 private:
  std::vector<GlobalNode> bounds_;
};

/// The arrays of a Graph. Rows are the local nodes of [first_node, first_node + row_count).
struct GraphArrays {
  GlobalNode first_node = 0;
  /// row_count + 1 positions into `targets`; offsets[0] == 0.
  std::span<const ArcIndex> offsets;
  /// Global nodes, each row sorted by degree rank, no duplicates, no self-loops.
  std::span<const GlobalNode> targets;
  /// As `targets`, positive and finite; empty if the graph is unweighted.
  std::span<const float> weights;
  /// Original node of each local node, row_count entries.
  std::span<const OriginalNode> original;
  /// Degree rank of every global node of the whole graph (node_count entries); empty if there is one part (identity).
  std::span<const GlobalNode> degree_rank;
  /// Keeps the memory behind the spans alive (heap arrays or a mapped file).
  std::shared_ptr<const void> owner;
};

/// An immutable slice of a graph. Cheap to copy; copies share the arrays. All methods may be called from any thread.
class Graph {
 public:
  Graph(GraphSummary summary, PartBounds parts, GraphArrays arrays);

  const GraphSummary& summary() const { return summary_; }
  const PartBounds& parts() const { return parts_; }
  const GraphArrays& arrays() const { return arrays_; }

  GlobalNode first_node() const { return arrays_.first_node; }
  GlobalNode last_node() const { return last_node_; }
  /// Local nodes held here.
  LocalNode row_count() const { return last_node_ - arrays_.first_node; }
  bool holds(GlobalNode node) const { return node >= arrays_.first_node && node < last_node_; }
  bool is_whole() const { return row_count() == summary_.node_count; }

  /// The methods below REQUIRE holds(node).
  std::uint32_t degree(GlobalNode node) const {
    const LocalNode row = node - arrays_.first_node;
    return static_cast<std::uint32_t>(arrays_.offsets[row + 1] - arrays_.offsets[row]);
  }
  std::span<const GlobalNode> neighbours(GlobalNode node) const {
    const LocalNode row = node - arrays_.first_node;
    return arrays_.targets.subspan(arrays_.offsets[row], degree(node));
  }
  /// REQUIRES also summary().weighted.
  std::span<const float> weights(GlobalNode node) const {
    const LocalNode row = node - arrays_.first_node;
    return arrays_.weights.subspan(arrays_.offsets[row], degree(node));
  }
  OriginalNode original(GlobalNode node) const { return arrays_.original[node - arrays_.first_node]; }

  /// REQUIRES: node < summary().node_count (held here or not).
  GlobalNode degree_rank(GlobalNode node) const {
    return arrays_.degree_rank.empty() ? node : arrays_.degree_rank[node];
  }
  /// Whether `target` is in node's list: a search by degree rank. REQUIRES holds(node).
  bool has_arc(GlobalNode node, GlobalNode target) const;

 private:
  GraphSummary summary_;
  PartBounds parts_;
  GraphArrays arrays_;
  GlobalNode last_node_;
};

}  // namespace knotwork::partition
