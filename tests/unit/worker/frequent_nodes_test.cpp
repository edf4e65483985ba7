// Frequent nodes against a plain count over all ranks' positions.
#include "worker/frequent_nodes.h"

#include <map>
#include <vector>

#include <gtest/gtest.h>

#include "partition/random.h"
#include "tests/unit/worker/graphs.h"
#include "worker/distributed_training.h"

namespace knotwork::worker {
namespace {

using partition::bounded;
using partition::GlobalNode;

constexpr std::uint32_t kPositions = 3000;

/// Position `i` of rank `rank`: node v about every 2^(v + 1)-th time, other nodes on other ranks.
GlobalNode position(std::uint32_t rank, std::uint32_t i) {
  const auto random = partition::random_block(7, partition::RandomPurpose::kGenerate, rank, i, 0);
  GlobalNode node = rank % 2 * 4;
  while (node < 20 && (random[0] >> node) % 2 == 1) ++node;
  return node;
}

TEST(FrequentNodesTest, are_those_of_a_plain_count) {
  cluster::Communicator& communicator = world();
  const auto ranks = static_cast<std::uint32_t>(communicator.size());
  std::map<GlobalNode, double> counts;
  for (std::uint32_t rank = 0; rank < ranks; ++rank) {
    for (std::uint32_t i = 0; i < kPositions; ++i) counts[position(rank, i)] += 1;
  }
  std::vector<GlobalNode> own;
  for (std::uint32_t i = 0; i < kPositions; ++i) {
    own.push_back(position(static_cast<std::uint32_t>(communicator.rank()), i));
  }
  for (const double least : {1e-9, 0.01, 0.1, 0.3, 1.0}) {
    std::vector<GlobalNode> expected;
    for (const auto& [node, count] : counts) {
      if (count >= least * kPositions * ranks) expected.push_back(node);
    }
    EXPECT_EQ(frequent_nodes(communicator, own, least), expected) << least;
  }
}

TEST(FrequentNodesTest, of_no_walks_there_are_none) {
  cluster::Communicator& communicator = world();
  EXPECT_TRUE(frequent_nodes(communicator, {}, 0.1).empty());
}

TEST(ConsistencyOfTest, staleness_falls_with_the_use_of_rows_by_others) {
  TrainingOptions options;
  EXPECT_EQ(consistency_of(options, 0, 4).staleness, 256U);
  EXPECT_EQ(consistency_of(options, 100, 4).staleness, 1U);
  const auto seldom = *consistency_of(options, 0.5, 4).staleness;
  const auto often = *consistency_of(options, 2, 4).staleness;
  EXPECT_EQ(seldom, 4 * often);
  EXPECT_EQ(consistency_of(options, 2, 2).staleness, 2 * often) << "two ranks learn less beside each other than four";
  EXPECT_EQ(consistency_of(options, 2, 16).staleness, consistency_of(options, 2, 8).staleness);
  options.consistency.staleness = 17;
  EXPECT_EQ(consistency_of(options, 100, 4).staleness, 17U) << "what was asked for stays";
}

}  // namespace
}  // namespace knotwork::worker
