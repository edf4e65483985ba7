// A small graph and numbers for tests of graph neural networks: an odd graph (a hub, an isolated node, weights) and
// values that are functions of their place.
#pragma once

#include <cstdint>
#include <utility>
#include <vector>

#include "embeddings/gnn/message_block.h"
#include "partition/random.h"

namespace knotwork::embeddings::gnn {

inline constexpr std::uint32_t kSmallNodes = 9;

/// Undirected: node 0 is a hub, 8 is isolated. Weights 1, 2, 3, ...
inline BlockArcs small_arcs(bool weighted) {
  const std::vector<std::pair<std::uint32_t, std::uint32_t>> edges = {{0, 1}, {0, 2}, {0, 3}, {0, 4}, {0, 5}, {1, 2},
                                                                      {3, 4}, {4, 5}, {5, 6}, {6, 7}, {2, 7}};
  BlockArcs arcs{.targets = kSmallNodes, .sources = kSmallNodes};
  for (std::uint32_t node = 0; node < kSmallNodes; ++node) {
    for (std::size_t edge = 0; edge < edges.size(); ++edge) {
      const auto [a, b] = edges[edge];
      if (a != node && b != node) continue;
      arcs.neighbours.push_back(a == node ? b : a);
      if (weighted) arcs.weights.push_back(static_cast<float>(1 + edge % 3));
    }
    arcs.offsets.push_back(arcs.neighbours.size());
  }
  return arcs;
}

/// Targets 0 .. 3 of the same graph, which draw from all nodes: some arcs are left out.
inline BlockArcs sampled_arcs() {
  BlockArcs arcs{.targets = 4, .sources = kSmallNodes};
  arcs.neighbours = {5, 1, 8, 0, 2, 0, 7, 4};
  arcs.offsets = {0, 3, 5, 7, 8};
  arcs.degrees = {5, 2, 3, 2, 3, 3, 2, 2, 1};
  return arcs;
}

/// Uniform in [-1, 1).
template <typename Real>
std::vector<Real> some_values(std::size_t count, std::uint64_t seed) {
  std::vector<Real> values(count);
  for (std::size_t i = 0; i < count; ++i) {
    const auto block =
        partition::random_block(seed, partition::RandomPurpose::kGenerate, static_cast<std::uint32_t>(i), 0, 0);
    values[i] = static_cast<Real>(2 * partition::unit_double(block[0], block[1]) - 1);
  }
  return values;
}

inline std::vector<std::uint32_t> counted(std::uint32_t count) {
  std::vector<std::uint32_t> nodes(count);
  for (std::uint32_t i = 0; i < count; ++i) nodes[i] = 100 + i;
  return nodes;
}

}  // namespace knotwork::embeddings::gnn
