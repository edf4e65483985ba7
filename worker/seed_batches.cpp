#include "worker/seed_batches.h"

#include <algorithm>

#include "embeddings/start_order.h"
#include "worker/rank_arrays.h"

namespace knotwork::worker {

using partition::GlobalNode;
using partition::OriginalNode;

SeedBatches::SeedBatches(cluster::Communicator& communicator, const partition::Graph& slice,
                         std::span<const GlobalNode> own, std::uint32_t largest, std::uint64_t seed)
    : largest_(largest), seed_(seed) {
  std::vector<OriginalNode> originals;
  for (const GlobalNode node : own) originals.push_back(slice.original(node));
  std::vector<OriginalNode> all = concatenate(communicator, std::span<const OriginalNode>(originals));
  std::ranges::sort(all);
  seeds_ = static_cast<std::uint32_t>(all.size());
  largest_ = std::min(largest_, std::max(1U, seeds_));
  own_.assign(all.size(), partition::kInvalidNode);
  for (const GlobalNode node : own) {
    own_[static_cast<std::size_t>(std::ranges::lower_bound(all, slice.original(node)) - all.begin())] = node;
  }
}

std::uint32_t SeedBatches::size_of(std::uint32_t batch) const {
  return std::min(largest_, seeds_ - batch * largest_);
}

void SeedBatches::own_seeds(std::uint32_t epoch, std::uint32_t batch, std::vector<GlobalNode>& seeds) const {
  seeds.clear();
  const embeddings::StartOrder order(seed_, epoch, seeds_);
  const std::uint32_t first = batch * largest_;
  for (std::uint32_t place = first; place < first + size_of(batch); ++place) {
    const GlobalNode node = own_[order.at(place)];
    if (node != partition::kInvalidNode) seeds.push_back(node);
  }
}

}  // namespace knotwork::worker
