// Sampled neighbourhoods over a graph whose parts lie on several ranks: the neighbours of a node are drawn where its
// list lies. Nodes travel by MPI to their owners, what was drawn comes back, hop by hop.
//
// What a node draws is a function of the node, the hop and the epoch (embeddings/neighbour_sampler.h), so the blocks
// are those of one rank that holds the whole graph. Ranks that share memory hold it, and ask nobody.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "cluster/communicator.h"
#include "embeddings/neighbour_sampler.h"
#include "worker/graph_distribution.h"

namespace knotwork::worker {

/// What crossing parts cost, summed over this rank's calls.
struct SampleTraffic {
  std::uint64_t nodes_drawn = 0;  ///< nodes whose neighbours this rank's batches needed
  std::uint64_t nodes_asked = 0;  ///< those of other ranks among them
  std::uint64_t bytes_sent = 0;
};

class TravellingSamples {
 public:
  /// Arguments must outlive the object. Throws as NeighbourSampler does.
  TravellingSamples(cluster::Communicator& communicator, const DistributedGraph& graph,
                    const embeddings::NeighbourSampleOptions& options);

  /// Collective: every rank calls it as often, with as many batches (of its own seeds, or none). builders[i] gets the
  /// blocks around batches[i]. Several batches at once share the messages. REQUIRES: batches.size() == builders.size().
  void sample(std::span<const std::span<const partition::GlobalNode>> batches, std::uint32_t epoch,
              std::span<embeddings::BlockBuilder> builders);

  const SampleTraffic& traffic() const { return traffic_; }

 private:
  void draw_hop(std::uint32_t hop, std::uint32_t epoch, std::span<embeddings::BlockBuilder> builders);
  std::vector<cluster::Bytes> answer(std::span<const cluster::Bytes> questions, std::uint32_t hop, std::uint32_t epoch);

  cluster::Communicator& communicator_;
  const DistributedGraph& graph_;
  embeddings::NeighbourSampler sampler_;
  SampleTraffic traffic_;
};

}  // namespace knotwork::worker
