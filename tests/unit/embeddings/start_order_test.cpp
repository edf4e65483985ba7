#include "embeddings/start_order.h"

#include <algorithm>
#include <cmath>
#include <set>
#include <vector>

#include <gtest/gtest.h>

#include "tests/unit/embeddings/walk_graphs.h"

namespace knotwork::embeddings {
namespace {

std::vector<std::uint32_t> order(std::uint64_t seed, std::uint32_t round, std::uint32_t count) {
  const StartOrder start_order(seed, round, count);
  std::vector<std::uint32_t> result;
  for (std::uint32_t i = 0; i < count; ++i) result.push_back(start_order.at(i));
  return result;
}

TEST(StartOrderTest, is_a_permutation_of_every_size) {
  for (const std::uint32_t count : {1U, 2U, 3U, 4U, 5U, 7U, 64U, 65U, 1000U, 4097U}) {
    std::vector<std::uint32_t> sorted = order(3, 0, count);
    std::sort(sorted.begin(), sorted.end());
    for (std::uint32_t i = 0; i < count; ++i) ASSERT_EQ(sorted[i], i) << "of " << count;
  }
}

TEST(StartOrderTest, works_at_the_largest_node_count) {
  const StartOrder largest(1, 0, static_cast<std::uint32_t>(partition::kMaxNodes));
  std::set<std::uint32_t> seen;
  for (std::uint32_t i = 0; i < 1000; ++i) seen.insert(largest.at(i));
  EXPECT_EQ(seen.size(), 1000U);
  EXPECT_LT(*seen.rbegin(), partition::kMaxNodes);
  EXPECT_GT(*seen.rbegin(), partition::kMaxNodes / 2);
}

TEST(StartOrderTest, depends_on_seed_and_round_and_nothing_else) {
  EXPECT_EQ(order(3, 1, 1000), order(3, 1, 1000));
  EXPECT_NE(order(3, 1, 1000), order(3, 2, 1000));
  EXPECT_NE(order(3, 1, 1000), order(4, 1, 1000));
}

// Mean and neighbour correlation of a random permutation of 0 .. n-1, within 5 standard deviations.
TEST(StartOrderTest, looks_random) {
  const std::uint32_t count = 20000;
  for (std::uint32_t round = 0; round < 5; ++round) {
    const auto nodes = order(9, round, count);
    double first_half = 0.0;
    double product = 0.0;
    const double mean = (count - 1) / 2.0;
    for (std::uint32_t i = 0; i < count; ++i) {
      if (i < count / 2) first_half += nodes[i];
      if (i > 0) product += (nodes[i] - mean) * (nodes[i - 1] - mean);
    }
    const double variance = (count * static_cast<double>(count) - 1) / 12.0;
    EXPECT_NEAR(first_half / (count / 2), mean, 5 * std::sqrt(variance / count));
    EXPECT_NEAR(product / variance / count, 0.0, 5 / std::sqrt(count));
  }
}

TEST(StartOrderTest, inverse_of_original) {
  const auto input = skewed_graph(40, 100, 3, false, false);
  const partition::Graph graph = make_graph(input, scattered_parts(43, 2), 2);
  const auto global = global_of_original(graph);
  for (std::uint32_t node = 0; node < 43; ++node) EXPECT_EQ(graph.original(global[node]), node);
  EXPECT_THROW(global_of_original(slice_of(graph, 1)), std::invalid_argument);
}

}  // namespace
}  // namespace knotwork::embeddings
