// Mini-batches on many ranks against the same on one, and against training by hand on the full graph.
#include "worker/minibatch_training.h"

#include <cmath>
#include <numeric>
#include <optional>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "embeddings/neighbour_sampler.h"
#include "partition/errors.h"
#include "tests/unit/worker/block_classes.h"
#include "tests/unit/worker/graphs.h"
#include "tests/unit/worker/linear_network.h"
#include "worker/seed_batches.h"

namespace knotwork::worker {
namespace {

using embeddings::NodeFeatures;
using partition::GlobalNode;
using partition::Graph;
using partition::OriginalNode;

void expect_same_as_alone(const MinibatchOptions& options, bool has_features, bool may_share = false) {
  const Learnt alone = learn_alone(options, has_features);
  const Learnt together = learn(world(), distributed(may_share), options, has_features);
  expect_near(together.state.weights, alone.state.weights, 2e-4);
  if (world().is_root()) expect_near(together.rows, alone.rows, 1e-3);
  ASSERT_EQ(together.report.epochs.size(), alone.report.epochs.size());
  for (std::size_t epoch = 0; epoch < alone.report.epochs.size(); ++epoch) {
    EXPECT_NEAR(together.report.epochs[epoch].loss, alone.report.epochs[epoch].loss, 1e-4);
  }
  EXPECT_EQ(together.report.seeds, alone.report.seeds);
  EXPECT_NEAR(together.scores.labels.accuracy, alone.scores.labels.accuracy, 0.01);
  if (options.goal == MinibatchGoal::kLabels) {  // Something was learnt.
    EXPECT_LT(alone.report.epochs.back().loss, 0.9 * alone.report.epochs.front().loss);
  }
}

TEST(MinibatchTrainingTest, ranks_share_the_batches_of_one) {
  expect_same_as_alone(kSmall, true);
}

TEST(MinibatchTrainingTest, ranks_that_share_memory_too) {
  expect_same_as_alone(kSmall, true, true);
}

TEST(MinibatchTrainingTest, id_embeddings_are_learnt_as_by_one_rank) {
  expect_same_as_alone(kSmall, false);
}

TEST(MinibatchTrainingTest, links_are_learnt_as_by_one_rank) {
  MinibatchOptions options = kSmall;
  options.goal = MinibatchGoal::kLinks;
  options.epochs = 4;
  expect_same_as_alone(options, true);
}

TEST(MinibatchTrainingTest, a_batch_smaller_than_the_ranks_leaves_some_without_seeds) {
  MinibatchOptions options = kSmall;
  options.batch = 3;
  options.epochs = 2;
  expect_same_as_alone(options, true);
}

TEST(MinibatchTrainingTest, links_bring_neighbours_together) {
  MinibatchOptions options = kSmall;
  options.goal = MinibatchGoal::kLinks;
  options.epochs = 60;
  const Learnt learnt = learn_alone(options, true);
  EXPECT_LT(learnt.report.epochs.back().loss, 0.9 * learnt.report.epochs.front().loss);
  const auto product = [&](OriginalNode a, OriginalNode b) {
    return std::inner_product(learnt.rows.begin() + a * kClasses, learnt.rows.begin() + (a + 1) * kClasses,
                              learnt.rows.begin() + b * kClasses, 0.0);
  };
  const Graph graph = whole_graph();
  double near = 0;
  double any = 0;
  for (GlobalNode node = 0; node < kNodes; ++node) {
    for (const GlobalNode other : graph.neighbours(node)) {
      near += product(graph.original(node), graph.original(other)) / static_cast<double>(graph.summary().arc_count);
    }
    for (OriginalNode other = 0; other < kNodes; ++other) any += product(node, other) / (kNodes * kNodes);
  }
  EXPECT_GT(near, any + 0.2);
}

/// y = B B x W on all of the graph with softmax and Adam, by the book and in double precision.
std::vector<double> trained_by_hand(const Graph& graph, const MinibatchOptions& options, std::vector<double> weights) {
  const auto passed = [&](const std::vector<std::vector<double>>& x) {
    std::vector<std::vector<double>> y = x;
    for (GlobalNode node = 0; node < kNodes; ++node) {
      for (const GlobalNode other : graph.neighbours(node)) {
        for (std::size_t c = 0; c < kColumns; ++c) y[node][c] += x[other][c] / graph.degree(node);
      }
    }
    return y;
  };
  std::vector<std::vector<double>> x(kNodes, std::vector<double>(kColumns));
  for (GlobalNode node = 0; node < kNodes; ++node) {
    for (std::uint32_t c = 0; c < kColumns; ++c) x[node][c] = feature_of(graph.original(node), c);
  }
  x = passed(passed(x));
  double trained = 0;
  for (OriginalNode node = 0; node < kNodes; ++node) trained += is_trained_on(node) ? 1 : 0;
  std::vector<double> first(weights.size()), second(weights.size());
  for (std::uint32_t step = 1; step <= options.epochs; ++step) {
    std::vector<double> gradient(weights.size());
    for (GlobalNode node = 0; node < kNodes; ++node) {
      if (!is_trained_on(graph.original(node))) continue;
      double logits[kClasses] = {};
      double sum = 0;
      for (std::uint32_t o = 0; o < kClasses; ++o) {
        for (std::uint32_t i = 0; i < kColumns; ++i) logits[o] += x[node][i] * weights[i * kClasses + o];
        sum += std::exp(logits[o]);
      }
      for (std::uint32_t o = 0; o < kClasses; ++o) {
        const double by_logit = (std::exp(logits[o]) / sum - (graph.original(node) / 60 == o ? 1 : 0)) / trained;
        for (std::uint32_t i = 0; i < kColumns; ++i) gradient[i * kClasses + o] += x[node][i] * by_logit;
      }
    }
    for (std::size_t i = 0; i < weights.size(); ++i) {
      first[i] = 0.9 * first[i] + 0.1 * gradient[i];
      second[i] = 0.999 * second[i] + 0.001 * gradient[i] * gradient[i];
      weights[i] -= options.adam.learning_rate * first[i] / (1 - std::pow(0.9, step)) /
                    (std::sqrt(second[i] / (1 - std::pow(0.999, step))) + 1e-8);
    }
  }
  return weights;
}

TEST(MinibatchTrainingTest, whole_neighbourhoods_in_one_batch_are_the_full_graph) {
  MinibatchOptions options = kSmall;
  options.fan_outs = {embeddings::kAllNeighbours, embeddings::kAllNeighbours};
  options.batch = kNodes;
  options.epochs = 20;
  const DistributedGraph graph = distributed();
  const NodeFeatures features = features_of(graph.slice);
  MinibatchData data = data_of(graph.slice, &features);
  data.validation.clear();
  options.output_columns = kClasses;
  LinearNetwork network(kColumns, kClasses);
  MinibatchTrainer trainer(world(), graph, network, data, options);
  const std::vector<float> start = trainer.state().weights;
  trainer.train({});
  const std::vector<double> expected = trained_by_hand(whole_graph(), options, {start.begin(), start.end()});
  const std::vector<float>& found = trainer.state().weights;
  for (std::size_t i = 0; i < found.size(); ++i) EXPECT_NEAR(found[i], expected[i], 2e-4);
}

TEST(MinibatchTrainingTest, the_cache_changes_traffic_and_nothing_else) {
  MinibatchOptions options = kSmall;
  options.cache_bytes = 0;
  const DistributedGraph graph = distributed();
  const Learnt without = learn(world(), graph, options, true);
  options.cache_bytes = 40 * (kColumns * sizeof(float) + 32);
  options.tiers = false;
  const Learnt random = learn(world(), graph, options, true);
  options.tiers = true;
  const Learnt tiered = learn(world(), graph, options, true);
  EXPECT_EQ(without.state.weights, tiered.state.weights);
  if (world().size() == 1) {
    EXPECT_EQ(tiered.report.row_bytes, 0U);
    EXPECT_EQ(tiered.report.hit_rate(), 1.0);
    return;
  }
  EXPECT_EQ(without.report.hit_rate(), 0.0);
  EXPECT_GT(random.report.hit_rate(), 0.0);
  EXPECT_GT(tiered.report.hit_rate(), random.report.hit_rate());
  EXPECT_EQ(tiered.report.cache_rows, 40U * world().size());
  EXPECT_LT(tiered.report.row_bytes, without.report.row_bytes);
  EXPECT_EQ(tiered.report.rows_cached + tiered.report.rows_pulled, without.report.rows_pulled);
}

TEST(MinibatchTrainingTest, the_best_epoch_is_kept_and_patience_ends_training) {
  MinibatchOptions options = kSmall;
  options.epochs = 60;
  options.patience = 3;
  options.adam.learning_rate = 3;  // Jumps about: validation gets worse soon.
  const Learnt learnt = learn(world(), distributed(), options, true);
  const auto& epochs = learnt.report.epochs;
  ASSERT_LT(epochs.size(), 60U);
  EXPECT_EQ(epochs.size(), learnt.report.best_epoch + 1 + 3);
  for (const MinibatchEpoch& epoch : epochs)
    EXPECT_GE(epoch.validation->loss, epochs[learnt.report.best_epoch].validation->loss);
  EXPECT_NEAR(learnt.scores.loss, epochs[learnt.report.best_epoch].validation->loss, 1e-6);
}

TEST(MinibatchTrainingTest, mistakes_are_named) {
  const DistributedGraph graph = distributed();
  const NodeFeatures features = features_of(graph.slice);
  MinibatchData data = data_of(graph.slice, &features);
  data.train.clear();
  LinearNetwork network(kColumns, kClasses);
  MinibatchOptions options = kSmall;
  options.output_columns = kClasses;
  const auto message = [&] {
    try {
      MinibatchTrainer(world(), graph, network, data, options).train({});
    } catch (const partition::InputError& error) {
      return std::string(error.what());
    }
    return std::string("no error");
  };
  EXPECT_THAT(message(), testing::HasSubstr("nothing to train on"));
  options.fan_outs = {3};
  EXPECT_THAT(message(), testing::HasSubstr("fan-out of 1 layers, expected 2"));
}

TEST(MinibatchDataTest, every_rank_gets_the_rows_and_labels_of_its_nodes) {
  const DistributedGraph graph = distributed();
  std::optional<NodeFeatures> all;
  std::optional<LabelTask> task;
  if (world().is_root()) {
    const Graph whole = whole_graph();
    std::vector<OriginalNode> inverse(kNodes);
    for (GlobalNode node = 0; node < kNodes; ++node) inverse[whole.original(node)] = node;
    all = features_of(whole).select(inverse);
    task.emplace();
    for (OriginalNode node = 0; node < kNodes; node += 3) {  // Two labels for every other node of the test set.
      auto& labels = node % 2 == 0 ? task->test : node % 9 == 0 ? task->valid : task->train;
      labels.rows.push_back(node);
      labels.labels.push_back(node % 5);
      if (node % 4 == 0) labels.labels.push_back(5);
      labels.offsets.push_back(labels.labels.size());
    }
  }
  const NodeFeatures rows = scatter_features(world(), graph, all ? &*all : nullptr);
  const MinibatchData data = scatter_labels(world(), graph, task ? &*task : nullptr);
  ASSERT_EQ(rows.rows(), graph.slice.row_count());
  EXPECT_EQ(rows.columns(), kColumns);
  for (std::size_t local = 0; local < rows.rows(); ++local) {
    const GlobalNode node = graph.slice.first_node() + static_cast<GlobalNode>(local);
    const OriginalNode original = graph.slice.original(node);
    std::vector<float> row(kColumns);
    rows.fill(local, 0, row);
    for (std::uint32_t c = 0; c < kColumns; ++c) EXPECT_EQ(row[c], feature_of(original, c));
    std::vector<std::uint32_t> expected;
    if (original % 3 == 0) expected.push_back(original % 5);
    if (original % 12 == 0) expected.push_back(5);
    EXPECT_EQ(std::vector(data.labels.begin() + static_cast<std::ptrdiff_t>(data.label_offsets[local]),
                          data.labels.begin() + static_cast<std::ptrdiff_t>(data.label_offsets[local + 1])),
              expected);
    const auto is_in = [&](const std::vector<GlobalNode>& nodes) { return std::ranges::binary_search(nodes, node); };
    EXPECT_EQ(is_in(data.test), original % 6 == 0);
    EXPECT_EQ(is_in(data.validation), original % 9 == 0 && original % 2 != 0);
    EXPECT_EQ(is_in(data.train), original % 3 == 0 && original % 2 != 0 && original % 9 != 0);
  }
}

TEST(SeedBatchesTest, every_seed_comes_once_an_epoch_and_ranks_share_batches) {
  const DistributedGraph graph = distributed();
  std::vector<GlobalNode> own;
  for (GlobalNode node = graph.slice.first_node(); node < graph.slice.last_node(); ++node) {
    if (graph.slice.original(node) % 3 == 0) own.push_back(node);
  }
  const SeedBatches batches(world(), graph.slice, own, 32, 5);
  EXPECT_EQ(batches.seed_count(), 80U);
  EXPECT_EQ(batches.count(), 3U);
  std::vector<std::vector<GlobalNode>> orders;
  for (std::uint32_t epoch = 0; epoch < 2; ++epoch) {
    std::vector<GlobalNode> all;
    for (std::uint32_t batch = 0; batch < 3; ++batch) {
      std::vector<GlobalNode> seeds;
      batches.own_seeds(epoch, batch, seeds);
      EXPECT_EQ(world().allreduce(std::uint64_t{seeds.size()}, cluster::Reduction::kSum), batches.size_of(batch));
      all.insert(all.end(), seeds.begin(), seeds.end());
    }
    orders.push_back(all);
    std::ranges::sort(all);
    EXPECT_EQ(all, own);
  }
  EXPECT_NE(orders[0], orders[1]);
}

}  // namespace
}  // namespace knotwork::worker

int main(int argc, char** argv) {
  return knotwork::cluster::testing::run_all_tests(argc, argv);
}
