// Every rank gets the slice of the graph that its parts make up.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "cluster/communicator.h"
#include "partition/graph.h"
#include "partition/node_names.h"

namespace knotwork::worker {

/// A graph as one rank of a job holds it.
struct DistributedGraph {
  /// Nodes of this rank's parts; the whole graph if the job has one rank.
  partition::Graph slice;
  /// rank_bounds[r] .. rank_bounds[r + 1]: the global nodes that rank r holds. Size: ranks + 1.
  std::vector<partition::GlobalNode> rank_bounds;
  /// All names, on rank 0 only.
  partition::NodeNames names;
  /// All parts, if all ranks share memory: it lies there once, and the slice is a part of it.
  std::optional<partition::Graph> whole = {};
};

/// The parts of a rank: contiguous, in rank order. Throws partition::InputError if there are more ranks than parts.
struct PartRange {
  partition::Part first;
  partition::Part last;
};
PartRange parts_of_rank(partition::Part part_count, int rank, int rank_count);

/// Bounds of all ranks in global nodes.
std::vector<partition::GlobalNode> rank_bounds(const partition::PartBounds& parts, int rank_count);

/// Of `rank_count` runs of rows with about as many arcs each (a row counts as eight), that of `rank`. Shares the arrays
/// of `whole`.
partition::Graph slice_by_arcs(const partition::Graph& whole, int rank, int rank_count);

/// Collective: rank 0 holds the whole graph, already cut into at least as many parts as there are ranks, and sends each
/// rank its slice through MPI, so that no shared disk is needed. Other ranks pass nothing. `may_share`: if all ranks
/// can share memory (cluster/shared_memory.h) the graph is copied there instead, for all of them.
DistributedGraph scatter_graph(cluster::Communicator& communicator, const std::optional<partition::Graph>& whole,
                               const partition::NodeNames& names, bool may_share = false);

}  // namespace knotwork::worker
