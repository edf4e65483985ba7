// Nodes that walks meet so often that every rank changes their rows many times in every batch.
#pragma once

#include <span>
#include <vector>

#include "cluster/communicator.h"
#include "partition/ids.h"

namespace knotwork::worker {

/// Collective: the nodes that make up at least `least_share` of all ranks' `positions` (walks, or whatever uses rows),
/// rising; the same on every rank. Measured rather than taken from degrees, so that direction, weights, p, q and
/// restarts count.
std::vector<partition::GlobalNode> frequent_nodes(cluster::Communicator& communicator,
                                                  std::span<const partition::GlobalNode> positions, double least_share);

}  // namespace knotwork::worker
