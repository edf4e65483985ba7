#include "worker/negative_pool.h"

#include <algorithm>

#include "partition/random.h"
#include "worker/rank_arrays.h"

namespace knotwork::worker {

using partition::GlobalNode;
using partition::random_block;
using partition::RandomPurpose;
using partition::unit_double;

NegativePool::NegativePool(cluster::Communicator& communicator, const embeddings::NegativeSampler& local,
                           std::uint64_t seed)
    : communicator_(communicator), local_(local), seed_(seed), cumulative_mass_(communicator.size(), 0.0) {
  cumulative_mass_[communicator.rank()] = local.total_mass();
  communicator_.allreduce(cumulative_mass_, cluster::Reduction::kSum);
  for (std::size_t rank = 1; rank < cumulative_mass_.size(); ++rank)
    cumulative_mass_[rank] += cumulative_mass_[rank - 1];
  for (double& mass : cumulative_mass_) mass /= cumulative_mass_.back();
}

std::vector<std::uint32_t> NegativePool::share_of_ranks(std::uint32_t size, std::uint32_t batch) const {
  std::vector<std::uint32_t> share(communicator_.size(), 0);
  const auto me = static_cast<std::uint32_t>(communicator_.rank());
  for (std::uint32_t i = 0; i < size; ++i) {
    const auto random = random_block(seed_, RandomPurpose::kNegativePool, me, batch, i, 0);
    const double point = unit_double(random[0], random[1]);
    const auto owner = std::upper_bound(cumulative_mass_.begin(), cumulative_mass_.end() - 1, point);
    ++share[owner - cumulative_mass_.begin()];
  }
  return share;
}

std::vector<GlobalNode> NegativePool::draw(std::uint32_t size, std::uint32_t batch) {
  const std::vector<std::uint32_t> share = share_of_ranks(size, batch);
  std::vector<cluster::Bytes> requests(share.size());
  for (std::size_t rank = 0; rank < share.size(); ++rank)
    requests[rank] = to_bytes(std::span<const std::uint32_t>(&share[rank], 1));
  const auto asked = communicator_.exchange(requests);

  const auto me = static_cast<std::uint32_t>(communicator_.rank());
  std::vector<cluster::Bytes> replies(share.size());
  for (std::size_t rank = 0; rank < share.size(); ++rank) {
    std::vector<GlobalNode> nodes(from_bytes<std::uint32_t>(asked[rank]).front());
    for (std::uint32_t i = 0; i < nodes.size(); ++i) {
      const auto random =
          random_block(seed_, RandomPurpose::kNegativePool, static_cast<std::uint32_t>(rank), batch, i, 1 + me);
      nodes[i] = local_.sample(random[0], random[1]);
    }
    replies[rank] = to_bytes(std::span<const GlobalNode>(nodes));
  }
  std::vector<GlobalNode> pool;
  pool.reserve(size);
  for (const auto& part : communicator_.exchange(replies)) {
    const auto nodes = from_bytes<GlobalNode>(part);
    pool.insert(pool.end(), nodes.begin(), nodes.end());
  }
  return pool;
}

}  // namespace knotwork::worker
