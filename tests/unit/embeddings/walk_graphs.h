// Small graphs for the walk tests, built the plain way (maps and sorts) and independent of the partition room's
// builders: whole or in slices, with any assignment of nodes to parts.
#pragma once

#include <algorithm>
#include <cstdint>
#include <map>
#include <memory>
#include <numeric>
#include <utility>
#include <vector>

#include "partition/graph.h"
#include "partition/random.h"

namespace knotwork::embeddings {

struct TestEdge {
  std::uint32_t source;
  std::uint32_t target;
  float weight = 1.0F;
};

struct TestEdges {
  std::uint32_t node_count = 0;
  std::vector<TestEdge> edges;
  bool directed = false;
  bool weighted = false;

  /// Original node → its neighbours and weights.
  std::vector<std::map<std::uint32_t, float>> lists() const {
    std::vector<std::map<std::uint32_t, float>> result(node_count);
    for (const TestEdge& edge : edges) {
      if (edge.source == edge.target) continue;
      result[edge.source][edge.target] = edge.weight;
      if (!directed) result[edge.target][edge.source] = edge.weight;
    }
    return result;
  }
};

/// The heap behind a graph that these tests build.
struct TestArrays {
  std::vector<partition::ArcIndex> offsets{0};
  std::vector<partition::GlobalNode> targets;
  std::vector<float> weights;
  std::vector<partition::OriginalNode> original;
  std::vector<partition::GlobalNode> degree_rank;
};

/// The whole graph with `part_of[original]` as given (all zero: one part).
inline partition::Graph make_graph(const TestEdges& input, std::vector<std::uint32_t> part_of = {},
                                   std::uint32_t part_count = 1) {
  if (part_of.empty()) part_of.assign(input.node_count, 0);
  const auto lists = input.lists();
  std::vector<std::uint32_t> by_rank(input.node_count);
  std::iota(by_rank.begin(), by_rank.end(), 0U);
  std::stable_sort(by_rank.begin(), by_rank.end(), [&](auto a, auto b) { return lists[a].size() > lists[b].size(); });
  std::vector<std::uint32_t> rank_of(input.node_count);
  for (std::uint32_t r = 0; r < input.node_count; ++r) rank_of[by_rank[r]] = r;
  std::vector<std::uint32_t> by_global = by_rank;
  std::stable_sort(by_global.begin(), by_global.end(), [&](auto a, auto b) { return part_of[a] < part_of[b]; });
  std::vector<std::uint32_t> global_of(input.node_count);
  for (std::uint32_t g = 0; g < input.node_count; ++g) global_of[by_global[g]] = g;

  auto arrays = std::make_shared<TestArrays>();
  std::vector<partition::GlobalNode> bounds(part_count + 1, 0);
  for (const std::uint32_t node : by_global) {
    ++bounds[part_of[node] + 1];
    std::vector<std::pair<std::uint32_t, float>> list(lists[node].begin(), lists[node].end());
    std::sort(list.begin(), list.end(), [&](auto a, auto b) { return rank_of[a.first] < rank_of[b.first]; });
    for (const auto& [neighbour, weight] : list) {
      arrays->targets.push_back(global_of[neighbour]);
      if (input.weighted) arrays->weights.push_back(weight);
    }
    arrays->offsets.push_back(arrays->targets.size());
    arrays->original.push_back(node);
    if (part_count > 1) arrays->degree_rank.push_back(rank_of[node]);
  }
  std::partial_sum(bounds.begin(), bounds.end(), bounds.begin());
  const partition::GraphSummary summary{input.node_count, arrays->targets.size(), input.directed, input.weighted};
  return {summary,
          partition::PartBounds(bounds),
          {0, arrays->offsets, arrays->targets, arrays->weights, arrays->original, arrays->degree_rank, arrays}};
}

/// The rows of part `part` alone, as one rank would hold them.
inline partition::Graph slice_of(const partition::Graph& whole, partition::Part part) {
  auto arrays = std::make_shared<TestArrays>();
  const auto first = whole.parts().first(part);
  for (auto node = first; node < whole.parts().last(part); ++node) {
    const auto list = whole.neighbours(node);
    arrays->targets.insert(arrays->targets.end(), list.begin(), list.end());
    if (whole.summary().weighted) {
      const auto weights = whole.weights(node);
      arrays->weights.insert(arrays->weights.end(), weights.begin(), weights.end());
    }
    arrays->offsets.push_back(arrays->targets.size());
    arrays->original.push_back(whole.original(node));
  }
  const auto ranks = whole.arrays().degree_rank;
  arrays->degree_rank.assign(ranks.begin(), ranks.end());
  return {whole.summary(),
          whole.parts(),
          {first, arrays->offsets, arrays->targets, arrays->weights, arrays->original, arrays->degree_rank, arrays}};
}

/// A skewed random graph: a few hubs, many leaves, `isolated` nodes without edges at the end; weights from 0.25 to 4.
inline TestEdges skewed_graph(std::uint32_t node_count, std::uint32_t edge_count, std::uint32_t isolated, bool directed,
                              bool weighted, std::uint64_t seed = 7) {
  TestEdges result{node_count + isolated, {}, directed, weighted};
  for (std::uint32_t e = 0; e < edge_count; ++e) {
    const auto block = partition::random_block(seed, partition::RandomPurpose::kGenerate, e, 0, 0);
    const float skew = partition::unit_float(block[0]);
    const auto source = static_cast<std::uint32_t>(skew * skew * skew * static_cast<float>(node_count));
    const std::uint32_t target = partition::bounded(block[1], node_count);
    const float weight = weighted ? 0.25F * static_cast<float>(1 + block[2] % 16) : 1.0F;
    result.edges.push_back({source, target, weight});
  }
  return result;
}

/// A pseudo-random assignment to `part_count` parts.
inline std::vector<std::uint32_t> scattered_parts(std::uint32_t node_count, std::uint32_t part_count) {
  std::vector<std::uint32_t> result(node_count);
  for (std::uint32_t node = 0; node < node_count; ++node) {
    const auto block = partition::random_block(99, partition::RandomPurpose::kPartition, node, 0, 0);
    result[node] = partition::bounded(block[0], part_count);
  }
  return result;
}

}  // namespace knotwork::embeddings
