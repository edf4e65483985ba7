// Sampled blocks against a plain sampler with maps and sets, and against what chance should give.
#include "embeddings/neighbour_sampler.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <set>
#include <utility>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "partition/errors.h"
#include "partition/random.h"
#include "tests/unit/embeddings/walk_graphs.h"

namespace knotwork::embeddings {
namespace {

using partition::GlobalNode;
using partition::Graph;
using partition::OriginalNode;
using testing::HasSubstr;

/// What one node draws, by the book: Floyd's algorithm with a set.
std::vector<GlobalNode> drawn_plainly(const Graph& graph, const NeighbourSampleOptions& options, GlobalNode node,
                                      std::uint32_t hop, std::uint32_t epoch) {
  const auto list = graph.neighbours(node);
  const std::uint32_t fan_out = options.fan_outs[hop];
  if (list.size() <= fan_out) return {list.begin(), list.end()};
  std::set<std::uint64_t> taken;
  std::vector<GlobalNode> drawn;
  for (std::uint32_t k = 0; k < fan_out; ++k) {
    const auto words = partition::random_block(options.seed, partition::RandomPurpose::kNeighbourSample,
                                               graph.original(node), epoch, k / 4, hop);
    const std::uint64_t last = list.size() - fan_out + k;
    std::uint64_t position = (std::uint64_t{words[k % 4]} * (last + 1)) >> 32;
    if (!taken.insert(position).second) {
      position = last;
      taken.insert(last);
    }
    drawn.push_back(list[position]);
  }
  return drawn;
}

void expect_blocks_by_the_book(const Graph& graph, const NeighbourSampleOptions& options,
                               const std::vector<GlobalNode>& seeds, std::uint32_t epoch, const SampledBlocks& blocks) {
  std::map<GlobalNode, std::uint32_t> places;
  std::vector<GlobalNode> nodes;
  const auto place_of = [&](GlobalNode node) {
    const auto [at, is_new] = places.insert({node, static_cast<std::uint32_t>(nodes.size())});
    if (is_new) nodes.push_back(node);
    return at->second;
  };
  ASSERT_EQ(blocks.seed_places.size(), seeds.size());
  for (std::size_t i = 0; i < seeds.size(); ++i) EXPECT_EQ(blocks.seed_places[i], place_of(seeds[i]));
  ASSERT_EQ(blocks.hops.size(), options.fan_outs.size());
  ASSERT_EQ(blocks.reach.size(), options.fan_outs.size() + 1);
  std::uint64_t arcs = 0;
  for (std::uint32_t hop = 0; hop < options.fan_outs.size(); ++hop) {
    const std::size_t destinations = nodes.size();
    EXPECT_EQ(blocks.reach[hop], destinations);
    ASSERT_EQ(blocks.hops[hop].size(), destinations);
    for (std::size_t i = 0; i < destinations; ++i) {
      std::vector<std::uint32_t> expected;
      for (const GlobalNode node : drawn_plainly(graph, options, nodes[i], hop, epoch)) {
        expected.push_back(place_of(node));
      }
      const auto list = blocks.hops[hop].list(i);
      EXPECT_EQ(std::vector<std::uint32_t>(list.begin(), list.end()), expected) << "hop " << hop << ", place " << i;
      arcs += expected.size();
    }
  }
  EXPECT_EQ(blocks.reach.back(), nodes.size());
  EXPECT_EQ(blocks.nodes, nodes);
  EXPECT_EQ(blocks.arc_count(), arcs);
}

std::vector<GlobalNode> some_seeds(std::uint32_t count, std::uint32_t nodes, std::uint32_t salt) {
  std::vector<GlobalNode> seeds;
  for (std::uint32_t i = 0; i < count; ++i) {
    seeds.push_back(
        partition::bounded(partition::random_block(5, partition::RandomPurpose::kGenerate, i, salt, 0)[0], nodes));
  }
  return seeds;
}

TEST(NeighbourSamplerTest, blocks_are_those_of_a_plain_sampler) {
  const Graph graph = make_graph(skewed_graph(3000, 20000, 50, false, false));
  for (const std::vector<std::uint32_t>& fan_outs :
       {std::vector<std::uint32_t>{10, 10}, {3, 70, 2}, {kAllNeighbours}, {5, kAllNeighbours}, {1}, {200}}) {
    for (const unsigned threads : {1U, 3U}) {
      const NeighbourSampler sampler(graph, {.fan_outs = fan_outs, .seed = 3, .threads = threads});
      BlockBuilder builder;  // Used again for smaller and larger batches.
      for (std::uint32_t batch = 0; batch < 3; ++batch) {
        const auto seeds = some_seeds(batch == 1 ? 1000 : 40, 3050, batch);
        sampler.sample(seeds, batch, builder);
        expect_blocks_by_the_book(graph, sampler.options(), seeds, batch, builder.blocks());
      }
    }
  }
}

TEST(NeighbourSamplerTest, no_seeds_and_nodes_without_neighbours_give_empty_lists) {
  const Graph graph = make_graph(skewed_graph(100, 300, 10, false, false));
  const NeighbourSampler sampler(graph, {.fan_outs = {4, 4}});
  BlockBuilder builder;
  sampler.sample({}, 0, builder);
  EXPECT_TRUE(builder.blocks().nodes.empty());
  EXPECT_EQ(builder.blocks().reach, (std::vector<std::uint32_t>{0, 0, 0}));
  const std::vector<GlobalNode> alone{109, 109};
  sampler.sample(alone, 0, builder);
  EXPECT_EQ(builder.blocks().nodes, std::vector<GlobalNode>{109});
  EXPECT_EQ(builder.blocks().seed_places, (std::vector<std::uint32_t>{0, 0}));
  EXPECT_EQ(builder.blocks().arc_count(), 0U);
}

/// A node's draws in input's terms: original nodes, so that numberings can be compared.
std::vector<OriginalNode> originals(const Graph& whole, std::span<const std::uint32_t> nodes) {
  std::vector<OriginalNode> result;
  for (const GlobalNode node : nodes) result.push_back(whole.original(node));
  return result;
}

TEST(NeighbourSamplerTest, parts_and_renumbering_change_nothing) {
  const TestEdges edges = skewed_graph(800, 6000, 10, false, false);
  const Graph whole = make_graph(edges);
  const Graph parted = make_graph(edges, scattered_parts(edges.node_count, 5), 5);
  std::vector<GlobalNode> of_whole(edges.node_count);
  for (GlobalNode node = 0; node < edges.node_count; ++node) of_whole[whole.original(node)] = node;
  const NeighbourSampleOptions options{.fan_outs = {4, 6}};
  const NeighbourSampler sampler(whole, options);
  for (partition::Part part = 0; part < 5; ++part) {
    const Graph slice = slice_of(parted, part);
    const NeighbourSampler of_slice(slice, options);
    std::vector<GlobalNode> here;
    std::vector<GlobalNode> there;
    for (GlobalNode node = slice.first_node(); node < slice.last_node(); ++node) {
      here.push_back(node);
      there.push_back(of_whole[slice.original(node)]);
    }
    for (std::uint32_t hop = 0; hop < 2; ++hop) {
      NeighbourLists drawn_here;
      NeighbourLists drawn_there;
      of_slice.draw(here, hop, 7, drawn_here);
      sampler.draw(there, hop, 7, drawn_there);
      EXPECT_EQ(drawn_here.offsets, drawn_there.offsets);
      EXPECT_EQ(originals(parted, drawn_here.entries), originals(whole, drawn_there.entries));
    }
  }
}

/// Pearson's statistic of counts that should all be `expected`.
double chi_square(const std::vector<std::uint32_t>& counts, double expected) {
  double sum = 0;
  for (const std::uint32_t count : counts) sum += (count - expected) * (count - expected) / expected;
  return sum;
}

/// A hub (node 0) with `leaves` neighbours.
Graph star(std::uint32_t leaves) {
  TestEdges edges{leaves + 1, {}, false, false};
  for (std::uint32_t leaf = 1; leaf <= leaves; ++leaf) edges.edges.push_back({0, leaf});
  return make_graph(edges);
}

TEST(NeighbourSamplerTest, each_set_of_neighbours_is_as_likely_as_any_other) {
  const std::uint32_t leaves = 7;
  const std::uint32_t epochs = 70000;
  const NeighbourSampler sampler(star(leaves), {.fan_outs = {3, 3}, .seed = 11});
  const std::vector<GlobalNode> hub{0};
  std::map<std::set<std::uint32_t>, std::uint32_t> sets;
  std::vector<std::uint32_t> first_of_both(leaves * leaves);  // Hops are independent of each other.
  for (std::uint32_t epoch = 0; epoch < epochs; ++epoch) {
    std::uint32_t firsts[2];
    for (std::uint32_t hop = 0; hop < 2; ++hop) {
      NeighbourLists lists;
      sampler.draw(hub, hop, epoch, lists);
      const std::set<std::uint32_t> drawn(lists.entries.begin(), lists.entries.end());
      ASSERT_EQ(drawn.size(), 3U);
      if (hop == 0) ++sets[drawn];
      firsts[hop] = *std::ranges::min_element(lists.entries) - 1;
    }
    ++first_of_both[firsts[0] * leaves + firsts[1]];
  }
  ASSERT_EQ(sets.size(), 35U);  // 7 over 3
  std::vector<std::uint32_t> counts;
  for (const auto& [drawn, count] : sets) counts.push_back(count);
  EXPECT_LT(chi_square(counts, epochs / 35.0), 65.2);  // 34 degrees of freedom, p = 0.001
  // The least of three out of seven is 0 .. 4 with probability 15, 10, 6, 3, 1 of 35.
  const double least[] = {15 / 35.0, 10 / 35.0, 6 / 35.0, 3 / 35.0, 1 / 35.0};
  double sum = 0;
  for (std::uint32_t a = 0; a < 5; ++a) {
    for (std::uint32_t b = 0; b < 5; ++b) {
      const double expected = epochs * least[a] * least[b];
      sum += std::pow(first_of_both[a * leaves + b] - expected, 2) / expected;
    }
  }
  EXPECT_LT(sum, 51.2);  // 24 degrees of freedom, p = 0.001
}

TEST(NeighbourSamplerTest, large_fan_outs_are_uniform_too) {
  const std::uint32_t leaves = 300;
  const std::uint32_t epochs = 4000;
  const NeighbourSampler sampler(star(leaves), {.fan_outs = {100}, .seed = 5});
  const std::vector<GlobalNode> hub{0};
  std::vector<std::uint32_t> counts(leaves);
  for (std::uint32_t epoch = 0; epoch < epochs; ++epoch) {
    NeighbourLists lists;
    sampler.draw(hub, 0, epoch, lists);
    for (const std::uint32_t leaf : lists.entries) ++counts[leaf - 1];
  }
  // Draws without replacement: Pearson's sum is smaller than that of independent draws by the factor 1 - 100 / 300.
  const double statistic = chi_square(counts, epochs / 3.0) / (1 - 1 / 3.0);
  EXPECT_LT(statistic, 377.9);  // 299 degrees of freedom, p = 0.001
  EXPECT_GT(statistic, 231.0);  // p = 0.999
}

TEST(NeighbourSamplerTest, transposed_arcs_are_the_same_arcs) {
  const Graph graph = make_graph(skewed_graph(500, 3000, 5, false, false));
  const NeighbourSampler sampler(graph, {.fan_outs = {4, 5}});
  BlockBuilder builder;
  sampler.sample(some_seeds(60, 505, 1), 2, builder);
  const SampledBlocks blocks = builder.take();
  for (std::size_t hop = 0; hop < 2; ++hop) {
    std::vector<std::pair<std::uint32_t, std::uint32_t>> expected;
    std::vector<std::pair<std::uint32_t, std::uint32_t>> found;
    for (std::uint32_t i = 0; i < blocks.hops[hop].size(); ++i) {
      for (const std::uint32_t source : blocks.hops[hop].list(i)) expected.emplace_back(source, i);
    }
    std::ranges::sort(expected);
    const NeighbourLists back = transposed(blocks.hops[hop], blocks.reach[hop + 1]);
    ASSERT_EQ(back.size(), blocks.reach[hop + 1]);
    for (std::uint32_t source = 0; source < back.size(); ++source) {
      for (const std::uint32_t destination : back.list(source)) found.emplace_back(source, destination);
    }
    EXPECT_EQ(found, expected);
  }
}

TEST(NeighbourSamplerTest, bad_fan_outs_are_named) {
  const auto message = [](const std::vector<std::uint32_t>& fan_outs) -> std::string {
    try {
      const NeighbourSampler sampler(star(3), {.fan_outs = fan_outs});
    } catch (const partition::InputError& error) {
      return error.what();
    }
    return "no error";
  };
  EXPECT_THAT(message({}), HasSubstr("fan-out of 0 layers, expected 1 to 64"));
  EXPECT_THAT(message(std::vector<std::uint32_t>(65, 2)), HasSubstr("fan-out of 65 layers"));
  EXPECT_THAT(message({5, 0}), HasSubstr("fan-out 0, expected at least 1"));
}

}  // namespace
}  // namespace knotwork::embeddings
