// Propagation, both losses and a whole step against slow oracles in double; the same bytes for any number of threads.
#include "embeddings/lightgcn.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <random>
#include <set>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "bipartite_graphs.h"
#include "embeddings/row_table.h"
#include "partition/errors.h"
#include "test_folder.h"

namespace knotwork::embeddings {
namespace {

using partition::GlobalNode;
using Doubles = std::vector<double>;

constexpr std::size_t kStride = 16;

std::vector<float> random_rows(std::size_t rows, unsigned seed, std::size_t dim = kStride) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal;
  std::vector<float> values(rows * kStride);
  for (std::size_t i = 0; i < values.size(); ++i) values[i] = i % kStride < dim ? normal(random) : 0.0F;
  return values;
}

/// The mean of all layers from a dense matrix, straight from equation 7.
Doubles oracle_mean(const UserItemGraph& graph, std::uint32_t layers, bool weighted, const Doubles& in) {
  const std::size_t nodes = graph.graph().row_count();
  const auto strength = [&](GlobalNode node) {
    double sum = graph.graph().degree(node);
    if (weighted) {
      sum = 0;
      for (const float weight : graph.graph().weights(node)) sum += weight;
    }
    return sum;
  };
  Doubles layer = in;
  Doubles sum = in;
  for (std::uint32_t k = 0; k < layers; ++k) {
    Doubles next(in.size());
    for (GlobalNode node = 0; node < nodes; ++node) {
      const auto list = graph.graph().neighbours(node);
      for (std::size_t i = 0; i < list.size(); ++i) {
        const double weight = weighted ? graph.graph().weights(node)[i] : 1;
        const double factor = weight / std::sqrt(strength(node) * strength(list[i]));
        for (std::size_t c = 0; c < kStride; ++c) next[node * kStride + c] += factor * layer[list[i] * kStride + c];
      }
    }
    layer = next;
    for (std::size_t i = 0; i < sum.size(); ++i) sum[i] += layer[i];
  }
  for (double& value : sum) value /= layers + 1;
  return sum;
}

Doubles doubles(std::span<const float> values) {
  return {values.begin(), values.end()};
}

TEST(LayerMean, IsTheMeanOfLayersByEquation7) {
  // User 3 and item 4 have no pair.
  const Pairs pairs = {{0, 0}, {0, 1}, {0, 2}, {1, 1}, {2, 2}, {2, 3}, {2, 0}};
  for (const bool weighted : {false, true}) {
    const std::vector<float> weights = weighted ? std::vector<float>{1, 2, 3, 0.5, 1, 4, 2} : std::vector<float>{};
    const UserItemGraph graph = user_item_graph(4, 5, pairs, weights);
    const std::vector<float> in = random_rows(9, 1);
    for (const std::uint32_t layers : {0U, 1U, 3U}) {
      Crew crew(2);
      LayerMean mean(graph.graph(), layers, weighted, kStride, crew);
      std::vector<float> out(in.size());
      mean.apply(in, out);
      const Doubles expected = oracle_mean(graph, layers, weighted, doubles(in));
      for (std::size_t i = 0; i < out.size(); ++i) ASSERT_NEAR(out[i], expected[i], 1e-5) << layers << weighted;
    }
  }
}

TEST(LayerMean, IsSymmetricSoBackwardIsForward) {
  const UserItemGraph graph = user_item_graph(40, 30, block_pairs(40, 30, 3, 5, 1));
  Crew crew(2);
  LayerMean mean(graph.graph(), 3, false, kStride, crew);
  const std::vector<float> x = random_rows(70, 1);
  const std::vector<float> y = random_rows(70, 2);
  std::vector<float> px(x.size());
  std::vector<float> py(y.size());
  mean.apply(x, px);
  mean.apply(y, py);
  double left = 0;
  double right = 0;
  for (std::size_t i = 0; i < x.size(); ++i) {
    left += static_cast<double>(px[i]) * y[i];
    right += static_cast<double>(x[i]) * py[i];
  }
  EXPECT_NEAR(left, right, 1e-3);
}

TEST(LayerMean, DoesWideRowsBlockByBlock) {
  const UserItemGraph graph = user_item_graph(40, 30, block_pairs(40, 30, 3, 5, 1));
  constexpr std::size_t kWide = 112;  // 64 + 32 + 16
  std::vector<float> in(70 * kWide);
  for (std::size_t i = 0; i < in.size(); ++i) in[i] = static_cast<float>(i % 37) - 18;
  Crew crew(3);
  std::vector<float> out(in.size());
  LayerMean(graph.graph(), 2, false, kWide, crew).apply(in, out);
  LayerMean narrow(graph.graph(), 2, false, 16, crew);
  for (std::size_t first = 0; first < kWide; first += 16) {
    std::vector<float> part(70 * 16);
    std::vector<float> expected(70 * 16);
    for (std::size_t i = 0; i < part.size(); ++i) part[i] = in[i / 16 * kWide + first + i % 16];
    narrow.apply(part, expected);
    for (std::size_t i = 0; i < part.size(); ++i) ASSERT_EQ(out[i / 16 * kWide + first + i % 16], expected[i]);
  }
}

double cosine(const Doubles& rows, std::size_t a, std::size_t b) {
  double dot = 0;
  double left = 0;
  double right = 0;
  for (std::size_t k = 0; k < kStride; ++k) {
    dot += rows[a * kStride + k] * rows[b * kStride + k];
    left += rows[a * kStride + k] * rows[a * kStride + k];
    right += rows[b * kStride + k] * rows[b * kStride + k];
  }
  return dot / std::sqrt(left * right);
}

/// The mean loss over all users against all items, pair by pair.
double oracle_softmax(const UserItemGraph& graph, const Doubles& rows, double temperature, double popularity) {
  const partition::Graph& arcs = graph.graph();
  const double mean_degree = static_cast<double>(graph.pair_count()) / graph.item_count();
  double sum = 0;
  for (std::uint32_t number = 0; number < graph.user_count(); ++number) {
    const GlobalNode user = graph.user(number);
    double others = 0;
    for (std::uint32_t item = 0; item < graph.item_count(); ++item) {
      const GlobalNode node = graph.item(item);
      if (arcs.degree(node) == 0 || arcs.has_arc(user, node)) continue;
      others +=
          std::pow(arcs.degree(node) / mean_degree, popularity) * std::exp(cosine(rows, user, node) / temperature);
    }
    for (const GlobalNode item : arcs.neighbours(user)) {
      const double own = std::exp(cosine(rows, user, item) / temperature);
      sum -= std::log(own / (own + others));
    }
  }
  return sum / static_cast<double>(graph.pair_count());
}

/// Compares a gradient with differences of the oracle.
void expect_gradient(std::span<const float> gradient, const Doubles& at, const std::function<double(const Doubles&)>& f,
                     double tolerance) {
  constexpr double kStep = 1e-5;
  for (std::size_t i = 0; i < at.size(); ++i) {
    Doubles up = at;
    Doubles down = at;
    up[i] += kStep;
    down[i] -= kStep;
    ASSERT_NEAR(gradient[i], (f(up) - f(down)) / (2 * kStep), tolerance) << i;
  }
}

TEST(SoftmaxObjective, GradientIsThatOfDifferences) {
  // User 6 and item 9 have no pair; user 5 has all other items.
  Pairs pairs = block_pairs(5, 9, 3, 3, 2);
  for (std::uint32_t item = 0; item < 9; ++item) pairs.emplace_back(5, item);
  const UserItemGraph graph = user_item_graph(7, 10, pairs);
  const std::vector<float> rows = random_rows(17, 3);
  for (const double popularity : {0.0, 1.0}) {
    Crew crew(2);
    SoftmaxObjective objective(
        graph, kStride, {.batch = 100, .temperature = 0.3F, .sample = 1, .popularity = popularity, .seed = 1}, crew);
    EXPECT_EQ(objective.steps(), 1U);
    objective.begin_epoch(0);
    std::vector<float> gradient(rows.size());
    const StepLoss loss = objective.step(0, rows, gradient);
    EXPECT_EQ(loss.pairs, graph.pair_count());
    const auto f = [&](const Doubles& at) { return oracle_softmax(graph, at, 0.3F, popularity); };
    EXPECT_NEAR(loss.sum / static_cast<double>(loss.pairs), f(doubles(rows)), 1e-5);
    expect_gradient(gradient, doubles(rows), f, 2e-5);
  }
}

TEST(SoftmaxObjective, SamplesEstimateTheWholeLossAndEveryUserTakesPartOnce) {
  const UserItemGraph graph = user_item_graph(60, 200, block_pairs(60, 200, 4, 4, 5));
  const std::vector<float> rows = random_rows(260, 4);
  Crew crew(1);
  SoftmaxObjective objective(graph, kStride, {.batch = 8, .temperature = 1, .sample = 0.3, .popularity = 0, .seed = 7},
                             crew);
  EXPECT_EQ(objective.steps(), 8U);
  double sum = 0;
  constexpr std::uint32_t kEpochs = 60;
  for (std::uint32_t epoch = 0; epoch < kEpochs; ++epoch) {
    objective.begin_epoch(epoch);
    std::uint64_t pairs = 0;
    for (std::uint32_t step = 0; step < objective.steps(); ++step) {
      std::vector<float> gradient(rows.size());
      const StepLoss loss = objective.step(step, rows, gradient);
      sum += loss.sum / static_cast<double>(graph.pair_count());
      pairs += loss.pairs;
    }
    ASSERT_EQ(pairs, graph.pair_count());
  }
  // The logarithm of an estimate is a little below that of its mean.
  EXPECT_NEAR(sum / kEpochs, oracle_softmax(graph, doubles(rows), 1, 0), 0.03);
}

TEST(BprObjective, GradientIsThatOfDifferences) {
  const std::vector<float> rows = random_rows(3, 8);
  for (const float scale : {1.0F, 40.0F}) {  // 40: far out on either side of the sigmoid
    std::vector<float> scaled = rows;
    for (float& value : scaled) value *= std::sqrt(scale);
    for (const BprTriple triple : {BprTriple{0, 1, 2}, BprTriple{0, 2, 1}}) {
      std::vector<float> gradient(rows.size());
      const double loss = add_bpr_gradient(triple, scaled, kStride, 2, gradient);
      const auto f = [&](const Doubles& at) {
        double margin = 0;
        for (std::size_t k = 0; k < kStride; ++k) {
          margin += at[triple.user * kStride + k] * (at[triple.item * kStride + k] - at[triple.other * kStride + k]);
        }
        return 2 * std::log(1 + std::exp(-margin));
      };
      EXPECT_NEAR(2 * loss, f(doubles(scaled)), 1e-4 * (1 + loss));
      expect_gradient(gradient, doubles(scaled), f, 2e-4 * std::sqrt(scale));
    }
  }
}

TEST(BprObjective, DrawsAUserWithAnItemAndOneThatTheUserLacks) {
  Pairs pairs = block_pairs(20, 12, 3, 3, 2);
  for (std::uint32_t item = 0; item < 12; ++item) pairs.emplace_back(20, item);  // has all: never drawn
  const UserItemGraph graph = user_item_graph(22, 12, pairs);                    // user 21 has none
  Crew crew(1);
  BprObjective objective(graph, kStride, {.batch = 10, .seed = 3}, crew);
  EXPECT_EQ(objective.steps(), (graph.pair_count() + 9) / 10);
  std::set<GlobalNode> users;
  std::set<GlobalNode> others;
  for (std::uint64_t draw = 0; draw < 2000; ++draw) {
    const BprTriple triple = objective.draw(1, draw);
    ASSERT_TRUE(graph.graph().has_arc(triple.user, triple.item));
    ASSERT_FALSE(graph.is_user(triple.other));
    ASSERT_FALSE(graph.graph().has_arc(triple.user, triple.other));
    users.insert(triple.user);
    others.insert(triple.other);
  }
  EXPECT_EQ(users.size(), 20U);
  EXPECT_EQ(others.size(), 12U);
}

TEST(LightGcn, FirstStepIsThatOfAdamOnTheWholeLoss) {
  const UserItemGraph graph = user_item_graph(12, 10, block_pairs(12, 10, 2, 3, 6));
  for (const RankingLoss loss : {RankingLoss::kSoftmax, RankingLoss::kBpr}) {
    LightGcnOptions options{.dim = 16, .layers = 2, .loss = loss, .epochs = 1, .learning_rate = 0.01F, .batch = 12};
    options.softmax = {.temperature = 0.2F, .sample = 1, .popularity = 1};
    options.bpr.penalty = 0.1F;
    Crew crew(2);
    LightGcn model(graph, options, crew);
    const Doubles start = doubles(model.layer_zero());
    model.begin_epoch();
    model.step();

    BprObjective draws(graph, kStride, {.batch = 12, .penalty = 0.1F, .seed = 1}, crew);
    const auto f = [&](const Doubles& at) {
      const Doubles rows = oracle_mean(graph, 2, false, at);
      if (loss == RankingLoss::kSoftmax) return oracle_softmax(graph, rows, 0.2F, 1);
      double sum = 0;
      for (std::uint64_t i = 0; i < 12; ++i) {
        const BprTriple triple = draws.draw(0, i);
        double margin = 0;
        for (std::size_t k = 0; k < kStride; ++k) {
          const auto value = [&](GlobalNode node, const Doubles& of) { return of[node * kStride + k]; };
          margin += value(triple.user, rows) * (value(triple.item, rows) - value(triple.other, rows));
          for (const GlobalNode node : {triple.user, triple.item, triple.other}) {
            sum += 0.05 * value(node, at) * value(node, at);
          }
        }
        sum += std::log(1 + std::exp(-margin));
      }
      return sum / 12;
    };
    // Adam's first step is the rate times the gradient's sign, a little less where the gradient is tiny.
    constexpr double kStep = 1e-5;
    for (std::size_t i = 0; i < start.size(); ++i) {
      Doubles up = start;
      Doubles down = start;
      up[i] += kStep;
      down[i] -= kStep;
      const double slope = (f(up) - f(down)) / (2 * kStep);
      if (std::abs(slope) < 1e-5) continue;
      ASSERT_NEAR(model.layer_zero()[i] - start[i], slope > 0 ? -0.01 : 0.01, 2e-4) << i << " slope " << slope;
    }
  }
}

TEST(LightGcn, RanksByItemsAtLengthsThatSuitTheLoss) {
  const UserItemGraph graph = user_item_graph(12, 10, block_pairs(12, 10, 2, 3, 6));
  for (const auto& [loss, power] : {std::pair{RankingLoss::kSoftmax, 0.25F}, std::pair{RankingLoss::kBpr, 1.0F}}) {
    Crew crew(2);
    LightGcnOptions options{.dim = 16, .layers = 2, .loss = loss, .epochs = 1, .batch = 12};
    options.softmax.item_lengths = 0.25F;  // not for BPR, which learns inner products
    LightGcn model(graph, options, crew);
    model.train_epoch();
    const Doubles mean = oracle_mean(graph, 2, false, doubles(model.layer_zero()));
    const auto rows = model.ranking_rows();
    for (GlobalNode node = 0; node < graph.graph().row_count(); ++node) {
      double square = 0;
      for (std::size_t k = 0; k < kStride; ++k) square += mean[node * kStride + k] * mean[node * kStride + k];
      const double scale = graph.is_user(node) ? 1 : std::pow(std::sqrt(square), power - 1);
      for (std::size_t k = 0; k < kStride; ++k) {
        ASSERT_NEAR(rows[node * kStride + k], scale * mean[node * kStride + k], 1e-5) << node << " column " << k;
      }
    }
  }
}

TEST(LightGcn, IsTheSameForAnyNumberOfThreads) {
  const UserItemGraph graph = user_item_graph(150, 90, block_pairs(150, 90, 3, 6, 1));
  for (const RankingLoss loss : {RankingLoss::kSoftmax, RankingLoss::kBpr}) {
    std::vector<std::vector<float>> results;
    for (const unsigned threads : {1U, 2U, 5U}) {
      Crew crew(threads);
      LightGcn model(graph, {.dim = 20, .loss = loss, .epochs = 2, .batch = 40}, crew);
      model.train_epoch();
      model.train_epoch();
      const auto rows = model.ranking_rows();
      results.emplace_back(rows.begin(), rows.end());
    }
    EXPECT_EQ(results[0], results[1]);
    EXPECT_EQ(results[0], results[2]);
    for (std::size_t i = 0; i < results[0].size(); ++i) {
      ASSERT_TRUE(i % 32 < 20 || results[0][i] == 0) << "columns behind dim";
    }
  }
}

TEST(LightGcn, LearnsBlocks) {
  const UserItemGraph graph = user_item_graph(150, 90, block_pairs(150, 90, 3, 6, 1));
  for (const RankingLoss loss : {RankingLoss::kSoftmax, RankingLoss::kBpr}) {
    Crew crew(2);
    LightGcn model(graph, {.dim = 16, .loss = loss, .epochs = 20, .learning_rate = 0.02F, .batch = 50}, crew);
    double first = 0;
    double last = 0;
    for (int epoch = 0; epoch < 20; ++epoch) {
      const LightGcnEpoch done = model.train_epoch();
      (epoch == 0 ? first : last) = done.loss;
    }
    EXPECT_LT(last, first);
    const auto rows = model.ranking_rows();
    int right = 0;
    for (std::uint32_t user = 0; user < 150; ++user) {
      std::uint32_t best = 0;
      double best_score = -1e30;
      for (std::uint32_t item = 0; item < 90; ++item) {
        double score = 0;
        for (std::size_t k = 0; k < kStride; ++k) {
          score += rows[graph.user(user) * kStride + k] * rows[graph.item(item) * kStride + k];
        }
        if (score > best_score) best = item;
        best_score = std::max(score, best_score);
      }
      right += best % 3 == user % 3 ? 1 : 0;
    }
    EXPECT_GT(right, 140);
  }
}

TEST(LightGcn, RefusesWhatHasNothingToLearn) {
  const UserItemGraph no_pairs = user_item_graph(3, 3, {});
  const UserItemGraph complete = user_item_graph(1, 2, {{0, 0}, {0, 1}});
  Crew crew(1);
  EXPECT_THAT(message_of<partition::InputError>([&] { LightGcn(no_pairs, {}, crew); }),
              testing::HasSubstr("no user with an item"));
  EXPECT_THAT(message_of<partition::InputError>([&] { LightGcn(complete, {.loss = RankingLoss::kBpr}, crew); }),
              testing::HasSubstr("lacks some"));
}

}  // namespace
}  // namespace knotwork::embeddings
