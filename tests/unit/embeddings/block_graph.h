// A two-block random graph for tests: dense inside each block, sparse between them.
#pragma once

#include <memory>
#include <random>
#include <set>
#include <vector>

#include "partition/graph.h"

namespace knotwork::embeddings {

struct BlockGraph {
  std::vector<partition::ArcIndex> offsets;
  std::vector<partition::GlobalNode> targets;
  std::vector<float> weights;
  std::vector<partition::OriginalNode> original;
};

/// Nodes 0 .. size / 2 - 1 are one block. Weights are 1 + (a + b) % 3.
inline partition::Graph block_graph(std::uint32_t size, double inside, double across, std::uint32_t seed) {
  std::mt19937 random(seed);
  std::vector<std::set<std::uint32_t>> lists(size);
  std::uniform_real_distribution<double> unit;
  for (std::uint32_t a = 0; a < size; ++a) {
    for (std::uint32_t b = a + 1; b < size; ++b) {
      if (unit(random) >= ((a < size / 2) == (b < size / 2) ? inside : across)) continue;
      lists[a].insert(b);
      lists[b].insert(a);
    }
  }
  auto owner = std::make_shared<BlockGraph>();
  owner->offsets.push_back(0);
  for (std::uint32_t a = 0; a < size; ++a) {
    for (const std::uint32_t b : lists[a]) {
      owner->targets.push_back(b);
      owner->weights.push_back(static_cast<float>(1 + (a + b) % 3));
    }
    owner->offsets.push_back(owner->targets.size());
    owner->original.push_back(a);
  }
  partition::GraphSummary summary;
  summary.node_count = size;
  summary.arc_count = owner->targets.size();
  summary.weighted = true;
  partition::GraphArrays arrays;
  arrays.offsets = owner->offsets;
  arrays.targets = owner->targets;
  arrays.weights = owner->weights;
  arrays.original = owner->original;
  arrays.owner = owner;
  return {summary, partition::PartBounds(size), arrays};
}

}  // namespace knotwork::embeddings
