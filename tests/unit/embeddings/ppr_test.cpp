// Personalized PageRank against plain power iteration: sweeps from below, pushes with fingerprints, the index file.
#include <algorithm>
#include <cmath>
#include <fstream>
#include <numeric>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "embeddings/ppr_fingerprints.h"
#include "embeddings/ppr_pairs.h"
#include "embeddings/ppr_power.h"
#include "embeddings/ppr_query.h"
#include "partition/errors.h"
#include "tests/unit/embeddings/ppr_oracle.h"
#include "tests/unit/embeddings/test_folder.h"
#include "tests/unit/embeddings/walk_graphs.h"

namespace knotwork::embeddings {
namespace {

using partition::InputError;
using ::testing::HasSubstr;

/// By original node, the node of the transition matrix.
std::vector<GlobalNode> node_of_original(const TransitionGraph& graph) {
  std::vector<GlobalNode> nodes(graph.node_count());
  for (GlobalNode node = 0; node < graph.node_count(); ++node) nodes[graph.out().original(node)] = node;
  return nodes;
}

std::vector<std::uint32_t> names_of(const std::vector<ScoredNode>& top) {
  std::vector<std::uint32_t> names;
  for (const ScoredNode& scored : top) names.push_back(scored.node);
  return names;
}

template <typename Score>
double l1_distance(const TransitionGraph& graph, const std::vector<double>& exact, Score score) {
  double distance = 0;
  for (GlobalNode node = 0; node < graph.node_count(); ++node) {
    distance += std::abs(score(node) - exact[graph.out().original(node)]);
  }
  return distance;
}

struct Case {
  std::string name;
  bool directed;
  bool weighted;
  std::uint32_t parts;
};

class PprGraphs : public ::testing::TestWithParam<Case> {
 protected:
  // Directed graphs of this kind have many nodes that no arc leaves.
  TestEdges edges_ = skewed_graph(400, 1600, 3, GetParam().directed, GetParam().weighted);
  TransitionGraph graph_{make_graph(edges_, scattered_parts(403, GetParam().parts), GetParam().parts),
                         GetParam().weighted};
  std::vector<GlobalNode> nodes_ = node_of_original(graph_);
};

TEST_P(PprGraphs, SweepsComeAsNearAsTheySay) {
  PprPowerSolver solver(graph_, {.error = 1e-4, .top = 50});
  for (std::uint32_t first = 0; first < 403; first += 100) {
    std::vector<GlobalNode> sources;
    for (std::uint32_t source = first; source < std::min(first + 16, 403U); ++source) sources.push_back(nodes_[source]);
    const std::vector<PprResult> results = solver.solve(sources);
    ASSERT_EQ(results.size(), sources.size());
    for (std::size_t lane = 0; lane < sources.size(); ++lane) {
      const std::uint32_t source = graph_.out().original(sources[lane]);
      const std::vector<double> exact = exact_ppr(edges_, source);
      EXPECT_LE(results[lane].l1_bound, 1e-4);
      if (graph_.is_dangling(sources[lane])) {
        EXPECT_EQ(names_of(results[lane].top), std::vector{source});
        EXPECT_EQ(results[lane].top[0].score, 1.0F);
        continue;
      }
      EXPECT_LE(l1_distance(graph_, exact, [&](GlobalNode node) { return solver.score(lane, node); }),
                results[lane].l1_bound);
      for (const ScoredNode& scored : results[lane].top) {
        EXPECT_NEAR(scored.score, exact[scored.node], 1e-4);
        EXPECT_LE(scored.score, exact[scored.node] * (1 + 1e-5)) << "from below";
      }
      EXPECT_TRUE(std::ranges::is_sorted(results[lane].top, scores_higher));
      EXPECT_GE(precision_of(names_of(results[lane].top), exact, results[lane].top.size()), 0.97);
    }
  }
}

TEST_P(PprGraphs, ASourceDoesNotDependOnItsBatch) {
  PprPowerSolver solver(graph_, {.top = 403});
  std::vector<GlobalNode> sources(16);
  std::iota(sources.begin(), sources.end(), 0U);
  const std::vector<PprResult> together = solver.solve(sources);
  for (const GlobalNode source : {0U, 7U, 15U}) {
    const PprResult alone = solver.solve(std::vector{GlobalNode{300}, source}).back();
    EXPECT_EQ(alone.l1_bound, together[source].l1_bound);
    ASSERT_EQ(alone.top.size(), together[source].top.size());
    for (std::size_t i = 0; i < alone.top.size(); ++i) {
      EXPECT_EQ(alone.top[i].node, together[source].top[i].node);
      EXPECT_EQ(alone.top[i].score, together[source].top[i].score);
    }
  }
}

TEST_P(PprGraphs, PartsDoNotMatter) {
  const TransitionGraph whole(make_graph(edges_), GetParam().weighted);
  EXPECT_EQ(graph_checksum(whole), graph_checksum(graph_));
  EXPECT_TRUE(std::ranges::equal(whole.in().arrays().targets, graph_.in().arrays().targets));
  EXPECT_TRUE(std::ranges::equal(whole.in().arrays().weights, graph_.in().arrays().weights));
}

TEST_P(PprGraphs, TheBoundOfQueriesHoldsForNearlyAll) {
  const FingerprintWalker walker(graph_, {.walks = 200});
  const FingerprintIndex index = FingerprintIndex::make(walker);
  PprQuery query(walker, &index, {.threshold = 1e-3, .top = 20});
  int kept = 0;
  int all = 0;
  double bound = 0;
  double distance = 0;
  for (std::uint32_t source = 0; source < 403; source += 3) {
    const PprResult result = query.solve(nodes_[source]);
    const std::vector<double> exact = exact_ppr(edges_, source);
    const double found = l1_distance(graph_, exact, [&](GlobalNode node) { return query.score(node); });
    kept += found <= result.l1_bound ? 1 : 0;
    all += 1;
    bound += result.l1_bound;
    distance += found;
    for (const ScoredNode& scored : result.top) EXPECT_NEAR(scored.score, query.score(nodes_[scored.node]), 1e-7);
  }
  EXPECT_GE(kept, 0.99 * all);
  EXPECT_LT(distance / all, 0.2);
  EXPECT_LT(bound, 5 * distance) << "a bound that says nothing holds always";
}

TEST_P(PprGraphs, MoreWalksAndPushesComeNearer) {
  const FingerprintWalker walker(graph_, {.walks = 50});
  const auto distance = [&](double threshold) {
    PprQuery query(walker, nullptr, {.threshold = threshold});
    double sum = 0;
    for (std::uint32_t source = 0; source < 50; ++source) {
      query.solve(nodes_[source]);
      sum += l1_distance(graph_, exact_ppr(edges_, source), [&](GlobalNode node) { return query.score(node); });
    }
    return sum / 50;
  };
  const double coarse = distance(1e-2);
  EXPECT_LT(distance(1e-4), coarse / 3);
  EXPECT_LT(distance(1e-7), 1e-3) << "pushes alone";
}

TEST_P(PprGraphs, AnIndexChangesNothing) {
  const FingerprintWalker walker(graph_, {.walks = 30});
  const FingerprintIndex index = FingerprintIndex::make(walker);
  PprQuery with(walker, &index, {.threshold = 1e-3});
  PprQuery without(walker, nullptr, {.threshold = 1e-3});
  for (std::uint32_t source = 0; source < 403; source += 9) {
    const PprResult a = with.solve(nodes_[source]);
    const PprResult b = without.solve(nodes_[source]);
    EXPECT_EQ(names_of(a.top), names_of(b.top));
    EXPECT_EQ(a.l1_bound, b.l1_bound);
  }
}

INSTANTIATE_TEST_SUITE_P(Kinds, PprGraphs,
                         ::testing::Values(Case{"undirected", false, false, 1}, Case{"directed", true, false, 1},
                                           Case{"weighted", false, true, 1}, Case{"directed_weighted", true, true, 1},
                                           Case{"parts", true, true, 3}),
                         [](const auto& parameter) { return parameter.param.name; });

TEST(PprFingerprints, EndsFollowPageRank) {
  const TestEdges edges = skewed_graph(30, 90, 0, true, true);
  const TransitionGraph graph(make_graph(edges), true);
  const FingerprintWalker walker(graph, {.restart = 0.3, .walks = 100'000});
  const std::vector<GlobalNode> nodes = node_of_original(graph);
  const std::vector<double> exact = exact_ppr(edges, 5, 0.3);
  std::vector<FingerprintWalk> walks;
  for (std::uint32_t number = 0; number < 200'000; ++number) walks.push_back({nodes[5], number});
  std::vector<GlobalNode> ends(walks.size());
  walker.run(walks, ends);
  std::vector<double> found(30, 0.0);
  double kept = 0;
  for (const GlobalNode end : ends) {
    if (end == kReturned) continue;
    found[graph.out().original(end)] += 1;
    kept += 1;
  }
  EXPECT_LT(kept, 200'000) << "walks come to nodes without arcs, and return";
  for (std::uint32_t node = 0; node < 30; ++node) {
    EXPECT_NEAR(found[node] / kept, exact[node], 5 * std::sqrt(exact[node] / kept) + 1e-9) << node;
  }
}

TEST(PprFingerprints, TheIndexDoesNotDependOnThreads) {
  const TransitionGraph graph(make_graph(skewed_graph(300, 900, 2, false, false)), false);
  const FingerprintWalker walker(graph, {.walks = 40});
  const FingerprintIndex index = FingerprintIndex::make(walker);
  std::uint64_t walks = 0;
  for (GlobalNode node = 0; node < graph.node_count(); ++node) {
    ASSERT_EQ(index.ends(node).size(), walker.count(node));
    walks += walker.count(node);
    for (std::uint32_t number = 0; number < walker.count(node); ++number) {
      GlobalNode end = 0;
      walker.run(std::vector<FingerprintWalk>{{node, number}}, std::span(&end, 1));
      ASSERT_EQ(index.ends(node)[number], end);
    }
  }
  EXPECT_EQ(walks, index.walk_count());
  EXPECT_NEAR(static_cast<double>(walks), 40.0 * 302, 200);
}

class PprIndexFile : public ::testing::Test {
 protected:
  std::string complaint(const TransitionGraph& graph, const FingerprintOptions& options) const {
    try {
      FingerprintIndex::open(path_, FingerprintWalker(graph, options));
    } catch (const InputError& error) {
      EXPECT_THAT(error.what(), HasSubstr(path_));
      return error.what();
    }
    return "";
  }

  TestFolder folder_;
  std::string path_ = folder_.file("walks.index");
  TransitionGraph graph_{make_graph(skewed_graph(200, 700, 0, true, false)), false};
  FingerprintOptions options_{.walks = 20};
};

TEST_F(PprIndexFile, ComesBackAsItWas) {
  const FingerprintWalker walker(graph_, options_);
  const FingerprintIndex made = FingerprintIndex::make(walker);
  made.write(path_);
  const FingerprintIndex opened = FingerprintIndex::open(path_, walker);
  ASSERT_EQ(opened.walk_count(), made.walk_count());
  for (GlobalNode node = 0; node < graph_.node_count(); ++node) {
    EXPECT_TRUE(std::ranges::equal(opened.ends(node), made.ends(node)));
  }
  const FingerprintIndex moved = FingerprintIndex::open(path_, walker);
  EXPECT_TRUE(std::ranges::equal(moved.ends(0), made.ends(0)));
}

TEST_F(PprIndexFile, SaysWhatDoesNotFit) {
  EXPECT_THAT(complaint(graph_, options_), HasSubstr("no such index file"));
  FingerprintIndex::make(FingerprintWalker(graph_, options_)).write(path_);
  EXPECT_EQ(complaint(graph_, options_), "");
  EXPECT_THAT(complaint(graph_, {.walks = 21}), HasSubstr("made with walks 20, but 21 is asked for"));
  EXPECT_THAT(complaint(graph_, {.restart = 0.2, .walks = 20}), HasSubstr("made with restart 0.15, but 0.2"));
  EXPECT_THAT(complaint(graph_, {.walks = 20, .seed = 2}), HasSubstr("made with seed 1, but 2"));
  const TransitionGraph other(make_graph(skewed_graph(200, 700, 0, true, false, 8)), false);
  EXPECT_THAT(complaint(other, options_), HasSubstr("belongs to another graph"));
}

TEST_F(PprIndexFile, DamageIsFound) {
  FingerprintIndex::make(FingerprintWalker(graph_, options_)).write(path_);
  const auto size = static_cast<std::streamoff>(std::filesystem::file_size(path_));
  for (const std::streamoff place : {std::streamoff{3}, std::streamoff{40}, std::streamoff{100}, size - 700}) {
    std::fstream file(path_, std::ios::in | std::ios::out | std::ios::binary);
    file.seekg(place);
    const char byte = static_cast<char>(file.get());
    file.seekp(place);
    file.put(static_cast<char>(byte ^ 0x20));
    file.close();
    EXPECT_NE(complaint(graph_, options_), "") << place;
    file.open(path_, std::ios::in | std::ios::out | std::ios::binary);
    file.seekp(place);
    file.put(byte);
  }
  EXPECT_EQ(complaint(graph_, options_), "");
  std::filesystem::resize_file(path_, static_cast<std::uintmax_t>(size - 64));
  EXPECT_NE(complaint(graph_, options_), "");
  std::filesystem::resize_file(path_, 10);
  EXPECT_THAT(complaint(graph_, options_), HasSubstr("shorter than any file"));
}

TEST(PprPairs, AreEndsOfWalksFromTheirCentre) {
  const TestEdges edges = skewed_graph(12, 30, 0, false, true);
  const Graph whole = make_graph(edges, scattered_parts(12, 2), 2);
  const PprStarSampler sampler(whole, {.restart = 0.2, .weighted = true, .walks = 5});
  const std::uint64_t rounds = 20'000;
  PprStars stars;
  std::vector<std::vector<double>> counts(12, std::vector<double>(12, 0.0));
  for (std::uint64_t round = 0; round < rounds; round += 100) {
    sampler.draw(round * 12, 1200, stars);
    ASSERT_EQ(stars.centres.size(), 1200U);
    for (std::size_t i = 0; i < 1200; ++i) {
      for (const GlobalNode end : stars.contexts_of(i))
        counts[whole.original(stars.centres[i])][whole.original(end)] += 1;
    }
  }
  for (std::uint32_t centre = 0; centre < 12; ++centre) {
    const std::vector<double> exact = exact_ppr(edges, centre, 0.2);
    const double walks = 5.0 * rounds;
    EXPECT_EQ(counts[centre][centre], 0);
    for (std::uint32_t end = 0; end < 12; ++end) {
      if (end == centre || edges.lists()[centre].empty()) continue;
      EXPECT_NEAR(counts[centre][end] / walks, exact[end], 5 * std::sqrt(exact[end] / walks) + 1e-9);
    }
  }
  PprStars again;
  sampler.draw(12 * 19'900 + 7, 10, again);
  sampler.draw(12 * 19'900, 100, stars);
  for (std::size_t i = 0; i < 10; ++i) {
    EXPECT_EQ(again.centres[i], stars.centres[i + 7]);
    EXPECT_TRUE(std::ranges::equal(again.contexts_of(i), stars.contexts_of(i + 7)));
  }
}

TEST(PprOptions, BadOnesAreRefused) {
  const TransitionGraph graph(make_graph(skewed_graph(20, 60, 0, false, false)), false);
  EXPECT_THROW(PprPowerSolver(graph, {.restart = 0}), InputError);
  EXPECT_THROW(PprPowerSolver(graph, {.restart = 1}), InputError);
  EXPECT_THROW(PprPowerSolver(graph, {.error = 0}), InputError);
  EXPECT_THROW(FingerprintWalker(graph, {.restart = std::nan("")}), InputError);
  EXPECT_THROW(FingerprintWalker(graph, {.walks = 0}), InputError);
  const FingerprintWalker walker(graph, {});
  EXPECT_THROW(PprQuery(walker, nullptr, {.threshold = 0}), InputError);
  EXPECT_THROW(TransitionGraph(make_graph(skewed_graph(20, 60, 0, false, false)), true), InputError);
}

TEST(PprTop, MoreThanThereAreGivesAll) {
  const TestEdges edges = {.node_count = 4, .edges = {{0, 1}, {1, 2}}, .directed = false, .weighted = false};
  const TransitionGraph graph(make_graph(edges), false);
  const std::vector<GlobalNode> nodes = node_of_original(graph);
  const PprResult result = PprPowerSolver(graph, {.error = 1e-5, .top = 1000}).solve(std::vector{nodes[0]}).front();
  EXPECT_EQ(names_of(result.top), (std::vector<std::uint32_t>{1, 0, 2})) << "node 3 is not reached";
  TopScores best(2);
  for (std::uint32_t node = 0; node < 500; ++node) best.offer(499 - node, static_cast<float>(node % 250));
  EXPECT_EQ(names_of(best.take()), (std::vector<std::uint32_t>{0, 250})) << "ties: the smaller node first";
}

}  // namespace
}  // namespace knotwork::embeddings
