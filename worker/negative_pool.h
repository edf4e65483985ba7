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
  /// Collective. Arguments must outlive the pool. `local` samples this rank's nodes.
  NegativePool(cluster::Communicator& communicator, const embeddings::NegativeSampler& local, std::uint64_t seed);

  /// Collective: `size` global nodes for this rank, drawn afresh; `batch` numbers the draws (any rising number, the
  /// same on all ranks).
  std::vector<partition::GlobalNode> draw(std::uint32_t size, std::uint32_t batch);

 private:
  std::vector<std::uint32_t> share_of_ranks(std::uint32_t size, std::uint32_t batch) const;

  cluster::Communicator& communicator_;
  const embeddings::NegativeSampler& local_;
  std::uint64_t seed_;
  std::vector<double> cumulative_mass_;  // by rank, last entry 1
};

}  // namespace knotwork::worker
