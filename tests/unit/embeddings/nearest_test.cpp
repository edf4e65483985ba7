#include "embeddings/nearest.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include <gmock/gmock.h>

#include "partition/errors.h"
#include "test_folder.h"

namespace knotwork::embeddings {
namespace {

using partition::OriginalNode;
using ::testing::AllOf;
using ::testing::HasSubstr;

double cosine(const Embedding& embedding, OriginalNode a, OriginalNode b) {
  double dot = 0;
  double a_squares = 0;
  double b_squares = 0;
  for (std::size_t column = 0; column < embedding.dim(); ++column) {
    const double x = embedding.row(a)[column];
    const double y = embedding.row(b)[column];
    dot += x * y;
    a_squares += x * x;
    b_squares += y * y;
  }
  return dot / std::sqrt(a_squares * b_squares);
}

TEST(NearestTest, agrees_with_sorting_all_cosines) {
  Embedding embedding(partition::NodeNames::counted(1500), 19);
  fill_random(embedding, 31);
  std::vector<OriginalNode> queries;
  for (OriginalNode node = 0; node < 1500; node += 11) queries.push_back(node);  // more than one block of queries
  const auto found = nearest_neighbours(embedding, queries, 10);
  ASSERT_EQ(found.size(), queries.size());
  for (std::size_t q = 0; q < queries.size(); ++q) {
    std::vector<double> all;
    for (OriginalNode node = 0; node < 1500; ++node) {
      if (node != queries[q]) all.push_back(cosine(embedding, queries[q], node));
    }
    std::ranges::sort(all, std::greater<>());
    ASSERT_EQ(found[q].size(), 10U);
    for (std::size_t i = 0; i < 10; ++i) {
      EXPECT_NEAR(found[q][i].cosine, all[i], 1e-5);
      EXPECT_NEAR(found[q][i].cosine, cosine(embedding, queries[q], found[q][i].node), 1e-5);
      EXPECT_NE(found[q][i].node, queries[q]);
    }
  }
}

TEST(NearestTest, ties_go_to_the_smaller_node_and_few_nodes_give_few_neighbours) {
  Embedding embedding(partition::NodeNames::counted(6), 2);
  for (OriginalNode node = 0; node < 5; ++node) embedding.row(node)[0] = 1;  // node 5 stays zero
  const std::vector<OriginalNode> queries{2};
  const auto two = nearest_neighbours(embedding, queries, 2)[0];
  EXPECT_EQ(two[0].node, 0U);
  EXPECT_EQ(two[1].node, 1U);
  const auto all = nearest_neighbours(embedding, queries, 100)[0];
  ASSERT_EQ(all.size(), 5U);
  EXPECT_EQ(all[4].node, 5U);
  EXPECT_EQ(all[4].cosine, 0.0F);
  EXPECT_TRUE(nearest_neighbours(embedding, queries, 0)[0].empty());
}

TEST(NearestTest, an_unknown_node_is_answered_with_names_near_it) {
  const partition::NodeNames names = names_of({"nginx", "python3-numpy", "zlib1g"});
  EXPECT_EQ(find_node(names, "zlib1g"), 2U);
  EXPECT_THAT(message_of<partition::InputError>([&] { find_node(names, "ngimx"); }),
              AllOf(HasSubstr("'ngimx'"), HasSubstr("nginx")));
}

}  // namespace
}  // namespace knotwork::embeddings
