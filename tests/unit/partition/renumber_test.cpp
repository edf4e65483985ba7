// The graph read back through original ids is the same, for any cut.
#include "partition/renumber.h"

#include <stdexcept>
#include <vector>

#include <gtest/gtest.h>

#include "graph_by_hand.h"

namespace knotwork::partition {
namespace {

std::vector<Part> scattered_parts(OriginalNode nodes, Part parts, std::uint64_t seed) {
  std::vector<Part> part_of(nodes);
  for (OriginalNode node = 0; node < nodes; ++node) {
    part_of[node] = bounded(random_block(seed, RandomPurpose::kPartition, node, 0, 0)[0], parts);
  }
  return part_of;
}

class RenumberTest : public testing::TestWithParam<std::pair<bool, bool>> {};

TEST_P(RenumberTest, the_graph_is_the_same_through_original_ids) {
  const auto [directed, weighted] = GetParam();
  const Graph whole = graph_by_hand(400, planted_edges(4, 100, 5, 4, 2), directed, weighted);
  const auto expected = lists_in_original_ids(whole, originals_of(whole));
  for (const Part parts : {1U, 3U, 8U}) {
    const std::vector<Part> part_of = scattered_parts(400, parts, 17);
    const Graph cut = renumber_by_parts(whole, part_of, parts);
    EXPECT_EQ(lists_in_original_ids(cut, originals_of(cut)), expected);  // list order included
    ASSERT_EQ(cut.parts().part_count(), parts);
    for (GlobalNode node = 0; node < 400; ++node) {
      const GlobalNode old = cut.degree_rank(node);
      EXPECT_EQ(cut.original(node), whole.original(old));
      EXPECT_EQ(cut.parts().part_of(node), part_of[old]);
      const bool first_of_part = node == cut.parts().first(cut.parts().part_of(node));
      EXPECT_TRUE(first_of_part || old > cut.degree_rank(node - 1));
      for (const GlobalNode target : cut.neighbours(node)) EXPECT_TRUE(cut.has_arc(node, target));
    }
  }
}

TEST_P(RenumberTest, slices_together_hold_the_whole) {
  const auto [directed, weighted] = GetParam();
  const Graph whole = graph_by_hand(400, planted_edges(4, 100, 5, 4, 2), directed, weighted);
  const Graph cut = renumber_by_parts(whole, scattered_parts(400, 5, 8), 5);
  std::map<OriginalNode, std::vector<std::pair<OriginalNode, float>>> together;
  for (const auto& [first, last] : {std::pair{0U, 2U}, std::pair{2U, 3U}, std::pair{3U, 5U}}) {
    const Graph slice = slice_parts(cut, first, last);
    EXPECT_EQ(slice.first_node(), cut.parts().first(first));
    EXPECT_EQ(slice.last_node(), cut.parts().last(last - 1));
    EXPECT_EQ(slice.arrays().offsets.front(), 0U);
    EXPECT_EQ(slice.arrays().targets.data(), cut.neighbours(slice.first_node()).data());  // shared, not copied
    together.merge(lists_in_original_ids(slice, originals_of(cut)));
  }
  EXPECT_EQ(together, lists_in_original_ids(cut, originals_of(cut)));
}

INSTANTIATE_TEST_SUITE_P(All, RenumberTest,
                         testing::Values(std::pair{false, false}, std::pair{false, true}, std::pair{true, false},
                                         std::pair{true, true}));

TEST(RenumberErrorsTest, parts_that_do_not_fit_are_refused) {
  const Graph whole = graph_by_hand(3, {{0, 1, 1.0F}});
  EXPECT_THROW(renumber_by_parts(whole, std::vector<Part>{0, 1}, 2), std::invalid_argument);
  EXPECT_THROW(renumber_by_parts(whole, std::vector<Part>{0, 1, 2}, 2), std::invalid_argument);
  const Graph cut = renumber_by_parts(whole, std::vector<Part>{0, 1, 1}, 2);
  EXPECT_THROW(renumber_by_parts(cut, std::vector<Part>{0, 1, 1}, 2), std::invalid_argument);
  EXPECT_THROW(slice_parts(cut, 1, 1), std::invalid_argument);
  EXPECT_THROW(slice_parts(cut, 0, 3), std::invalid_argument);
}

}  // namespace
}  // namespace knotwork::partition
