// Sampled batches as networks take them (embeddings/gnn/network.h): blocks from the input rows to the seeds, and the
// input rows.
//
// Networks want to know the original node of each input row (dropout is a function of it) and, for some, degrees in the
// whole graph; of nodes of other ranks, too. Both are kept for all nodes: 8 bytes a node on each rank.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "cluster/communicator.h"
#include "embeddings/gnn/network.h"
#include "embeddings/neighbour_sampler.h"
#include "worker/graph_distribution.h"
#include "worker/node_rows.h"
#include "worker/travelling_samples.h"

namespace knotwork::worker {

/// What every rank knows of all nodes, by global node.
struct NodeDirectory {
  std::vector<partition::OriginalNode> originals;
  std::vector<float> degrees;
};

/// Collective.
NodeDirectory gather_directory(cluster::Communicator& communicator, const partition::Graph& slice);

/// One batch, from sampling until its gradients are done. Used again and again.
struct SampledBatch {
  /// Seeds, which may repeat; what the caller asked for.
  std::vector<partition::GlobalNode> seeds;
  /// The output row of each seed.
  std::vector<std::uint32_t> seed_rows;
  /// Global and original node of each input row; the first output_rows of them are those of output rows.
  std::vector<partition::GlobalNode> nodes;
  std::vector<partition::OriginalNode> originals;
  std::uint32_t output_rows = 0;
  std::vector<embeddings::gnn::MessageBlock> blocks;
  GatheredRows rows;
  std::vector<embeddings::BlockBuilder> builder{1};

  /// Arcs of all blocks.
  std::uint64_t arc_count() const;
  /// For a network's pass; valid until the batch is made anew.
  embeddings::gnn::Batch view(std::size_t columns) const;
};

/// Makes batches. For one thread at a time, and where samples travel the one that speaks MPI.
class SampledBatches {
 public:
  /// Arguments must outlive the object. Throws as NeighbourSampler does.
  SampledBatches(cluster::Communicator& communicator, const DistributedGraph& graph, const NodeDirectory& directory,
                 const embeddings::NeighbourSampleOptions& options, embeddings::gnn::Normalisation normalisation);

  /// Whether make() speaks to no other rank.
  bool is_local() const { return is_local_; }
  /// Collective unless is_local(): fills all of `batch` but its rows, around batch.seeds.
  void make(std::uint32_t epoch, SampledBatch& batch);

  const SampleTraffic& traffic() const { return samples_.traffic(); }

 private:
  const NodeDirectory& directory_;
  embeddings::gnn::Normalisation normalisation_;
  bool is_local_;
  TravellingSamples samples_;
};

}  // namespace knotwork::worker
