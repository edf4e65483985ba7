// What the worker's tests share: the job's communicator, and small graphs made on the spot, the same on every rank.
#pragma once

#include <cstdint>
#include <vector>

#include "partition/build_graph.h"
#include "partition/partitioner.h"
#include "partition/random.h"
#include "partition/renumber.h"
#include "tests/unit/cluster/mpi_test_main.h"

namespace knotwork::worker {

inline cluster::Communicator& world() {
  return *cluster::testing::the_communicator;
}

/// `blocks` groups of `block_size` nodes; each node gets about `inside` edges within its group and `across` to others.
inline partition::Graph block_graph(std::uint32_t blocks, std::uint32_t block_size, std::uint32_t inside,
                                    std::uint32_t across, std::uint64_t seed = 7) {
  using partition::bounded;
  using partition::random_block;
  using partition::RandomPurpose;
  const std::uint32_t nodes = blocks * block_size;
  std::vector<partition::Edge> edges;
  for (std::uint32_t node = 0; node < nodes; ++node) {
    for (std::uint32_t i = 0; i < inside + across; ++i) {
      const auto random = random_block(seed, RandomPurpose::kGenerate, node, i, 0);
      const std::uint32_t first_of_block = node / block_size * block_size;
      const std::uint32_t other =
          i < inside ? first_of_block + bounded(random[0], block_size) : bounded(random[0], nodes);
      edges.push_back({node, other});
    }
  }
  partition::BuildReport report;
  return partition::build_graph(partition::EdgeArrays::copy_of(edges), nodes, false, report);
}

/// The graph cut into `parts` by blocks of original nodes interleaved, so that every part has nodes of every block: the
/// worst cut there is.
inline partition::Graph cut(const partition::Graph& whole, partition::Part parts) {
  std::vector<partition::Part> part_of(whole.row_count());
  for (partition::GlobalNode node = 0; node < whole.row_count(); ++node) part_of[node] = whole.original(node) % parts;
  return partition::renumber_by_parts(whole, part_of, parts);
}

}  // namespace knotwork::worker
