// What a network says of nodes, from whole neighbourhoods: for validation, test, and the written embedding.
#pragma once

#include <cstdint>
#include <functional>
#include <span>

#include "cluster/communicator.h"
#include "embeddings/gnn/network.h"
#include "worker/minibatch_data.h"
#include "worker/minibatch_tables.h"
#include "worker/minibatch_training.h"
#include "worker/sampled_batches.h"

namespace knotwork::worker {

/// For the thread that speaks MPI.
class NodeInference {
 public:
  /// Arguments must outlive the object.
  NodeInference(cluster::Communicator& communicator, const DistributedGraph& graph, const NodeDirectory& directory,
                embeddings::gnn::Network& network, const MinibatchData& data, const MinibatchOptions& options,
                MinibatchTables& tables);

  /// A node's rows.
  using Visit =
      std::function<void(partition::GlobalNode node, std::span<const float> outputs, std::span<const float> embedding)>;
  /// Collective: visits `nodes`, which are this rank's, in batches of options.inference_batch.
  void visit(std::span<const float> weights, std::span<const partition::GlobalNode> nodes, const Visit& visit);

  /// Collective: how well labels of `nodes` (this rank's) are predicted, over all ranks.
  MinibatchScores score(std::span<const float> weights, std::span<const partition::GlobalNode> nodes);

 private:
  cluster::Communicator& communicator_;
  const DistributedGraph& graph_;
  embeddings::gnn::Network& network_;
  const MinibatchData& data_;
  const MinibatchOptions& options_;
  MinibatchTables& tables_;
  SampledBatches batches_;
};

}  // namespace knotwork::worker
