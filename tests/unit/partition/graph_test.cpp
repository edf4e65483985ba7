#include "partition/graph.h"

#include <stdexcept>
#include <vector>

#include <gtest/gtest.h>

namespace knotwork::partition {
namespace {

TEST(PartBoundsTest, part_of_finds_the_owner_even_beside_empty_parts) {
  const PartBounds bounds(std::vector<GlobalNode>{0, 3, 3, 7});
  EXPECT_EQ(bounds.part_count(), 3U);
  EXPECT_EQ(bounds.part_of(0), 0U);
  EXPECT_EQ(bounds.part_of(2), 0U);
  EXPECT_EQ(bounds.part_of(3), 2U);  // part 1 is empty
  EXPECT_EQ(bounds.part_of(6), 2U);
}

TEST(PartBoundsTest, refuses_falling_bounds) {
  EXPECT_THROW(PartBounds(std::vector<GlobalNode>{0, 4, 3}), std::invalid_argument);
  EXPECT_THROW(PartBounds(std::vector<GlobalNode>{1, 4}), std::invalid_argument);
}

// Nodes 2 and 3 of the cycle 0-1-2-3, two parts, degree ranks swapped so that lists are not sorted by global node.
TEST(GraphTest, slice_answers_for_its_own_nodes) {
  const std::vector<ArcIndex> offsets{0, 2, 4};
  const std::vector<GlobalNode> targets{3, 1, 2, 0};
  const std::vector<OriginalNode> original{7, 5};
  const std::vector<GlobalNode> degree_rank{3, 2, 1, 0};
  const Graph graph(
      {.node_count = 4, .arc_count = 8}, PartBounds(std::vector<GlobalNode>{0, 2, 4}),
      {.first_node = 2, .offsets = offsets, .targets = targets, .original = original, .degree_rank = degree_rank});
  EXPECT_TRUE(graph.holds(2));
  EXPECT_FALSE(graph.holds(1));
  EXPECT_EQ(graph.degree(3), 2U);
  EXPECT_EQ(graph.original(3), 5U);
  EXPECT_TRUE(graph.has_arc(2, 1));
  EXPECT_TRUE(graph.has_arc(2, 3));
  EXPECT_FALSE(graph.has_arc(2, 0));
  EXPECT_EQ(graph.summary().edge_count(), 4U);
}

TEST(GraphTest, refuses_arrays_that_do_not_fit_together) {
  const std::vector<ArcIndex> offsets{0, 2};
  const std::vector<GlobalNode> targets{1};
  EXPECT_THROW(Graph({.node_count = 1}, PartBounds(1), {.offsets = offsets, .targets = targets}),
               std::invalid_argument);
}

}  // namespace
}  // namespace knotwork::partition
