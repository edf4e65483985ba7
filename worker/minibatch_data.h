// What rank 0 reads of all nodes, features and labels, and how every rank gets what belongs to its own.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "cluster/communicator.h"
#include "embeddings/gnn/objective.h"
#include "embeddings/node_features.h"
#include "worker/full_graph_training.h"
#include "worker/graph_distribution.h"

namespace knotwork::worker {

/// What a rank knows of its own nodes.
struct MinibatchData {
  /// Rows in the order of local nodes; null: id embeddings are learnt. A trainer copies them when it is made.
  const embeddings::NodeFeatures* features = nullptr;
  /// Labels by local node: those of node i are labels[label_offsets[i]] ... labels[label_offsets[i + 1]) - 1.
  std::vector<std::size_t> label_offsets;
  std::vector<std::uint32_t> labels;
  /// Own nodes, rising.
  std::vector<partition::GlobalNode> train;
  std::vector<partition::GlobalNode> validation;
  std::vector<partition::GlobalNode> test;
};

/// Collective. `all`: rank 0's, rows by original node; null elsewhere.
embeddings::NodeFeatures scatter_features(cluster::Communicator& communicator, const DistributedGraph& graph,
                                          const embeddings::NodeFeatures* all);

/// Collective. `task`: rank 0's, rows are original nodes; null elsewhere. Leaves `features` null.
MinibatchData scatter_labels(cluster::Communicator& communicator, const DistributedGraph& graph, const LabelTask* task);

}  // namespace knotwork::worker
