// Graphs for tests, built the slow and plain way (maps and sorts), independent of build_graph; and what they look like
// in the input's ids, the form in which graphs are compared whatever their numbering.
#pragma once

#include <algorithm>
#include <cstdint>
#include <map>
#include <memory>
#include <numeric>
#include <set>
#include <tuple>
#include <utility>
#include <vector>

#include "partition/graph.h"
#include "partition/random.h"

namespace knotwork::partition {

using EdgeByHand = std::tuple<OriginalNode, OriginalNode, float>;

struct ArraysByHand {
  std::vector<ArcIndex> offsets;
  std::vector<GlobalNode> targets;
  std::vector<float> weights;
  std::vector<OriginalNode> original;
};

/// The one-part graph of edges between original nodes; doubles merged, loops dropped.
inline Graph graph_by_hand(OriginalNode nodes, const std::vector<EdgeByHand>& edges, bool directed = false,
                           bool weighted = false) {
  std::vector<std::map<OriginalNode, float>> lists(nodes);
  for (const auto& [u, v, weight] : edges) {
    if (u == v) continue;
    lists[u][v] += weight;
    if (!directed) lists[v][u] += weight;
  }
  auto arrays = std::make_shared<ArraysByHand>();
  arrays->original.resize(nodes);
  std::iota(arrays->original.begin(), arrays->original.end(), 0U);
  std::stable_sort(arrays->original.begin(), arrays->original.end(),
                   [&](OriginalNode a, OriginalNode b) { return lists[a].size() > lists[b].size(); });
  std::vector<GlobalNode> rank(nodes);
  for (GlobalNode node = 0; node < nodes; ++node) rank[arrays->original[node]] = node;
  arrays->offsets.push_back(0);
  for (GlobalNode node = 0; node < nodes; ++node) {
    std::vector<std::pair<GlobalNode, float>> list;
    for (const auto& [target, weight] : lists[arrays->original[node]]) list.emplace_back(rank[target], weight);
    std::sort(list.begin(), list.end());
    for (const auto& [target, weight] : list) {
      arrays->targets.push_back(target);
      if (weighted) arrays->weights.push_back(weight);
    }
    arrays->offsets.push_back(arrays->targets.size());
  }
  return Graph({.node_count = nodes, .arc_count = arrays->targets.size(), .directed = directed, .weighted = weighted},
               PartBounds(nodes),
               {.offsets = arrays->offsets,
                .targets = arrays->targets,
                .weights = arrays->weights,
                .original = arrays->original,
                .owner = arrays});
}

/// `blocks` groups of `size` nodes: `inside` random edges a node within its group, one in `rare` edges leaves it.
inline std::vector<EdgeByHand> planted_edges(OriginalNode blocks, OriginalNode size, std::uint32_t inside,
                                             std::uint32_t rare, std::uint64_t seed) {
  std::vector<EdgeByHand> edges;
  for (OriginalNode u = 0; u < blocks * size; ++u) {
    for (std::uint32_t i = 0; i < inside; ++i) {
      const RandomBlock block = random_block(seed, RandomPurpose::kGenerate, u, i, 0);
      const OriginalNode home = bounded(block[0], rare) == 0 ? bounded(block[1], blocks) : u % blocks;
      edges.emplace_back(u, bounded(block[2], size) * blocks + home, 1.0F + static_cast<float>(block[3] % 7));
    }
  }
  return edges;
}

/// Every list in original ids, in list order, with weights (0 if unweighted): the same for every numbering.
inline std::map<OriginalNode, std::vector<std::pair<OriginalNode, float>>> lists_in_original_ids(
    const Graph& graph, const std::vector<OriginalNode>& original_of_global) {
  std::map<OriginalNode, std::vector<std::pair<OriginalNode, float>>> lists;
  for (GlobalNode node = graph.first_node(); node < graph.last_node(); ++node) {
    auto& list = lists[graph.original(node)];
    for (std::size_t i = 0; i < graph.degree(node); ++i) {
      list.emplace_back(original_of_global.at(graph.neighbours(node)[i]),
                        graph.summary().weighted ? graph.weights(node)[i] : 0.0F);
    }
  }
  return lists;
}

inline std::vector<OriginalNode> originals_of(const Graph& whole) {
  return {whole.arrays().original.begin(), whole.arrays().original.end()};
}

}  // namespace knotwork::partition
