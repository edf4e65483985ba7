// Every method gives every node a part; cut and balance are checked against a plain count over the edge list.
#include "partition/partitioner.h"

#include <set>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "graph_by_hand.h"
#include "partition/errors.h"
#include "partition/metis_partitioner.h"
#include "partition/partition_quality.h"

namespace knotwork::partition {
namespace {

struct PlainCount {
  std::uint64_t cut = 0;
  std::vector<std::uint64_t> nodes;
  std::vector<std::uint64_t> arcs;
};

/// Oracle: goes through the set of input edges, not through the lists.
PlainCount count_plainly(const Graph& graph, const std::vector<EdgeByHand>& edges, const std::vector<Part>& part_of,
                         Part parts) {
  std::vector<Part> part_of_original(part_of.size());
  for (GlobalNode node = 0; node < part_of.size(); ++node) part_of_original[graph.original(node)] = part_of[node];
  PlainCount count{.nodes = std::vector<std::uint64_t>(parts), .arcs = std::vector<std::uint64_t>(parts)};
  std::set<std::pair<OriginalNode, OriginalNode>> seen;
  for (auto [u, v, weight] : edges) {
    if (!graph.summary().directed && u > v) std::swap(u, v);
    if (u == v || !seen.emplace(u, v).second) continue;
    count.cut += part_of_original[u] != part_of_original[v];
    ++count.arcs[part_of_original[u]];
    if (!graph.summary().directed) ++count.arcs[part_of_original[v]];
  }
  for (const Part part : part_of_original) ++count.nodes.at(part);
  return count;
}

double balance_of(const std::vector<std::uint64_t>& loads) {
  const double all = static_cast<double>(std::accumulate(loads.begin(), loads.end(), std::uint64_t{0}));
  return static_cast<double>(*std::max_element(loads.begin(), loads.end())) * static_cast<double>(loads.size()) / all;
}

struct MethodCase {
  PartitionMethod method;
  bool directed;
  bool weighted;
};

class MethodTest : public testing::TestWithParam<MethodCase> {};

TEST_P(MethodTest, every_node_has_a_part_and_the_report_agrees_with_a_plain_count) {
  const auto [method, directed, weighted] = GetParam();
  const std::vector<EdgeByHand> edges = planted_edges(4, 300, 6, 10, 3);
  const Graph graph = graph_by_hand(1200, edges, directed, weighted);
  for (const Part parts : {1U, 2U, 4U, 7U}) {
    PartitionReport report;
    const std::vector<Part> part_of = assign_parts(graph, {.parts = parts, .method = method}, report);
    ASSERT_EQ(part_of.size(), 1200U);
    const PlainCount count = count_plainly(graph, edges, part_of, parts);
    EXPECT_EQ(report.edge_cut, count.cut);
    EXPECT_DOUBLE_EQ(report.cut_fraction,
                     static_cast<double>(count.cut) / static_cast<double>(graph.summary().edge_count()));
    EXPECT_DOUBLE_EQ(report.node_balance, balance_of(count.nodes));
    EXPECT_DOUBLE_EQ(report.arc_balance, balance_of(count.arcs));
    EXPECT_THAT(count.nodes, testing::Each(testing::Gt(0U)));
    EXPECT_EQ(report.method_used, method);
    EXPECT_TRUE(method == PartitionMethod::kHash || report.node_balance <= 1.03 + 1e-9) << parts;
  }
}

TEST_P(MethodTest, the_same_seed_gives_the_same_parts) {
  const auto [method, directed, weighted] = GetParam();
  const Graph graph = graph_by_hand(1200, planted_edges(4, 300, 6, 10, 3), directed, weighted);
  PartitionReport report;
  const PartitionOptions options{.parts = 5, .method = method, .seed = 99};
  EXPECT_EQ(assign_parts(graph, options, report), assign_parts(graph, options, report));
}

INSTANTIATE_TEST_SUITE_P(
    All, MethodTest,
    testing::Values(MethodCase{PartitionMethod::kMetis, false, false}, MethodCase{PartitionMethod::kMetis, true, false},
                    MethodCase{PartitionMethod::kMetis, false, true}, MethodCase{PartitionMethod::kMetis, true, true},
                    MethodCase{PartitionMethod::kFennel, false, false},
                    MethodCase{PartitionMethod::kFennel, true, true}, MethodCase{PartitionMethod::kHash, false, false},
                    MethodCase{PartitionMethod::kRange, false, false}),
    [](const testing::TestParamInfo<MethodCase>& tested) {
      return std::string(partition_method_name(tested.param.method)) + (tested.param.directed ? "_directed" : "") +
             (tested.param.weighted ? "_weighted" : "");
    });

TEST(PartitionerTest, metis_and_fennel_find_planted_blocks_and_hash_does_not) {
  const Graph graph = graph_by_hand(2000, planted_edges(4, 500, 8, 20, 11));
  PartitionReport metis;
  PartitionReport fennel;
  PartitionReport hash;
  assign_parts(graph, {.parts = 4, .method = PartitionMethod::kMetis}, metis);
  assign_parts(graph, {.parts = 4, .method = PartitionMethod::kFennel}, fennel);
  assign_parts(graph, {.parts = 4, .method = PartitionMethod::kHash}, hash);
  // 1 in 20 edges picks any block: 3.75 % of edges run between the planted blocks.
  EXPECT_LT(metis.cut_fraction, 0.05);
  EXPECT_LT(fennel.cut_fraction, 0.4);
  EXPECT_NEAR(hash.cut_fraction, 0.75, 0.03);
}

TEST(PartitionerTest, edge_weights_decide_where_metis_cuts) {
  // A ring of 40 nodes whose edges 9-10 and 29-30 are light: the only cheap cut into two halves of 20.
  std::vector<EdgeByHand> edges;
  for (OriginalNode u = 0; u < 40; ++u) edges.emplace_back(u, (u + 1) % 40, u == 9 || u == 29 ? 0.01F : 5.5F);
  const Graph graph = graph_by_hand(40, edges, false, true);
  PartitionReport report;
  const std::vector<Part> part_of = assign_parts(graph, {.parts = 2}, report);
  std::vector<Part> by_original(40);
  for (GlobalNode node = 0; node < 40; ++node) by_original[graph.original(node)] = part_of[node];
  EXPECT_EQ(report.edge_cut, 2U);
  EXPECT_NE(by_original[9], by_original[10]);
  EXPECT_NE(by_original[29], by_original[30]);
}

TEST(PartitionerTest, fennel_takes_over_where_memory_does_not_suffice_for_metis) {
  const Graph graph = graph_by_hand(1200, planted_edges(4, 300, 6, 10, 3));
  PartitionReport report;
  assign_parts(graph, {.parts = 4, .memory_limit_bytes = 1000}, report);
  EXPECT_EQ(report.method_used, PartitionMethod::kFennel);
  EXPECT_THAT(report.notice, testing::AllOf(testing::HasSubstr("METIS would take"), testing::HasSubstr("Fennel")));
}

TEST(PartitionerTest, metis_is_refused_where_its_indices_end) {
  EXPECT_EQ(metis_refusal(1000, kMetisMaxArcs - 1, 0), "");
  EXPECT_THAT(metis_refusal(1000, kMetisMaxArcs, 0), testing::HasSubstr("2147483647 arcs"));
  EXPECT_THAT(metis_refusal(std::uint64_t{1} << 31, 10, 0), testing::HasSubstr("2147483648 nodes"));
}

TEST(PartitionerTest, as_many_parts_as_nodes_and_graphs_without_edges_work) {
  for (const PartitionMethod method :
       {PartitionMethod::kMetis, PartitionMethod::kFennel, PartitionMethod::kHash, PartitionMethod::kRange}) {
    for (const Graph& graph : {graph_by_hand(6, {{0, 1, 1.0F}, {1, 2, 1.0F}, {0, 2, 1.0F}}), graph_by_hand(6, {})}) {
      PartitionReport report;
      const std::vector<Part> part_of = assign_parts(graph, {.parts = 6, .method = method}, report);
      EXPECT_EQ(std::set<Part>(part_of.begin(), part_of.end()).size(), 6U) << partition_method_name(method);
      EXPECT_DOUBLE_EQ(report.node_balance, 1.0);
    }
  }
}

TEST(PartitionerTest, more_parts_than_nodes_is_bad_input) {
  const Graph graph = graph_by_hand(3, {{0, 1, 1.0F}, {1, 2, 1.0F}});
  PartitionReport report;
  const auto message_of = [&](const PartitionOptions& options) -> std::string {
    try {
      assign_parts(graph, options, report);
    } catch (const InputError& error) {
      return error.what();
    }
    return "no InputError";
  };
  EXPECT_EQ(message_of({.parts = 4}), "the number of parts is 4, expected 1 to 3 (the graph's nodes)");
  EXPECT_THAT(message_of({.parts = 0}), testing::HasSubstr("the number of parts is 0"));
  EXPECT_THAT(message_of({.parts = 2, .imbalance = -1}), testing::HasSubstr("imbalance"));
}

TEST(PartitionQualityTest, an_incomplete_assignment_is_named) {
  EXPECT_EQ(assignment_fault(std::vector<Part>{0, 1, 0}, 3, 2), "");
  EXPECT_EQ(assignment_fault(std::vector<Part>{0, kInvalidPart, 0}, 3, 2), "node 1 has no part below 2");
  EXPECT_EQ(assignment_fault(std::vector<Part>{0, 1}, 3, 2), "parts for 2 nodes, expected 3");
}

TEST(PartitionQualityTest, mending_fills_empty_parts_and_empties_overfull_ones) {
  const Graph graph = graph_by_hand(90, planted_edges(3, 30, 4, 10, 5));
  std::vector<Part> part_of(90, 1);
  const std::uint64_t moved = mend_parts(symmetric_view(graph), 4, 25, part_of);
  EXPECT_GE(moved, 65U);
  const std::vector<std::uint64_t> sizes = part_sizes(part_of, 4);
  EXPECT_THAT(sizes, testing::Each(testing::AllOf(testing::Gt(0U), testing::Le(25U))));
}

TEST(SymmetricViewTest, a_directed_graph_gets_both_directions_with_added_weights) {
  const Graph graph =
      graph_by_hand(4, {{0, 1, 2.0F}, {1, 0, 3.0F}, {1, 2, 0.5F}, {3, 0, 1.0F}}, /*directed=*/true, /*weighted=*/true);
  const SymmetricView view = symmetric_view(graph);
  std::map<std::pair<OriginalNode, OriginalNode>, float> found;
  for (GlobalNode node = 0; node < 4; ++node) {
    for (ArcIndex arc = view.offsets[node]; arc < view.offsets[node + 1]; ++arc) {
      found[{graph.original(node), graph.original(view.targets[arc])}] = view.weights[arc];
    }
  }
  const std::map<std::pair<OriginalNode, OriginalNode>, float> expected = {
      {{0, 1}, 5.0F}, {{1, 0}, 5.0F}, {{1, 2}, 0.5F}, {{2, 1}, 0.5F}, {{0, 3}, 1.0F}, {{3, 0}, 1.0F}};
  EXPECT_EQ(found, expected);
  EXPECT_EQ(view.targets.size(), 6U);
}

TEST(MetisEdgeWeightsTest, keeps_proportions_symmetry_and_the_32_bit_total) {
  EXPECT_TRUE(metis_edge_weights(std::vector<float>{2, 2, 2}).empty());
  const std::vector<std::int32_t> whole = metis_edge_weights(std::vector<float>{1, 3, 1e-30F, 4});
  EXPECT_EQ(whole, (std::vector<std::int32_t>{32, 96, 1, 128}));
  std::vector<float> heavy(1000, 1e30F);
  heavy[0] = 1;
  std::int64_t total = 0;
  for (const std::int32_t weight : metis_edge_weights(heavy)) total += weight;
  EXPECT_LT(total, std::int64_t{1} << 31);
}

}  // namespace
}  // namespace knotwork::partition
