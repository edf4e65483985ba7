// Visited transitions of many walks against exact transition probabilities, by a chi-square test with fixed seeds.
#include <cmath>
#include <map>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "embeddings/walk.h"
#include "tests/unit/embeddings/walk_graphs.h"
#include "tests/unit/embeddings/walk_oracle.h"

namespace knotwork::embeddings {
namespace {

struct ChiSquare {
  double statistic = 0.0;
  double freedom = 0.0;
  std::size_t impossible = 0;

  /// Standard deviations from the mean (Wilson and Hilferty's normal approximation).
  double deviations() const {
    const double spread = 2.0 / (9.0 * freedom);
    return (std::cbrt(statistic / freedom) - (1.0 - spread)) / std::sqrt(spread);
  }

  void add(const std::map<GlobalNode, double>& expected, const std::map<GlobalNode, double>& seen) {
    double total = 0.0;
    for (const auto& [node, count] : seen) {
      total += count;
      if (!expected.contains(node)) ++impossible;
    }
    for (const auto& [node, probability] : expected) {
      if (total * probability < 5.0) return;  // too few visits for the approximation
    }
    for (const auto& [node, probability] : expected) {
      const auto found = seen.find(node);
      const double difference = (found == seen.end() ? 0.0 : found->second) - total * probability;
      statistic += difference * difference / (total * probability);
    }
    freedom += static_cast<double>(expected.size()) - 1.0;
  }
};

// Complete enough to have triangles, squares, leaves and a hub; weights differ by a factor of 16.
TestEdges small_graph(bool directed, bool weighted) {
  TestEdges result = skewed_graph(14, 40, 0, directed, weighted, 3);
  for (std::uint32_t node = 0; node < 14; ++node) result.edges.push_back({node, (node + 1) % 14, 0.5F});
  result.edges.push_back({13, 6, 8.0F});
  return result;
}

ChiSquare compare(bool directed, const WalkOptions& options) {
  const Graph graph = make_graph(small_graph(directed, options.weighted));
  const WalkEngine engine(graph, options);
  const WalkOracle oracle(graph, options);
  std::map<std::pair<GlobalNode, GlobalNode>, std::map<GlobalNode, double>> second;
  std::map<GlobalNode, std::map<GlobalNode, double>> first;
  std::vector<WalkStart> starts;
  for (std::uint32_t walk = 0; walk < 1500; ++walk) {
    for (GlobalNode node = 0; node < graph.row_count(); ++node) starts.push_back({node, walk});
  }
  WalkBatch batch;
  engine.generate(starts, batch);
  for (std::size_t i = 0; i < starts.size(); ++i) {
    const auto path = batch.path(i);
    if (path.size() > 1) first[path[0]][path[1]] += 1.0;
    for (std::size_t s = 2; s < path.size(); ++s) second[{path[s - 2], path[s - 1]}][path[s]] += 1.0;
  }
  ChiSquare result;
  for (const auto& [node, seen] : first) result.add(oracle.transition(std::nullopt, node), seen);
  for (const auto& [edge, seen] : second) result.add(oracle.transition(edge.first, edge.second), seen);
  return result;
}

TEST(WalkDistributionTest, transitions_have_their_exact_probabilities) {
  for (const bool directed : {false, true}) {
    for (const bool weighted : {false, true}) {
      for (const auto& [p, q] :
           std::vector<std::pair<double, double>>{{1, 1}, {2, 0.5}, {0.5, 2}, {0.25, 0.25}, {0.1, 1}, {4, 4}, {1, 3}}) {
        SCOPED_TRACE(testing::Message() << "directed " << directed << " weighted " << weighted << " p " << p << " q "
                                        << q);
        const ChiSquare result = compare(directed, {40, p, q, 0.0, weighted, 5});
        EXPECT_EQ(result.impossible, 0U);
        EXPECT_GT(result.freedom, 80.0);
        EXPECT_LT(std::abs(result.deviations()), 4.0) << result.statistic << " on " << result.freedom;
      }
    }
  }
}

TEST(WalkDistributionTest, the_test_itself_notices_a_wrong_p) {
  const Graph graph = make_graph(small_graph(false, false));
  const WalkOptions made{40, 0.5, 1.0, 0.0, false, 5};
  const WalkOracle oracle(graph, {40, 0.55, 1.0, 0.0, false, 5});
  const WalkEngine engine(graph, made);
  std::map<std::pair<GlobalNode, GlobalNode>, std::map<GlobalNode, double>> second;
  std::vector<WalkStart> starts;
  for (std::uint32_t walk = 0; walk < 1500; ++walk) starts.push_back({walk % graph.row_count(), walk});
  WalkBatch batch;
  engine.generate(starts, batch);
  for (std::size_t i = 0; i < starts.size(); ++i) {
    const auto path = batch.path(i);
    for (std::size_t s = 2; s < path.size(); ++s) second[{path[s - 2], path[s - 1]}][path[s]] += 1.0;
  }
  ChiSquare result;
  for (const auto& [edge, seen] : second) result.add(oracle.transition(edge.first, edge.second), seen);
  EXPECT_GT(result.deviations(), 4.0);
}

// With restart probability r, the node at step s is the start with probability r plus what chance brings back; on a
// directed ring it is: position 0 exactly when the last s mod n steps had their restart right then.
TEST(WalkDistributionTest, restarts_happen_with_their_probability) {
  TestEdges ring{101, {}, true, false};
  for (std::uint32_t node = 0; node < 101; ++node) ring.edges.push_back({node, (node + 1) % 101});
  const Graph graph = make_graph(ring);
  for (const double q : {1.0, 2.0}) {
    const WalkEngine engine(graph, {.length = 50, .q = q, .restart = 0.15, .seed = 11});
    std::vector<WalkStart> starts;
    for (std::uint32_t walk = 0; walk < 2000; ++walk) starts.push_back({walk % 101, walk});
    WalkBatch batch;
    engine.generate(starts, batch);
    double jumps = 0.0;
    double steps = 0.0;
    for (std::size_t i = 0; i < starts.size(); ++i) {
      const auto path = batch.path(i);
      for (std::size_t s = 1; s < path.size(); ++s) {
        const bool forward = graph.neighbours(path[s - 1])[0] == path[s];
        if (!forward) {
          ASSERT_EQ(path[s], starts[i].node);
        }
        jumps += forward ? 0.0 : 1.0;
        steps += 1.0;
      }
    }
    const double deviation = std::sqrt(steps * 0.15 * 0.85);
    EXPECT_NEAR(jumps, 0.15 * steps, 4.0 * deviation);
  }
}

}  // namespace
}  // namespace knotwork::embeddings
