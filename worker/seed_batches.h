// The mini-batches of an epoch: which nodes are the seeds of which batch, and which of them are this rank's.
//
// The seeds of all ranks stand in one order, a keyed permutation of them (embeddings/start_order.h) that is another one
// in every epoch, and are cut into batches by place; every rank takes those that it holds, so that N ranks share the
// batches that one rank has.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "cluster/communicator.h"
#include "partition/graph.h"

namespace knotwork::worker {

class SeedBatches {
 public:
  /// Collective. `own`: this rank's seeds, without repetition. `largest`: seeds of all ranks in a batch, at least 1.
  SeedBatches(cluster::Communicator& communicator, const partition::Graph& slice,
              std::span<const partition::GlobalNode> own, std::uint32_t largest, std::uint64_t seed);

  /// Seeds of all ranks.
  std::uint32_t seed_count() const { return seeds_; }
  /// Batches of an epoch.
  std::uint32_t count() const { return (seeds_ + largest_ - 1) / largest_; }
  /// Seeds of all ranks in a batch.
  std::uint32_t size_of(std::uint32_t batch) const;
  /// This rank's seeds of a batch, in its order; those before in `seeds` are forgotten.
  void own_seeds(std::uint32_t epoch, std::uint32_t batch, std::vector<partition::GlobalNode>& seeds) const;

 private:
  std::uint32_t largest_;
  std::uint64_t seed_;
  std::uint32_t seeds_ = 0;
  std::vector<partition::GlobalNode>
      own_;  // By place among all seeds' original nodes, rising; kInvalidNode: another's.
};

}  // namespace knotwork::worker
