// build_graph against a plain oracle made of std::map, for random multigraphs.
#include "partition/build_graph.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>
#include <stdexcept>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "partition/random.h"

namespace knotwork::partition {
namespace {

struct Oracle {
  std::map<OriginalNode, std::map<OriginalNode, double>> rows;
  std::vector<OriginalNode> by_rank;
  BuildReport report;
};

Oracle plain_build(const std::vector<Edge>& edges, const std::vector<float>& weights, OriginalNode node_count,
                   bool directed) {
  Oracle oracle;
  for (std::size_t i = 0; i < edges.size(); ++i) {
    const auto [a, b] = edges[i];
    const double weight = weights.empty() ? 1.0 : static_cast<double>(weights[i]);
    if (a == b) {
      ++oracle.report.self_loops_dropped;
      continue;
    }
    oracle.report.duplicates_merged += oracle.rows[a].contains(b) ? 1 : 0;
    oracle.rows[a][b] += weight;
    if (!directed) oracle.rows[b][a] += weight;
  }
  std::vector<std::size_t> degree(node_count);
  for (const auto& [node, row] : oracle.rows) {
    degree[node] += row.size();
    for (const auto& [target, weight] : row) degree[target] += directed ? 1 : 0;
  }
  oracle.by_rank.resize(node_count);
  std::iota(oracle.by_rank.begin(), oracle.by_rank.end(), 0U);
  std::stable_sort(oracle.by_rank.begin(), oracle.by_rank.end(),
                   [&](OriginalNode a, OriginalNode b) { return degree[a] > degree[b]; });
  return oracle;
}

void expect_equal(const Graph& graph, const Oracle& oracle) {
  ASSERT_EQ(graph.summary().node_count, oracle.by_rank.size());
  ASSERT_TRUE(graph.is_whole());
  std::vector<GlobalNode> rank(oracle.by_rank.size());
  for (GlobalNode r = 0; r < rank.size(); ++r) rank[oracle.by_rank[r]] = r;
  ArcIndex arcs = 0;
  for (GlobalNode node = 0; node < graph.row_count(); ++node) {
    ASSERT_EQ(graph.original(node), oracle.by_rank[node]);
    std::vector<std::pair<GlobalNode, double>> expected;
    const auto found = oracle.rows.find(oracle.by_rank[node]);
    if (found != oracle.rows.end()) {
      for (const auto& [target, weight] : found->second) expected.emplace_back(rank[target], weight);
    }
    std::sort(expected.begin(), expected.end());
    ASSERT_EQ(graph.degree(node), expected.size());
    for (std::size_t i = 0; i < expected.size(); ++i) {
      ASSERT_EQ(graph.neighbours(node)[i], expected[i].first);
      if (graph.summary().weighted) {
        ASSERT_FLOAT_EQ(graph.weights(node)[i], static_cast<float>(expected[i].second));
      }
    }
    arcs += expected.size();
  }
  EXPECT_EQ(graph.summary().arc_count, arcs);
}

// A skewed random multigraph with loops, duplicates and isolated nodes.
std::vector<Edge> random_edges(std::uint64_t seed, std::uint32_t count, OriginalNode node_count) {
  std::vector<Edge> edges(count);
  for (std::uint32_t i = 0; i < count; ++i) {
    const RandomBlock block = random_block(seed, RandomPurpose::kGenerate, i, 0, 0);
    edges[i] = {bounded(block[0], bounded(block[1], node_count) + 1), bounded(block[2], node_count)};
  }
  return edges;
}

std::vector<float> random_weights(std::uint64_t seed, std::size_t count) {
  std::vector<float> weights(count);
  for (std::size_t i = 0; i < count; ++i) {
    weights[i] =
        0.01F + unit_float(random_block(seed, RandomPurpose::kGenerate, static_cast<std::uint32_t>(i), 1, 0)[0]);
  }
  return weights;
}

EdgeArrays in_chunks(const std::vector<Edge>& edges, const std::vector<float>& weights, std::size_t chunk_size) {
  EdgeArrays arrays;
  for (std::size_t begin = 0; begin < edges.size(); begin += chunk_size) {
    const std::size_t size = std::min(chunk_size, edges.size() - begin);
    EdgeArrays piece =
        EdgeArrays::copy_of(std::span(edges).subspan(begin, size),
                            weights.empty() ? std::span<const float>() : std::span(weights).subspan(begin, size));
    arrays.chunks.push_back(std::move(piece.chunks.front()));
  }
  return arrays;
}

struct Case {
  bool directed;
  bool weighted;
};

class BuildGraphTest : public testing::TestWithParam<Case> {};

TEST_P(BuildGraphTest, equals_the_plain_oracle) {
  for (const auto& [edge_count, node_count] :
       std::vector<std::pair<std::uint32_t, OriginalNode>>{{1, 2}, {40, 9}, {3000, 200}, {20000, 3000}}) {
    const std::vector<Edge> edges = random_edges(edge_count, edge_count, node_count);
    const std::vector<float> weights = GetParam().weighted ? random_weights(1, edges.size()) : std::vector<float>();
    const Oracle oracle = plain_build(edges, weights, node_count, GetParam().directed);
    BuildReport report;
    const Graph graph = build_graph(in_chunks(edges, weights, 777), node_count, GetParam().directed, report);
    expect_equal(graph, oracle);
    EXPECT_EQ(report.self_loops_dropped, oracle.report.self_loops_dropped);
    EXPECT_EQ(report.duplicates_merged, oracle.report.duplicates_merged);
  }
}

TEST_P(BuildGraphTest, threads_and_edge_order_change_nothing) {
  std::vector<Edge> edges = random_edges(5, 30000, 500);
  std::vector<float> weights = GetParam().weighted ? random_weights(2, edges.size()) : std::vector<float>();
  BuildReport report;
  const Graph one = build_graph(in_chunks(edges, weights, 100), 500, GetParam().directed, report, 1);
  std::reverse(edges.begin(), edges.end());
  std::reverse(weights.begin(), weights.end());
  const Graph four = build_graph(in_chunks(edges, weights, 333), 500, GetParam().directed, report, 4);
  const auto same = [](auto a, auto b) { return std::equal(a.begin(), a.end(), b.begin(), b.end()); };
  EXPECT_TRUE(same(one.arrays().offsets, four.arrays().offsets));
  EXPECT_TRUE(same(one.arrays().targets, four.arrays().targets));
  EXPECT_TRUE(same(one.arrays().weights, four.arrays().weights));  // to the last bit
  EXPECT_TRUE(same(one.arrays().original, four.arrays().original));
}

// Enough edges for several buckets and rows of thousands of targets.
TEST_P(BuildGraphTest, equals_the_plain_oracle_for_any_number_of_threads) {
  const std::vector<Edge> edges = random_edges(7, 120000, 9000);
  const std::vector<float> weights = GetParam().weighted ? random_weights(3, edges.size()) : std::vector<float>();
  const Oracle oracle = plain_build(edges, weights, 9000, GetParam().directed);
  for (const unsigned threads : {1U, 2U, 5U}) {
    BuildReport report;
    const Graph graph = build_graph(in_chunks(edges, weights, 7001), 9000, GetParam().directed, report, threads);
    expect_equal(graph, oracle);
    EXPECT_EQ(report.self_loops_dropped, oracle.report.self_loops_dropped);
    EXPECT_EQ(report.duplicates_merged, oracle.report.duplicates_merged);
  }
}

// Node 0 is named most often and has the fewest neighbours: ranks must follow what is left after merging.
TEST_P(BuildGraphTest, duplicates_that_change_the_order_of_degrees) {
  std::vector<Edge> edges(1000, Edge{0, 1});
  for (OriginalNode node = 1; node < 60; ++node) {
    for (OriginalNode other = node + 1; other < 60; ++other) edges.push_back({node, other});
  }
  const std::vector<float> weights = GetParam().weighted ? random_weights(4, edges.size()) : std::vector<float>();
  const Oracle oracle = plain_build(edges, weights, 60, GetParam().directed);
  ASSERT_EQ(oracle.by_rank.back(), 0U);
  for (const unsigned threads : {1U, 2U, 5U}) {
    BuildReport report;
    expect_equal(build_graph(in_chunks(edges, weights, 300), 60, GetParam().directed, report, threads), oracle);
    EXPECT_EQ(report.duplicates_merged, 999U);
  }
}

// Each edge once, and each edge twice: ranks by raw degrees hold.
TEST_P(BuildGraphTest, duplicates_that_leave_the_order_of_degrees) {
  std::vector<Edge> edges;
  for (OriginalNode node = 0; node < 400; ++node) {
    for (OriginalNode other = node + 1; other < 400; other += node % 40 + 1) edges.push_back({node, other});
  }
  for (const std::uint64_t duplicates : {std::uint64_t{0}, std::uint64_t{edges.size()}}) {
    if (duplicates > 0)
      edges.insert(edges.end(), edges.begin(), edges.begin() + static_cast<std::ptrdiff_t>(duplicates));
    const std::vector<float> weights = GetParam().weighted ? random_weights(6, edges.size()) : std::vector<float>();
    const Oracle oracle = plain_build(edges, weights, 400, GetParam().directed);
    for (const unsigned threads : {1U, 2U, 5U}) {
      BuildReport report;
      expect_equal(build_graph(in_chunks(edges, weights, 999), 400, GetParam().directed, report, threads), oracle);
      EXPECT_EQ(report.duplicates_merged, duplicates);
    }
  }
}

INSTANTIATE_TEST_SUITE_P(AllKinds, BuildGraphTest,
                         testing::Values(Case{false, false}, Case{false, true}, Case{true, false}, Case{true, true}));

TEST(BuildGraphEdgeCases, nodes_without_edges_stay_and_come_last) {
  BuildReport report;
  const std::vector<Edge> edges{{3, 3}, {4, 1}};
  const Graph graph = build_graph(EdgeArrays::copy_of(edges), 5, false, report);
  EXPECT_EQ(graph.summary().node_count, 5U);
  EXPECT_EQ(graph.summary().edge_count(), 1U);
  EXPECT_EQ(report.self_loops_dropped, 1U);
  EXPECT_EQ(std::vector<OriginalNode>(graph.arrays().original.begin(), graph.arrays().original.end()),
            (std::vector<OriginalNode>{1, 4, 0, 2, 3}));
  const Graph empty = build_graph(EdgeArrays{}, 0, false, report);
  EXPECT_EQ(empty.row_count(), 0U);
}

TEST(BuildGraphEdgeCases, sums_of_weights_stay_finite) {
  BuildReport report;
  const std::vector<Edge> edges{{0, 1}, {1, 0}};
  const std::vector<float> weights{3e38F, 3e38F};
  const Graph graph = build_graph(EdgeArrays::copy_of(edges, weights), 2, false, report);
  EXPECT_TRUE(std::isfinite(graph.weights(0)[0]));
}

TEST(BuildGraphEdgeCases, refuses_what_the_contract_excludes) {
  BuildReport report;
  const std::vector<Edge> beyond{{0, 2}};
  EXPECT_THROW(build_graph(EdgeArrays::copy_of(beyond), 2, false, report), std::invalid_argument);
  const std::vector<Edge> fine{{0, 1}};
  for (const float weight : {0.0F, -1.0F, std::nanf(""), HUGE_VALF}) {
    EXPECT_THROW(build_graph(EdgeArrays::copy_of(fine, std::vector<float>{weight}), 2, false, report),
                 std::invalid_argument);
  }
  EXPECT_THROW(EdgeArrays::copy_of(fine, std::vector<float>{1.0F, 2.0F}), std::invalid_argument);
}

}  // namespace
}  // namespace knotwork::partition
