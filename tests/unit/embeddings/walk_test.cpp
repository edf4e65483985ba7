// Walks against the slow oracle, step by step: every kind, whole graphs of 1, 2 and 4 parts, and three slices that
// hand walkers over; options out of range; ends.
#include "embeddings/walk.h"

#include <cmath>
#include <limits>
#include <string>
#include <thread>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "partition/errors.h"
#include "tests/unit/embeddings/walk_graphs.h"
#include "tests/unit/embeddings/walk_oracle.h"

namespace knotwork::embeddings {
namespace {

using Paths = std::vector<std::vector<OriginalNode>>;

struct Kind {
  std::string name;
  bool directed;
  WalkOptions options;
};

std::vector<Kind> kinds() {
  std::vector<Kind> result;
  for (const bool directed : {false, true}) {
    for (const bool weighted : {false, true}) {
      for (const double restart : {0.0, 0.2}) {
        for (const auto& [p, q] :
             std::vector<std::pair<double, double>>{{1, 1}, {2, 0.5}, {0.5, 2}, {0.25, 0.25}, {0.1, 1}, {4, 1}}) {
          std::string name = (directed ? "directed" : "undirected") + std::string(weighted ? "_weighted" : "") +
                             (restart > 0 ? "_restart" : "") + "_p" + std::to_string(static_cast<int>(p * 100)) + "_q" +
                             std::to_string(static_cast<int>(q * 100));
          result.push_back({name, directed, {23, p, q, restart, weighted, 42}});
        }
      }
    }
  }
  return result;
}

std::vector<WalkStart> all_starts(const Graph& graph, std::uint32_t walks) {
  std::vector<WalkStart> starts;
  for (std::uint32_t walk = 0; walk < walks; ++walk) {
    for (GlobalNode node = 0; node < graph.row_count(); ++node) starts.push_back({node, walk});
  }
  return starts;
}

/// Path of walk w from original node o at [w * n + o], in original nodes.
Paths in_original_order(const Graph& graph, const std::vector<WalkStart>& starts, const WalkBatch& batch) {
  Paths result(starts.size());
  for (std::size_t i = 0; i < starts.size(); ++i) {
    auto& path = result[starts[i].walk * graph.summary().node_count + graph.original(starts[i].node)];
    for (const GlobalNode node : batch.path(i)) path.push_back(graph.original(node));
  }
  return result;
}

Paths walks_of(const Graph& graph, const WalkOptions& options, std::uint32_t walks) {
  const WalkEngine engine(graph, options);
  const auto starts = all_starts(graph, walks);
  WalkBatch batch;
  engine.generate(starts, batch);
  return in_original_order(graph, starts, batch);
}

/// Ranks in one process: each holds a slice; walkers travel to the holder of their node, questions to the holder of the
/// previous node, until all are finished.
class Ranks {
 public:
  Ranks(const Graph& whole, const WalkOptions& options) : whole_(whole) {
    for (partition::Part part = 0; part < whole.parts().part_count(); ++part) {
      engines_.emplace_back(slice_of(whole, part), options);
    }
  }

  Paths walks(std::uint32_t per_node) {
    const auto starts = all_starts(whole_, per_node);
    WalkBatch batch;
    batch.stride = engines_[0].options().length + 3;  // a caller's stride may exceed the length
    batch.paths.assign(starts.size() * batch.stride, partition::kInvalidNode);
    batch.lengths.resize(starts.size());
    std::vector<std::vector<Walker>> waiting(engines_.size());
    for (std::uint32_t i = 0; i < starts.size(); ++i) {
      const auto rank = whole_.parts().part_of(starts[i].node);
      waiting[rank].push_back(engines_[rank].start_walker(starts[i], i, rank));
      batch.paths[i * batch.stride] = starts[i].node;
    }
    for (bool moving = true; moving;) {
      moving = false;
      for (std::size_t rank = 0; rank < engines_.size(); ++rank) {
        std::vector<Walker> walkers = std::move(waiting[rank]);
        waiting[rank].clear();
        if (walkers.empty()) continue;
        moving = true;
        std::vector<WalkerState> states(walkers.size());
        engines_[rank].advance(walkers, states, batch.paths, batch.stride);
        for (std::size_t i = 0; i < walkers.size(); ++i) send(walkers[i], states[i], waiting, batch);
      }
    }
    return in_original_order(whole_, starts, batch);
  }

  std::size_t hand_overs = 0;
  std::size_t questions = 0;

 private:
  void send(Walker walker, WalkerState state, std::vector<std::vector<Walker>>& waiting, WalkBatch& batch) {
    if (state == WalkerState::kFinished) {
      batch.lengths[walker.slot] = walker.step;
      return;
    }
    if (state == WalkerState::kAskAdjacency) {
      ++questions;
      engines_[whole_.parts().part_of(walker.previous)].answer(walker);
    } else {
      ++hand_overs;
    }
    waiting[whole_.parts().part_of(walker.node)].push_back(walker);
  }

  const Graph whole_;
  std::vector<WalkEngine> engines_;
};

constexpr std::uint32_t kWalks = 2;

TestEdges edges_of(const Kind& kind) {
  return skewed_graph(150, 900, 5, kind.directed, true);
}

TEST(WalkTest, follows_the_oracle_step_by_step) {
  for (const Kind& kind : kinds()) {
    SCOPED_TRACE(kind.name);
    const Graph graph = make_graph(edges_of(kind));
    const WalkEngine engine(graph, kind.options);
    const WalkOracle oracle(graph, kind.options);
    const auto starts = all_starts(graph, kWalks);
    WalkBatch batch;
    engine.generate(starts, batch);
    for (std::size_t i = 0; i < starts.size(); ++i) {
      ASSERT_THAT(batch.path(i), testing::ElementsAreArray(oracle.walk(starts[i]))) << "walk " << i;
    }
  }
}

TEST(WalkTest, is_the_same_for_any_number_of_parts) {
  for (const Kind& kind : kinds()) {
    SCOPED_TRACE(kind.name);
    const Paths expected = walks_of(make_graph(edges_of(kind)), kind.options, kWalks);
    for (const std::uint32_t parts : {2U, 4U}) {
      const auto input = edges_of(kind);
      const Graph graph = make_graph(input, scattered_parts(input.node_count, parts), parts);
      EXPECT_EQ(walks_of(graph, kind.options, kWalks), expected) << parts << " parts";
    }
  }
}

TEST(WalkTest, is_the_same_when_walkers_travel_between_slices) {
  for (const Kind& kind : kinds()) {
    SCOPED_TRACE(kind.name);
    const auto input = edges_of(kind);
    const Paths expected = walks_of(make_graph(input), kind.options, kWalks);
    Ranks ranks(make_graph(input, scattered_parts(input.node_count, 3), 3), kind.options);
    EXPECT_EQ(ranks.walks(kWalks), expected);
    EXPECT_GT(ranks.hand_overs, 0U);
    if (kind.options.q != 1.0) {
      EXPECT_GT(ranks.questions, 0U);
    }
  }
}

TEST(WalkTest, does_not_depend_on_batches_or_threads) {
  for (const Kind& kind : kinds()) {
    SCOPED_TRACE(kind.name);
    const Graph graph = make_graph(edges_of(kind));
    const WalkEngine engine(graph, kind.options);
    const auto starts = all_starts(graph, kWalks);
    WalkBatch whole;
    engine.generate(starts, whole);
    std::vector<std::thread> threads;
    std::vector<int> equal(2, 1);
    for (std::size_t t = 0; t < 2; ++t) {
      threads.emplace_back([&, t] {
        WalkBatch batch;
        for (std::size_t first = t * 37; first < starts.size(); first += 74) {
          const std::size_t count = std::min<std::size_t>(37, starts.size() - first);
          engine.generate(std::span(starts).subspan(first, count), batch);
          for (std::size_t i = 0; i < count; ++i) {
            equal[t] &= std::ranges::equal(batch.path(i), whole.path(first + i)) ? 1 : 0;
          }
        }
      });
    }
    for (auto& thread : threads) thread.join();
    EXPECT_THAT(equal, testing::Each(1));
  }
}

TEST(WalkTest, walks_end_at_sinks_and_isolated_nodes) {
  // 0 → 1 → 2, and 3 alone.
  const Graph graph = make_graph({4, {{0, 1}, {1, 2}}, true, false});
  EXPECT_EQ(walks_of(graph, {.length = 10}, 1), (Paths{{0, 1, 2}, {1, 2}, {2}, {3}}));
  EXPECT_EQ(walks_of(graph, {.length = 10, .p = 0.5, .q = 2}, 1), (Paths{{0, 1, 2}, {1, 2}, {2}, {3}}));
}

TEST(WalkTest, length_one_is_the_start_alone) {
  const Graph graph = make_graph({3, {{0, 1}, {1, 2}}, false, false});
  EXPECT_EQ(walks_of(graph, {.length = 1}, 1), (Paths{{0}, {1}, {2}}));
  EXPECT_EQ(walks_of(graph, {.length = 1, .p = 2}, 1), (Paths{{0}, {1}, {2}}));
}

TEST(WalkTest, a_leaf_returns_even_if_returning_is_made_unlikely) {
  const Graph graph = make_graph({2, {{0, 1}}, false, false});
  EXPECT_EQ(walks_of(graph, {.length = 5, .p = 1000}, 1), (Paths{{0, 1, 0, 1, 0}, {1, 0, 1, 0, 1}}));
}

TEST(WalkTest, seeds_and_walk_numbers_give_different_walks) {
  const Graph graph = make_graph(skewed_graph(150, 900, 0, false, false));
  const Paths two = walks_of(graph, {.length = 20, .seed = 1}, 2);
  EXPECT_NE(Paths(two.begin(), two.begin() + 150), Paths(two.begin() + 150, two.end()));
  EXPECT_NE(two, walks_of(graph, {.length = 20, .seed = 2}, 2));
}

void expect_refused(const WalkOptions& options, bool weighted, const std::string& message) {
  const Graph graph = make_graph({2, {{0, 1, 1.0F}}, false, weighted});
  try {
    const WalkEngine engine(graph, options);
    FAIL() << "accepted; expected: " << message;
  } catch (const partition::InputError& error) {
    EXPECT_THAT(error.what(), testing::HasSubstr(message));
  }
}

TEST(WalkTest, options_out_of_range_are_refused_negative_input) {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  expect_refused({.length = 0}, false, "length is 0");
  expect_refused({.p = 0}, false, "walk option p is 0");
  expect_refused({.p = nan}, false, "walk option p is nan");
  expect_refused({.q = -1}, false, "walk option q is -1");
  expect_refused({.q = 1e9}, false, "walk option q is 1e+09");
  expect_refused({.restart = 1.0}, false, "restart is 1");
  expect_refused({.restart = -0.1}, false, "restart is -0.1");
  expect_refused({.restart = nan}, false, "restart is nan");
  expect_refused({.weighted = true}, false, "weighted walks need arc weights");
}

TEST(WalkTest, weights_that_cannot_be_sampled_are_refused_negative_input) {
  for (const float weight : {-1.0F, 0.0F, std::numeric_limits<float>::infinity()}) {
    const Graph graph = make_graph({2, {{0, 1, weight}}, false, true});
    EXPECT_THROW(WalkEngine(graph, {.weighted = true}), partition::InputError) << weight;
  }
}

}  // namespace
}  // namespace knotwork::embeddings
