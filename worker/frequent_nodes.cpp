#include "worker/frequent_nodes.h"

#include <algorithm>
#include <cstdint>

#include "worker/rank_arrays.h"

namespace knotwork::worker {

using partition::GlobalNode;

std::vector<GlobalNode> frequent_nodes(cluster::Communicator& communicator, std::span<const GlobalNode> positions,
                                       double least_share) {
  std::vector<GlobalNode> sorted(positions.begin(), positions.end());
  std::sort(sorted.begin(), sorted.end());
  const auto total = communicator.allreduce(static_cast<double>(sorted.size()), cluster::Reduction::kSum);
  const double least = std::max(1.0, least_share * total);
  // A node that reaches `least` over all ranks reaches its equal share of it on one of them.
  std::vector<GlobalNode> candidates;
  for (auto run = sorted.begin(); run != sorted.end();) {
    const auto end = std::upper_bound(run, sorted.end(), *run);
    if (static_cast<double>(end - run) * communicator.size() >= least) candidates.push_back(*run);
    run = end;
  }
  candidates = concatenate(communicator, std::span<const GlobalNode>(candidates));
  std::sort(candidates.begin(), candidates.end());
  candidates.erase(std::unique(candidates.begin(), candidates.end()), candidates.end());
  std::vector<std::uint64_t> counts;
  for (const GlobalNode node : candidates) {
    const auto [first, last] = std::equal_range(sorted.begin(), sorted.end(), node);
    counts.push_back(static_cast<std::uint64_t>(last - first));
  }
  communicator.allreduce(counts, cluster::Reduction::kSum);
  std::vector<GlobalNode> frequent;
  for (std::size_t i = 0; i < candidates.size(); ++i) {
    if (static_cast<double>(counts[i]) >= least) frequent.push_back(candidates[i]);
  }
  return frequent;
}

}  // namespace knotwork::worker
