// A split keeps its promises: checked edge by edge against the list that the graph was made of.
#include "partition/split.h"

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <numeric>
#include <set>
#include <sstream>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "graph_by_hand.h"
#include "partition/errors.h"
#include "partition/non_edges.h"
#include "partition/renumber.h"

#ifdef _OPENMP
#include <omp.h>
#endif

namespace knotwork::partition {
namespace {

namespace fs = std::filesystem;
using NodePair = std::pair<OriginalNode, OriginalNode>;

NodePair unordered(OriginalNode u, OriginalNode v) {
  return {std::min(u, v), std::max(u, v)};
}

std::vector<NodePair> pairs_of(const std::vector<Edge>& edges) {
  std::vector<NodePair> pairs;
  for (const Edge& edge : edges) pairs.emplace_back(edge.source, edge.target);
  return pairs;
}

/// The edges of the input as the graph should see them, with their summed weights.
std::map<NodePair, float> merged(const std::vector<EdgeByHand>& edges, bool directed) {
  std::map<NodePair, float> all;
  for (const auto& [u, v, weight] : edges) {
    if (u != v) all[directed ? NodePair{u, v} : unordered(u, v)] += weight;
  }
  return all;
}

/// Oracle: components by repeated relabelling, nothing like a union-find.
std::vector<OriginalNode> components_of(OriginalNode nodes, const std::vector<NodePair>& pairs) {
  std::vector<OriginalNode> label(nodes);
  std::iota(label.begin(), label.end(), 0U);
  for (bool changed = true; changed;) {
    changed = false;
    for (const auto& [u, v] : pairs) {
      const OriginalNode least = std::min(label[u], label[v]);
      changed |= label[u] != least || label[v] != least;
      label[u] = label[v] = least;
    }
  }
  return label;
}

struct SplitCase {
  bool directed;
  bool weighted;
  NegativeSampling negatives;
};

class SplitTest : public testing::TestWithParam<SplitCase> {};

TEST_P(SplitTest, every_edge_goes_one_way_and_negatives_are_no_edges) {
  const auto [directed, weighted, negatives] = GetParam();
  std::vector<EdgeByHand> edges = planted_edges(5, 60, 4, 5, 21);
  for (OriginalNode u = 0; u < 40; ++u) edges.emplace_back(u * 2 + 1, u * 3, 2.0F);
  const Graph graph = graph_by_hand(310, edges, directed, weighted);  // 10 nodes have no edge
  const auto all = merged(edges, directed);
  const EdgeSplit split = split_edges(graph, {.test = 0.4, .negatives = negatives, .seed = 5});

  std::vector<NodePair> together = pairs_of(split.train);
  const std::vector<NodePair> hidden = pairs_of(split.test_positives);
  together.insert(together.end(), hidden.begin(), hidden.end());
  std::vector<NodePair> expected;
  for (const auto& [pair, weight] : all) expected.push_back(pair);
  EXPECT_THAT(together, testing::UnorderedElementsAreArray(expected));
  EXPECT_NEAR(split.report.test_fraction, 0.4, 1.5 / static_cast<double>(all.size()));
  EXPECT_EQ(split.report.notice, "");
  EXPECT_EQ(components_of(310, pairs_of(split.train)), components_of(310, expected));

  std::set<NodePair> joined;
  for (const NodePair& pair : expected) joined.insert(unordered(pair.first, pair.second));
  std::set<NodePair> drawn;
  for (const auto* list : {&split.test_negatives, &split.train_negatives}) {
    for (const Edge& edge : *list) {
      ASSERT_LT(std::max(edge.source, edge.target), 310U);
      EXPECT_NE(edge.source, edge.target);
      EXPECT_FALSE(joined.contains(unordered(edge.source, edge.target)));
      EXPECT_TRUE(drawn.insert(unordered(edge.source, edge.target)).second);
    }
  }
  EXPECT_EQ(split.test_negatives.size(), split.test_positives.size());
  EXPECT_EQ(split.train_negatives.size(), split.train.size());
  ASSERT_EQ(split.train_weights.size(), weighted ? split.train.size() : 0U);
  for (std::size_t i = 0; i < split.train_weights.size(); ++i) {
    EXPECT_EQ(split.train_weights[i], all.at(pairs_of(split.train)[i]));
  }
  std::set<NodePair> hidden_pairs;
  for (const NodePair& pair : hidden) hidden_pairs.insert(unordered(pair.first, pair.second));
  for (const Edge& edge : split.train) EXPECT_FALSE(hidden_pairs.contains(unordered(edge.source, edge.target)));
}

TEST_P(SplitTest, threads_and_numbering_have_no_say) {
  const auto [directed, weighted, negatives] = GetParam();
  const Graph graph = graph_by_hand(300, planted_edges(5, 60, 4, 5, 21), directed, weighted);
  std::vector<Part> part_of(300);
  for (OriginalNode node = 0; node < 300; ++node) part_of[node] = node * 5 % 3;
  const SplitOptions options{.negatives = negatives, .seed = 8};
  const auto lists_of = [&](const Graph& of) {
    const EdgeSplit split = split_edges(of, options);
    return std::make_tuple(pairs_of(split.train), split.train_weights, pairs_of(split.test_positives),
                           pairs_of(split.test_negatives), pairs_of(split.train_negatives));
  };
  const auto expected = lists_of(graph);
  EXPECT_EQ(lists_of(renumber_by_parts(graph, part_of, 3)), expected);
#ifdef _OPENMP
  const int threads = omp_get_max_threads();
  omp_set_num_threads(threads == 1 ? 2 : 1);
  EXPECT_EQ(lists_of(graph), expected);
  omp_set_num_threads(threads);
#endif
  EXPECT_NE(pairs_of(split_edges(graph, {.seed = 9}).train), std::get<0>(expected));
}

INSTANTIATE_TEST_SUITE_P(All, SplitTest,
                         testing::Values(SplitCase{false, false, NegativeSampling::kUniform},
                                         SplitCase{false, true, NegativeSampling::kDegree},
                                         SplitCase{true, true, NegativeSampling::kUniform},
                                         SplitCase{true, false, NegativeSampling::kDegree}));

TEST(SplitLimitsTest, a_tree_keeps_all_its_edges_and_says_so) {
  const Graph graph = graph_by_hand(5, {{0, 1, 1.0F}, {1, 2, 1.0F}, {2, 3, 1.0F}, {3, 4, 1.0F}});
  const EdgeSplit split = split_edges(graph, {});
  EXPECT_EQ(split.train.size(), 4U);
  EXPECT_TRUE(split.test_positives.empty());
  EXPECT_EQ(split.report.notice,
            "hidden 0 of 4 edges, not the 2 asked for: a spanning forest of 4 edges stays in train");
}

TEST(SplitLimitsTest, bad_input_is_named) {
  std::vector<EdgeByHand> complete;
  for (OriginalNode u = 0; u < 12; ++u) {
    for (OriginalNode v = 0; v < u; ++v) complete.emplace_back(u, v, 1.0F);
  }
  const auto error_of = [](const Graph& graph, const SplitOptions& options) -> std::string {
    try {
      split_edges(graph, options);
    } catch (const InputError& error) {
      return error.what();
    }
    return "no InputError";
  };
  EXPECT_EQ(error_of(graph_by_hand(12, complete), {}),
            "the graph is too dense: 66 pairs of nodes without an edge are needed, and of its 12 nodes 0 pairs have "
            "none");
  EXPECT_THAT(error_of(graph_by_hand(3, {}), {}), testing::HasSubstr("no edges"));
  EXPECT_THAT(error_of(graph_by_hand(12, complete), {.test = 1.0}), testing::HasSubstr("expected above 0"));
  EXPECT_THAT(error_of(graph_by_hand(12, complete), {.test = 0.0}), testing::HasSubstr("expected above 0"));
  // Twelve joined nodes and many that no degree-matched draw ever reaches.
  EXPECT_THAT(error_of(graph_by_hand(200, complete), {.negatives = NegativeSampling::kDegree}),
              testing::HasSubstr("degree-matched"));
}

TEST(NonEdgesTest, all_non_edges_can_be_asked_for) {
  const Graph graph = graph_by_hand(20, planted_edges(2, 10, 3, 4, 6));
  const std::uint64_t available = 190 - graph.summary().edge_count();
  std::set<NodePair> drawn;
  for (const Edge& edge : draw_non_edges(graph, available, NegativeSampling::kUniform, 1)) {
    drawn.emplace(edge.source, edge.target);
  }
  EXPECT_EQ(drawn.size(), available);
  EXPECT_THROW(draw_non_edges(graph, available + 1, NegativeSampling::kUniform, 1), InputError);
}

// A node of degree 60 among nodes of degree about 4 is in few uniform pairs and in many degree-matched ones.
TEST(NonEdgesTest, degree_matched_pairs_prefer_hubs_as_much_as_their_degree_says) {
  std::vector<EdgeByHand> edges = planted_edges(1, 3000, 2, 1, 6);
  for (OriginalNode v = 1; v <= 60; ++v) edges.emplace_back(0, v * 31, 1.0F);
  const Graph graph = graph_by_hand(3000, edges);
  const auto share_of_hub = [&](NegativeSampling sampling) {
    double hits = 0;
    const std::vector<Edge> pairs = draw_non_edges(graph, 6000, sampling, 3);
    for (const Edge& edge : pairs) hits += edge.source == 0 || edge.target == 0;
    return hits / static_cast<double>(pairs.size());
  };
  const double degree_share = 2.0 * graph.degree(0) / static_cast<double>(graph.summary().arc_count);
  EXPECT_NEAR(share_of_hub(NegativeSampling::kUniform), 2.0 / 3000, 0.001);
  EXPECT_NEAR(share_of_hub(NegativeSampling::kDegree), degree_share, 0.25 * degree_share);
}

TEST(WriteSplitTest, files_hold_names_and_weights) {
  std::string pattern = (fs::temp_directory_path() / "knotwork-split-XXXXXX").string();
  ASSERT_NE(::mkdtemp(pattern.data()), nullptr);
  const fs::path folder = fs::path(pattern) / "a" / "b";
  const Graph graph = graph_by_hand(60, planted_edges(2, 30, 3, 4, 6), false, true);
  std::string bytes;
  std::vector<std::uint64_t> ends;
  for (OriginalNode node = 0; node < 60; ++node) {
    bytes += "n" + std::to_string(node);
    ends.push_back(bytes.size());
  }
  const NodeNames names = NodeNames::from_strings(bytes, ends);
  const EdgeSplit split = split_edges(graph, {.test = 0.3});
  write_split(split, names, folder.string());
  const auto expect_lines = [&](const char* name, const std::vector<Edge>& edges, const std::vector<float>& weights) {
    std::ifstream file(folder / name);
    std::string line;
    std::size_t i = 0;
    for (; std::getline(file, line); ++i) {
      ASSERT_LT(i, edges.size());
      std::istringstream fields(line);
      std::string u;
      std::string v;
      fields >> u >> v;
      EXPECT_EQ(u, names.name(edges[i].source));
      EXPECT_EQ(v, names.name(edges[i].target));
      float weight = -1;
      EXPECT_EQ(static_cast<bool>(fields >> weight), !weights.empty());
      EXPECT_TRUE(weights.empty() || weight == weights[i]);
    }
    EXPECT_EQ(i, edges.size()) << name;
  };
  expect_lines("train.tsv", split.train, split.train_weights);
  expect_lines("test_pos.tsv", split.test_positives, {});
  expect_lines("test_neg.tsv", split.test_negatives, {});
  expect_lines("train_neg.tsv", split.train_negatives, {});
  std::ifstream description(folder / "split.json");
  const nlohmann::json json = nlohmann::json::parse(description);
  EXPECT_EQ(json.at("negatives"), "uniform");
  EXPECT_EQ(json.at("test_edges"), split.test_positives.size());
  EXPECT_THROW(write_split(split, names, (folder / "split.json").string()), InputError);
  fs::remove_all(pattern);
}

}  // namespace
}  // namespace knotwork::partition
