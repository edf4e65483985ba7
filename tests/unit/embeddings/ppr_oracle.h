// Personalized PageRank the plain way: power iteration in double over maps, until nothing changes.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <functional>
#include <vector>

#include "tests/unit/embeddings/walk_graphs.h"

namespace knotwork::embeddings {

/// Scores of all original nodes. A walk returns to the source before each step with probability `restart`, and from
/// nodes without arcs.
inline std::vector<double> exact_ppr(const TestEdges& input, std::uint32_t source, double restart = 0.15) {
  const auto lists = input.lists();
  std::vector<double> scores(input.node_count, 0.0);
  scores[source] = 1;
  for (double change = 1; change > 1e-13;) {
    std::vector<double> next(input.node_count, 0.0);
    for (std::uint32_t node = 0; node < input.node_count; ++node) {
      double strength = 0;
      for (const auto& [target, weight] : lists[node]) strength += input.weighted ? weight : 1.0;
      const double moving = (1 - restart) * scores[node];
      next[source] += restart * scores[node] + (lists[node].empty() ? moving : 0);
      for (const auto& [target, weight] : lists[node]) {
        next[target] += moving * (input.weighted ? weight : 1.0) / strength;
      }
    }
    change = 0;
    for (std::uint32_t node = 0; node < input.node_count; ++node) change += std::abs(next[node] - scores[node]);
    scores = next;
  }
  return scores;
}

/// The share of `count` best nodes that `found` (original nodes) holds; nodes that tie with the last count as best.
inline double precision_of(const std::vector<std::uint32_t>& found, const std::vector<double>& exact,
                           std::size_t count) {
  std::vector<double> sorted = exact;
  std::ranges::sort(sorted, std::greater<>());
  const double least = sorted[count - 1] * (1 - 1e-9);
  const auto hits = std::ranges::count_if(found, [&](std::uint32_t node) { return exact[node] >= least; });
  return static_cast<double>(hits) / static_cast<double>(count);
}

}  // namespace knotwork::embeddings
