// Negatives that follow the global distribution although each rank can only draw from its own nodes.
//
// If every rank drew negatives from its own part, the model would learn that other parts are never negatives: the known
// quality loss of graph-cut systems. Here a pool is drawn in two levels: how many of its entries come from rank r is
// drawn in proportion to r's share of the total mass (degree^0.75), and rank r draws those from its own nodes. So each
// entry follows the exact global distribution, and no rank needs to know the degrees of other ranks' nodes.
#pragma once

#include <cstdint>
#include <vector>

#include "cluster/communicator.h"
#include "embeddings/negative_sampler.h"
#include "partition/ids.h"

namespace knotwork::worker {

class NegativePool {
 public:
  /// Collective. Arguments must outlive the pool. `local` samples this rank's nodes, if it has any of degree above 0.
  NegativePool(cluster::Communicator& communicator, const embeddings::NegativeSampler& local, std::uint64_t seed);

  /// Collective: global nodes for this rank, sizes[i] of them for batch first_batch + i, drawn afresh. All ranks pass
  /// as many sizes, and the same numbers of batches.
  std::vector<std::vector<partition::GlobalNode>> draw(std::span<const std::uint32_t> sizes, std::uint32_t first_batch);

 private:
  std::vector<std::uint32_t> share_of_ranks(std::uint32_t size, std::uint32_t batch) const;
  std::vector<partition::GlobalNode> nodes_for(std::uint32_t rank, std::span<const std::uint32_t> counts,
                                               std::uint32_t first_batch) const;

  cluster::Communicator& communicator_;
  const embeddings::NegativeSampler& local_;
  std::uint64_t seed_;
  std::vector<double> cumulative_mass_;  // by rank, last entry 1
};

}  // namespace knotwork::worker
