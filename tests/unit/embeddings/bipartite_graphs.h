// User-item graphs for tests, by hand or drawn.
#pragma once

#include <cstdint>
#include <utility>
#include <vector>

#include "embeddings/ranking_objective.h"
#include "partition/build_graph.h"
#include "partition/random.h"

namespace knotwork::embeddings {

using Pairs = std::vector<std::pair<std::uint32_t, std::uint32_t>>;

/// Users 0 .. users - 1 and items 0 .. items - 1; nodes without a pair stay.
inline UserItemGraph user_item_graph(std::uint32_t users, std::uint32_t items, const Pairs& pairs,
                                     std::vector<float> weights = {}) {
  std::vector<partition::Edge> edges;
  for (const auto& [user, item] : pairs) edges.push_back({user, users + item});
  partition::BuildReport report;
  return {partition::build_graph(partition::EdgeArrays::copy_of(edges, weights), users + items, false, report), users};
}

/// Each user takes `each` items, nearly all from the user's own of `blocks` blocks.
inline Pairs block_pairs(std::uint32_t users, std::uint32_t items, std::uint32_t blocks, std::uint32_t each,
                         std::uint64_t seed) {
  Pairs pairs;
  for (std::uint32_t user = 0; user < users; ++user) {
    for (std::uint32_t i = 0; i < each; ++i) {
      const auto random = partition::random_block(seed, partition::RandomPurpose::kGenerate, user, i, 0);
      const std::uint32_t any = partition::bounded(random[0], items);
      pairs.emplace_back(user, random[1] < 0xe0000000U ? any / blocks * blocks % items + user % blocks : any);
      if (pairs.back().second >= items) pairs.back().second = user % blocks;
    }
  }
  return pairs;
}

}  // namespace knotwork::embeddings
