// The graph as personalized PageRank reads it: the transition matrix of the random walk, by rows (arcs that leave a
// node) and by columns (arcs that enter it), nodes numbered by degree rank.
//
// Degree ranks do not depend on how a graph was cut, so sums over nodes in this order, and with them all scores, are
// the same for any parts. A graph of one part is used as it is; one of several parts is copied into this order.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "partition/graph.h"
#include "partition/huge_array.h"

namespace knotwork::embeddings {

using partition::GlobalNode;
using partition::Graph;
using partition::OriginalNode;

/// The same graph with one part: global node = degree rank. Shares the arrays of a graph that is so already.
/// REQUIRES whole.is_whole() (std::invalid_argument otherwise).
Graph in_rank_order(const Graph& whole);

/// Every arc turned around; weights go along. Lists stay sorted. REQUIRES a whole graph of one part.
Graph transposed(const Graph& graph);

/// The transition matrix. Immutable and safe to read from any thread.
///
/// A step from u goes to v with probability weight(u, v) / strength(u), where strength(u) is the sum of the weights of
/// u's arcs (their number if weights are absent or not asked for). A node without arcs that leave it is *dangling*: a
/// walk that would go on from there returns to its source.
class TransitionGraph {
 public:
  /// Throws partition::InputError if `weighted` and the graph has no weights. Beside the graph: 8 bytes a node; for a
  /// directed graph, or one of several parts, another copy of the arcs.
  TransitionGraph(const Graph& whole, bool weighted);

  GlobalNode node_count() const { return out_.row_count(); }
  bool weighted() const { return weighted_; }
  /// Arcs that leave, and arcs that enter (the same object's arrays if the graph is undirected).
  const Graph& out() const { return out_; }
  const Graph& in() const { return in_; }
  /// Sum of the weights that leave each node; 1 for dangling nodes.
  std::span<const float> strengths() const { return strengths_; }
  /// 1 / strengths().
  std::span<const float> inverse_strengths() const { return inverse_strengths_; }
  /// Rising.
  std::span<const GlobalNode> dangling() const { return dangling_; }
  bool is_dangling(GlobalNode node) const { return out_.degree(node) == 0; }

 private:
  bool weighted_;
  Graph out_;
  Graph in_;
  std::vector<float> strengths_;
  std::vector<float> inverse_strengths_;
  std::vector<GlobalNode> dangling_;
};

}  // namespace knotwork::embeddings
