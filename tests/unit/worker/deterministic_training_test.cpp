// Deterministic training on 1, 2 and 4 ranks against one process that trains alone, on a graph that was not cut.
#include "worker/deterministic_training.h"

#include <optional>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "cluster/single_process.h"
#include "embeddings/start_order.h"
#include "tests/unit/worker/graphs.h"
#include "tests/unit/worker/row_collector.h"
#include "worker/node_census.h"
#include "worker/row_sums.h"

namespace knotwork::worker {
namespace {

using partition::Graph;

constexpr std::uint32_t kBlocks = 3;
constexpr std::uint32_t kBlockSize = 40;

struct Trained {
  TrainingReport report;
  std::vector<float> rows;  // rank 0 only
};

Trained train(cluster::Communicator& communicator, const Graph& whole, const TrainingOptions& options) {
  const DistributedGraph graph =
      scatter_graph(communicator, communicator.is_root() ? std::optional<Graph>(whole) : std::nullopt,
                    partition::NodeNames(), {.servers = static_cast<int>(options.server_ranks)});
  Trainer trainer(communicator, graph, options);
  Trained trained{.report = trainer.train({}), .rows = {}};
  std::optional<RowCollector> writer;
  if (communicator.is_root()) writer.emplace(kBlocks * kBlockSize, trainer.dim());
  trainer.export_rows(writer ? &*writer : nullptr);
  if (writer) trained.rows = writer->values;
  return trained;
}

TrainingOptions small_options() {
  TrainingOptions options{.walks_per_node = 6, .threads = 1, .deterministic = true};
  options.walk.length = 20;
  options.skipgram = {.dim = 20, .window = 4};
  options.skipgram.loss_interval = 4;
  return options;
}

/// Weights that differ, so that sums of them round.
Graph weighted_graph(bool directed) {
  const std::uint32_t nodes = kBlocks * kBlockSize;
  std::vector<partition::Edge> edges;
  std::vector<float> weights;
  for (std::uint32_t node = 0; node < nodes; ++node) {
    for (std::uint32_t i = 0; i < 6; ++i) {
      const auto random = partition::random_block(3, partition::RandomPurpose::kGenerate, node, i, 0);
      const std::uint32_t other = node / kBlockSize * kBlockSize + partition::bounded(random[0], kBlockSize);
      if (other == node) continue;
      edges.push_back({node, other});
      weights.push_back(0.1F + partition::unit_float(random[1]));
    }
    edges.push_back({node, (node + 1) % nodes});
    weights.push_back(1.0F);
  }
  partition::BuildReport report;
  return partition::build_graph(partition::EdgeArrays::copy_of(edges, weights), nodes, directed, report);
}

/// The job's ranks, with one thread and with two, and two cuts, against one process.
void expect_same_as_alone(const Graph& whole, TrainingOptions options, std::uint32_t servers = 0) {
  cluster::SingleProcess nobody_else;
  const Trained alone = train(nobody_else, whole, options);
  // Where the ranks that train are fewer, the rest serve.
  if (world().size() > 1) options.server_ranks = servers;
  EXPECT_GT(alone.report.pairs, 0U);
  EXPECT_LT(alone.report.loss, alone.report.loss_first);
  const auto ranks = static_cast<partition::Part>(world().size());
  for (const partition::Part parts : {ranks, ranks + 3}) {
    for (const unsigned threads : {1U, 2U}) {
      SCOPED_TRACE(std::to_string(parts) + " parts, " + std::to_string(threads) + " threads");
      options.threads = threads;
      const Trained together = train(world(), cut(whole, parts), options);
      EXPECT_EQ(together.report.pairs, alone.report.pairs);
      EXPECT_EQ(together.report.loss_first, alone.report.loss_first);
      EXPECT_EQ(together.report.loss, alone.report.loss);
      if (world().is_root()) {
        EXPECT_TRUE(together.rows == alone.rows);
      }
    }
  }
}

Graph plain_graph() {
  return block_graph(kBlocks, kBlockSize, 6, 1);
}

TEST(DeterministicTrainingTest, deepwalk) {
  expect_same_as_alone(plain_graph(), small_options());
}

TEST(DeterministicTrainingTest, node2vec_with_adagrad) {
  TrainingOptions options = small_options();
  options.walk.p = 0.5;
  options.walk.q = 2.0;
  options.skipgram.optimizer = embeddings::Optimizer::kAdagrad;
  options.skipgram.learning_rate = 0.1F;
  expect_same_as_alone(plain_graph(), options);
}

TEST(DeterministicTrainingTest, subsampling_shared_draws_and_many_negatives) {
  TrainingOptions options = small_options();
  options.skipgram.subsample = 1e-2;
  options.skipgram.windows_per_draw = 3;
  options.skipgram.negatives = 9;
  expect_same_as_alone(plain_graph(), options);
}

TEST(DeterministicTrainingTest, weights_and_restarts) {
  TrainingOptions options = small_options();
  options.walk.weighted = true;
  options.walk.restart = 0.1;
  options.skipgram.subsample = 1e-2;
  expect_same_as_alone(weighted_graph(false), options);
}

TEST(DeterministicTrainingTest, servers_of_their_own) {
  TrainingOptions options = small_options();
  expect_same_as_alone(plain_graph(), options, 1);
  options.skipgram.optimizer = embeddings::Optimizer::kAdagrad;
  options.model = Model::kLine;
  expect_same_as_alone(plain_graph(), options, 1);
}

TEST(DeterministicTrainingTest, directed_graph) {
  expect_same_as_alone(weighted_graph(true), small_options());
}

TEST(DeterministicTrainingTest, line_of_each_order) {
  for (const auto order :
       {embeddings::LineOrder::kFirst, embeddings::LineOrder::kSecond, embeddings::LineOrder::kBoth}) {
    TrainingOptions options = small_options();
    options.model = Model::kLine;
    options.line_order = order;
    options.walks_per_node = 10;
    options.skipgram.dim = 8;
    options.walk.weighted = order == embeddings::LineOrder::kSecond;
    options.skipgram.learning_rate = 0.1F;
    if (order == embeddings::LineOrder::kBoth) options.skipgram.optimizer = embeddings::Optimizer::kAdagrad;
    expect_same_as_alone(options.walk.weighted ? weighted_graph(false) : plain_graph(), options);
  }
}

TEST(DeterministicTrainingTest, seeds_and_epochs_differ) {
  cluster::SingleProcess nobody_else;
  TrainingOptions options = small_options();
  const Trained first = train(nobody_else, plain_graph(), options);
  EXPECT_TRUE(train(nobody_else, plain_graph(), options).rows == first.rows);
  options.epochs = 2;
  EXPECT_FALSE(train(nobody_else, plain_graph(), options).rows == first.rows);
  options.epochs = 1;
  options.seed = 2;
  EXPECT_FALSE(train(nobody_else, plain_graph(), options).rows == first.rows);
}

TEST(NodeCensusTest, is_the_same_for_any_cut) {
  const Graph whole = weighted_graph(false);
  cluster::SingleProcess nobody_else;
  const NodeCensus alone = take_census(nobody_else, whole, true);
  const Graph parted = cut(whole, static_cast<partition::Part>(world().size() + 1));
  const DistributedGraph graph =
      scatter_graph(world(), world().is_root() ? std::optional<Graph>(parted) : std::nullopt, partition::NodeNames());
  const NodeCensus together = take_census(world(), graph.slice, true);
  EXPECT_EQ(together.strengths, alone.strengths);
  EXPECT_EQ(together.global, embeddings::global_of_original(parted));
  const auto negatives = alone.sampler(0.75);
  const auto other_negatives = together.sampler(0.75);
  const auto keep = alone.keep_probabilities(1e-3);
  const auto other_keep = together.keep_probabilities(1e-3);
  for (std::uint32_t node = 0; node < whole.row_count(); ++node) {
    const auto random = partition::random_block(1, partition::RandomPurpose::kNegative, node, 0, 0);
    EXPECT_EQ(negatives.sample(random[0], random[1]), other_negatives.sample(random[0], random[1]));
    EXPECT_EQ(keep[alone.global[node]], other_keep[together.global[node]]);
  }
}

TEST(UnitsInBatchTest, grow_with_the_graph_up_to_a_bound) {
  EXPECT_EQ(units_in_batch(1, 80), 1U);
  EXPECT_LT(units_in_batch(1000, 80), units_in_batch(2000, 80));
  EXPECT_EQ(units_in_batch(1U << 28, 80), units_in_batch(1U << 30, 80));
  EXPECT_LE(units_in_batch(1U << 30, 1), kMostChanges);
  EXPECT_EQ(units_in_batch(1U << 30, 1U << 20), 1U);  // walks of a million nodes
}

}  // namespace
}  // namespace knotwork::worker
