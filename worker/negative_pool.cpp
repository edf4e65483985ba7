#include "worker/negative_pool.h"

#include <algorithm>

#include "partition/errors.h"
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
  if (cumulative_mass_.back() <= 0) throw partition::InputError("no node to sample: all degrees are 0");
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

std::vector<std::vector<GlobalNode>> NegativePool::draw(std::span<const std::uint32_t> sizes,
                                                        std::uint32_t first_batch) {
  std::vector<std::vector<std::uint32_t>> asked_of(communicator_.size());  // by rank, then batch
  for (std::uint32_t b = 0; b < sizes.size(); ++b) {
    const std::vector<std::uint32_t> share = share_of_ranks(sizes[b], first_batch + b);
    for (std::size_t rank = 0; rank < share.size(); ++rank) asked_of[rank].push_back(share[rank]);
  }
  std::vector<cluster::Bytes> requests;
  for (const auto& counts : asked_of) requests.push_back(to_bytes(std::span(counts)));
  std::vector<cluster::Bytes> replies;
  const std::vector<cluster::Bytes> asked = communicator_.exchange(requests);
  for (std::size_t rank = 0; rank < asked.size(); ++rank) {
    replies.push_back(to_bytes(std::span<const GlobalNode>(
        nodes_for(static_cast<std::uint32_t>(rank), from_bytes<std::uint32_t>(asked[rank]), first_batch))));
  }
  std::vector<std::vector<GlobalNode>> pools(sizes.size());
  const std::vector<cluster::Bytes> answers = communicator_.exchange(replies);
  for (std::size_t rank = 0; rank < answers.size(); ++rank) {
    const auto nodes = from_bytes<GlobalNode>(answers[rank]);
    auto next = nodes.begin();
    for (std::size_t b = 0; b < pools.size(); ++b) {
      pools[b].insert(pools[b].end(), next, next + asked_of[rank][b]);
      next += asked_of[rank][b];
    }
  }
  return pools;
}

/// Own nodes for `rank`, counts[b] of them for batch first_batch + b.
std::vector<GlobalNode> NegativePool::nodes_for(std::uint32_t rank, std::span<const std::uint32_t> counts,
                                                std::uint32_t first_batch) const {
  const auto me = static_cast<std::uint32_t>(communicator_.rank());
  std::vector<GlobalNode> nodes;
  for (std::uint32_t b = 0; b < counts.size(); ++b) {
    for (std::uint32_t i = 0; i < counts[b]; ++i) {
      const auto random = random_block(seed_, RandomPurpose::kNegativePool, rank, first_batch + b, i, 1 + me);
      nodes.push_back(local_.sample(random[0], random[1]));
    }
  }
  return nodes;
}

}  // namespace knotwork::worker
