// Which rows of other ranks a rank's batches will use most, before any batch is made: data tiering by weighted reverse
// PageRank (Min, Wu, Hidayetoglu, Xiong, Song, Hwu, "Graph Neural Network Training and Data Tiering", KDD 2022).
//
// Reverse: a node is worth what the nodes that draw it are worth. Weighted: it begins at the seeds of training. Here
// the steps are the sampler's own: a node u that is expected e(u) times among the destinations of hop h is expected to
// draw each of its d(u) neighbours e(u) min(1, f_h / d(u)) times, hop by hop; no damping is needed, as batches end.
//
// A rank knows only its own nodes' lists. What its own nodes draw counts exactly; what nodes of other ranks draw for it
// is taken to fall on all nodes as the draws of all ranks do (one collective pass).
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "cluster/communicator.h"
#include "partition/ids.h"
#include "worker/graph_distribution.h"

namespace knotwork::worker {

/// Collective: at most `count` nodes of other ranks, rising. `seeds`: this rank's nodes that batches of an epoch begin
/// with. Takes 12 bytes for each node of the whole graph while it works.
std::vector<partition::GlobalNode> hot_remote_nodes(cluster::Communicator& communicator, const DistributedGraph& graph,
                                                    std::span<const partition::GlobalNode> seeds,
                                                    std::span<const std::uint32_t> fan_outs, std::size_t count);

}  // namespace knotwork::worker
