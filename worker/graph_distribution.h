// Every rank gets the slice of the graph that its parts make up.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "cluster/communicator.h"
#include "partition/graph.h"
#include "partition/node_names.h"
#include "ps/table.h"

namespace knotwork::worker {

/// A graph as one rank of a job holds it.
struct DistributedGraph {
  /// Nodes of this rank's parts; the whole graph if the job has one rank, nothing on a rank that only serves.
  partition::Graph slice;
  /// rank_bounds[r] .. rank_bounds[r + 1]: the global nodes whose arcs rank r holds. Size: ranks + 1.
  std::vector<partition::GlobalNode> rank_bounds;
  /// All names, on rank 0 only.
  partition::NodeNames names;
  /// All parts, if all ranks share memory: it lies there once, and the slice is a part of it.
  std::optional<partition::Graph> whole = {};
  /// The nodes whose table rows this rank keeps: those of the slice, unless some ranks only serve.
  ps::RowRange own_rows = {slice.first_node(), slice.last_node()};
  /// Their original nodes, on a rank that only serves.
  std::vector<partition::OriginalNode> served_originals = {};

  /// The original nodes of own_rows.
  std::span<const partition::OriginalNode> row_originals() const {
    return slice.row_count() > 0 ? slice.arrays().original.first(own_rows.size()) : std::span(served_originals);
  }
};

struct ScatterOptions {
  /// If all ranks can share memory (cluster/shared_memory.h) the graph is copied there, for all of them.
  bool may_share = false;
  /// So many ranks, the last ones, get no nodes: they keep the tables' rows, equal runs of them.
  int servers = 0;
};

/// The parts of a rank: contiguous, in rank order. Throws partition::InputError if there are more ranks than parts.
struct PartRange {
  partition::Part first;
  partition::Part last;
};
PartRange parts_of_rank(partition::Part part_count, int rank, int rank_count);

/// Bounds of all ranks in global nodes; the last `servers` of them hold none.
std::vector<partition::GlobalNode> rank_bounds(const partition::PartBounds& parts, int rank_count, int servers = 0);

/// Of `rank_count` runs of rows with about as many arcs each (a row counts as eight), that of `rank`. Shares the arrays
/// of `whole`.
partition::Graph slice_by_arcs(const partition::Graph& whole, int rank, int rank_count);

/// Collective: rank 0 holds the whole graph, already cut into at least as many parts as there are ranks with nodes, and
/// sends each rank its slice through MPI, so that no shared disk is needed. Other ranks pass nothing.
/// Throws partition::InputError if no rank is left to hold nodes.
DistributedGraph scatter_graph(cluster::Communicator& communicator, const std::optional<partition::Graph>& whole,
                               const partition::NodeNames& names, const ScatterOptions& options = {});

}  // namespace knotwork::worker
