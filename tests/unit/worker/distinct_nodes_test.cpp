// Numbers against a plain map, through growth and many batches.
#include "worker/distinct_nodes.h"

#include <random>
#include <unordered_map>

#include <gtest/gtest.h>

namespace knotwork::worker {
namespace {

using partition::GlobalNode;

TEST(DistinctNodesTest, nodes_are_numbered_in_the_order_in_which_they_come) {
  std::mt19937 random(3);
  DistinctNodes nodes;
  for (const std::uint32_t different : {1U, 10U, 600U, 5000U, 40U}) {
    nodes.clear();
    EXPECT_TRUE(nodes.nodes().empty());
    std::unordered_map<GlobalNode, std::uint32_t> expected;
    for (std::uint32_t i = 0; i < 3 * different; ++i) {
      // Far apart and close together.
      const auto node = static_cast<GlobalNode>(i % 7 == 0 ? 0 : (random() % different) * (i % 2 == 0 ? 1 : 104729));
      const auto known = expected.try_emplace(node, static_cast<std::uint32_t>(expected.size())).first->second;
      ASSERT_EQ(nodes.number_of(node), known);
    }
    ASSERT_EQ(nodes.nodes().size(), expected.size());
    for (std::uint32_t number = 0; number < nodes.nodes().size(); ++number) {
      EXPECT_EQ(expected.at(nodes.nodes()[number]), number);
    }
  }
}

}  // namespace
}  // namespace knotwork::worker
