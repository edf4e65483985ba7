// Gradients of a learnable node table, summed over all ranks of a batch and applied once by their owners: N ranks that
// share a batch change the rows as one rank with the whole batch does.
//
// Adam is not linear: N pushes of partial gradients would make N steps, each as long as the whole one. So in `bsp`
// gradients travel by MPI's exchange, which is also the barrier, are added up by the owner in the order of ranks, and
// make one step of the table's optimizer. A row that no batch drew keeps its moments (ps/optimizer.h).
#pragma once

#include <cstdint>
#include <span>

#include "cluster/communicator.h"
#include "partition/ids.h"
#include "ps/table.h"
#include "worker/frozen_rows.h"

namespace knotwork::worker {

/// What a call sent to other ranks.
struct GradientTraffic {
  std::uint64_t rows = 0;
  std::uint64_t bytes = 0;
};

/// Collective. `gradients`: a row of own.dim() floats for each of `nodes` (without repetition). Returns when this
/// rank's rows have changed; a barrier must follow before others may pull them. `bounds`:
/// DistributedGraph::rank_bounds. `frozen`: who is told of rows before they change; may be null.
GradientTraffic apply_row_gradients(cluster::Communicator& communicator, std::span<const partition::GlobalNode> bounds,
                                    ps::Table& own, std::span<const partition::GlobalNode> nodes,
                                    std::span<const float> gradients, float learning_rate,
                                    FrozenRows* frozen = nullptr);

}  // namespace knotwork::worker
