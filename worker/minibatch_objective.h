// What mini-batches are trained for: which nodes a batch asks the network about, and what its answers cost.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "cluster/communicator.h"
#include "embeddings/gnn/objective.h"
#include "embeddings/negative_sampler.h"
#include "worker/graph_distribution.h"
#include "worker/minibatch_data.h"
#include "worker/minibatch_training.h"
#include "worker/node_census.h"
#include "worker/sampled_batches.h"
#include "worker/seed_batches.h"

namespace knotwork::worker {

/// Labels of `nodes`, which are of the slice; rows are places in `nodes`.
embeddings::gnn::RowLabels labels_of(const MinibatchData& data, const partition::Graph& slice,
                                     std::span<const partition::GlobalNode> nodes);

class MinibatchObjective {
 public:
  /// Collective. Arguments must outlive the object. Throws partition::InputError if there is nothing to train on.
  MinibatchObjective(cluster::Communicator& communicator, const DistributedGraph& graph, const MinibatchData& data,
                     const MinibatchOptions& options);

  /// This rank's nodes that are trained.
  std::span<const partition::GlobalNode> own_seeds() const { return own_; }
  const SeedBatches& batches() const { return batches_; }

  /// This rank's seeds of a batch. kLinks: then their partners, then the negatives, which are the same on all ranks; of
  /// a batch in which this rank has no seeds, nothing.
  void choose_seeds(std::uint32_t epoch, std::uint32_t batch_number, std::vector<partition::GlobalNode>& seeds) const;
  /// The loss of this rank's seeds, divided by the `size` of the whole batch, and its derivatives by the rows of
  /// `outputs`.
  double loss(const SampledBatch& batch, std::span<const float> outputs, std::span<float> by_outputs,
              std::uint32_t size) const;

 private:
  void add_pairs(std::uint32_t epoch, std::uint32_t batch_number, std::vector<partition::GlobalNode>& seeds) const;

  const DistributedGraph& graph_;
  const MinibatchData& data_;
  const MinibatchOptions& options_;
  std::vector<partition::GlobalNode> own_;
  SeedBatches batches_;
  NodeCensus census_;                      // kLinks
  embeddings::NegativeSampler negatives_;  // kLinks
};

}  // namespace knotwork::worker
