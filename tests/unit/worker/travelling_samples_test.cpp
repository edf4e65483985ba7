// Neighbourhoods sampled by many ranks are those of one rank that holds the whole graph.
#include "worker/travelling_samples.h"

#include <optional>
#include <span>
#include <vector>

#include <gtest/gtest.h>

#include "tests/unit/worker/graphs.h"

namespace knotwork::worker {
namespace {

using embeddings::BlockBuilder;
using embeddings::kAllNeighbours;
using embeddings::NeighbourSampleOptions;
using embeddings::NeighbourSampler;
using embeddings::SampledBlocks;
using partition::GlobalNode;
using partition::Graph;

void expect_same_blocks(const SampledBlocks& blocks, const SampledBlocks& expected) {
  EXPECT_EQ(blocks.nodes, expected.nodes);
  EXPECT_EQ(blocks.reach, expected.reach);
  EXPECT_EQ(blocks.seed_places, expected.seed_places);
  ASSERT_EQ(blocks.hops.size(), expected.hops.size());
  for (std::size_t hop = 0; hop < blocks.hops.size(); ++hop) {
    EXPECT_EQ(blocks.hops[hop].offsets, expected.hops[hop].offsets);
    EXPECT_EQ(blocks.hops[hop].entries, expected.hops[hop].entries);
  }
}

void expect_samples_of_one_process(const NeighbourSampleOptions& options, bool may_share) {
  const Graph parted = cut(block_graph(4, 60, 6, 2), static_cast<partition::Part>(world().size()));
  const DistributedGraph graph = scatter_graph(world(), world().is_root() ? std::optional<Graph>(parted) : std::nullopt,
                                               partition::NodeNames(), {.may_share = may_share});
  TravellingSamples samples(world(), graph, options);
  const NeighbourSampler of_whole(parted, options);
  // Three batches of different sizes at once; the last rank has no seeds in the second.
  std::vector<std::vector<GlobalNode>> seeds(3);
  for (GlobalNode node = graph.slice.first_node(); node < graph.slice.last_node(); ++node) {
    seeds[0].push_back(node);
    if (node % 5 == 0 && world().rank() + 1 < world().size()) seeds[1].push_back(node);
    if (node % 7 == 0) seeds[2].insert(seeds[2].end(), {node, node, (node + 31) % 240});
  }
  const std::vector<std::span<const GlobalNode>> batches(seeds.begin(), seeds.end());
  std::vector<BlockBuilder> builders(3);
  BlockBuilder expected;
  for (std::uint32_t epoch = 0; epoch < 2; ++epoch) {
    samples.sample(batches, epoch, builders);
    for (std::size_t batch = 0; batch < batches.size(); ++batch) {
      of_whole.sample(batches[batch], epoch, expected);
      expect_same_blocks(builders[batch].blocks(), expected.blocks());
    }
  }
  EXPECT_GT(samples.traffic().nodes_drawn, 0U);
  if (world().size() > 1 && !graph.whole) {
    EXPECT_GT(samples.traffic().nodes_asked, 0U);
    EXPECT_GT(samples.traffic().bytes_sent, 4 * samples.traffic().nodes_asked);
  } else {
    EXPECT_EQ(samples.traffic().bytes_sent, 0U);
  }
}

TEST(TravellingSamplesTest, blocks_are_those_of_one_process) {
  expect_samples_of_one_process({.fan_outs = {3, 4}, .seed = 5}, false);
}

TEST(TravellingSamplesTest, threads_and_whole_neighbourhoods_too) {
  expect_samples_of_one_process({.fan_outs = {2, kAllNeighbours}, .seed = 5, .threads = 2}, false);
}

TEST(TravellingSamplesTest, ranks_that_share_memory_ask_nobody) {
  expect_samples_of_one_process({.fan_outs = {3, 4, 2}, .seed = 6}, true);
}

}  // namespace
}  // namespace knotwork::worker
