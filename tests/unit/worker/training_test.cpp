// One model trained by any number of ranks: it learns, its loss falls, and its rows come out in the input's order.
#include "worker/training.h"

#include <cmath>
#include <map>
#include <memory>
#include <optional>
#include <vector>

#include <gtest/gtest.h>

#include "partition/errors.h"
#include "tests/unit/worker/graphs.h"
#include "tests/unit/worker/row_collector.h"

namespace knotwork::worker {
namespace {

using partition::Graph;

constexpr std::uint32_t kBlocks = 4;
constexpr std::uint32_t kBlockSize = 50;

struct Trained {
  TrainingReport report;
  std::uint32_t dim = 0;
  std::vector<float> rows;  // rank 0 only
};

Trained train(const TrainingOptions& options) {
  cluster::Communicator& communicator = world();
  const Graph whole = block_graph(kBlocks, kBlockSize, 8, 1);
  const Graph parted = communicator.size() == 1 ? whole : cut(whole, static_cast<partition::Part>(communicator.size()));
  const DistributedGraph graph = scatter_graph(
      communicator, communicator.rank() == 0 ? std::optional<Graph>(parted) : std::nullopt, partition::NodeNames(),
      {.may_share = options.may_share_memory(), .servers = static_cast<int>(options.server_ranks)});
  Trainer trainer(communicator, graph, options);
  Trained trained{.report = trainer.train({}), .dim = trainer.dim()};
  std::unique_ptr<RowCollector> writer;
  if (communicator.rank() == 0) writer = std::make_unique<RowCollector>(kBlocks * kBlockSize, trained.dim);
  trainer.export_rows(writer.get());
  if (writer) trained.rows = writer->values;
  return trained;
}

double cosine(const Trained& trained, std::size_t a, std::size_t b) {
  double dot = 0;
  double norm_a = 0;
  double norm_b = 0;
  for (std::size_t i = 0; i < trained.dim; ++i) {
    const double x = trained.rows[a * trained.dim + i];
    const double y = trained.rows[b * trained.dim + i];
    dot += x * y;
    norm_a += x * x;
    norm_b += y * y;
  }
  return dot / std::sqrt(norm_a * norm_b);
}

/// Mean cosine of nodes of one block minus that of nodes of different blocks. Rows are original nodes, so that a wrong
/// order of the output shows here.
double separation(const Trained& trained) {
  double same = 0;
  double different = 0;
  for (std::size_t a = 0; a < kBlocks * kBlockSize; a += 3) {
    same += cosine(trained, a, a / kBlockSize * kBlockSize + (a + 7) % kBlockSize);
    different += cosine(trained, a, (a + kBlockSize) % (kBlocks * kBlockSize));
  }
  const double pairs = (kBlocks * kBlockSize + 2) / 3;
  return (same - different) / pairs;
}

TrainingOptions small_options() {
  // Rows travel, as between hosts.
  TrainingOptions options{.walks_per_node = 40, .threads = 1, .shares_memory = false, .batch_walks = 32};
  options.walk.length = 40;
  options.skipgram = {.dim = 20, .window = 5};
  options.skipgram.loss_interval = 4;
  return options;
}

void expect_learnt(const TrainingOptions& options) {
  const Trained trained = train(options);
  EXPECT_LT(trained.report.loss, trained.report.loss_first);
  EXPECT_GT(trained.report.pairs, 0U);
  if (world().rank() != 0) return;
  ASSERT_EQ(trained.rows.size(), std::size_t{kBlocks} * kBlockSize * trained.dim);
  EXPECT_GT(separation(trained), 0.3);
}

TEST(TrainingTest, deepwalk_separates_blocks) {
  const Trained trained = train(small_options());
  // Every position of every walk is a centre.
  EXPECT_EQ(trained.report.words, std::uint64_t{kBlocks} * kBlockSize * 40 * 40);
  expect_learnt(small_options());
}

TEST(TrainingTest, two_threads_and_node2vec) {
  TrainingOptions options = small_options();
  options.threads = 2;
  options.walk.p = 0.5;
  options.walk.q = 2.0;
  expect_learnt(options);
}

TEST(TrainingTest, adagrad_carries_its_state_across_ranks) {
  TrainingOptions options = small_options();
  options.skipgram.optimizer = embeddings::Optimizer::kAdagrad;
  options.skipgram.learning_rate = 0.1F;
  expect_learnt(options);
}

TEST(TrainingTest, subsampling_trains_fewer_words) {
  TrainingOptions options = small_options();
  options.skipgram.subsample = 1e-3;
  const Trained trained = train(options);
  EXPECT_GT(trained.report.words, 0U);
  EXPECT_LT(trained.report.words, std::uint64_t{kBlocks} * kBlockSize * 40 * 40);
}

TEST(TrainingTest, line_of_each_order) {
  for (const auto order :
       {embeddings::LineOrder::kFirst, embeddings::LineOrder::kSecond, embeddings::LineOrder::kBoth}) {
    TrainingOptions options = small_options();
    options.model = Model::kLine;
    options.line_order = order;
    options.walks_per_node = 80;
    options.skipgram.dim = 8;  // what a graph of four blocks can fill
    options.skipgram.learning_rate = 0.1F;
    expect_learnt(options);
  }
}

TEST(TrainingTest, ranks_that_share_memory_touch_all_rows_in_place) {
  TrainingOptions options = small_options();
  options.shares_memory = true;
  const Trained trained = train(options);
  EXPECT_EQ(trained.report.shares_memory, world().size() > 1);
  EXPECT_EQ(trained.report.rows_pulled + trained.report.rows_pushed + trained.report.walkers_sent, 0U);
  EXPECT_EQ(trained.report.words, std::uint64_t{kBlocks} * kBlockSize * 40 * 40);
  expect_learnt(options);
  options.skipgram.optimizer = embeddings::Optimizer::kAdagrad;
  options.skipgram.learning_rate = 0.1F;
  expect_learnt(options);
  options.model = Model::kLine;
  expect_learnt(options);
  options.consistency = parse_consistency("ssp:2", {});
  EXPECT_FALSE(train(options).report.shares_memory) << "batches have no meaning there";
}

TEST(TrainingTest, every_consistency_learns) {
  for (const char* text : {"ssp:4", "bsp"}) {
    SCOPED_TRACE(text);
    TrainingOptions options = small_options();
    options.consistency = parse_consistency(text, {});
    expect_learnt(options);
  }
}

TEST(TrainingTest, servers_of_their_own_learn_the_same) {
  if (world().size() == 1) GTEST_SKIP() << "takes more than one rank";
  TrainingOptions options = small_options();
  options.shares_memory = true;
  options.server_ranks = static_cast<std::uint32_t>(world().size()) / 2;
  const Trained trained = train(options);
  EXPECT_FALSE(trained.report.shares_memory);
  EXPECT_EQ(trained.report.words, std::uint64_t{kBlocks} * kBlockSize * 40 * 40);
  EXPECT_EQ(trained.report.remote_share, 1.0);
  expect_learnt(options);
  // A rank that trains has accumulators in replicas alone.
  options.skipgram.optimizer = embeddings::Optimizer::kAdagrad;
  options.skipgram.learning_rate = 0.1F;
  expect_learnt(options);
  options.skipgram.optimizer = embeddings::Optimizer::kSgd;
  options.model = Model::kLine;
  expect_learnt(options);
}

TEST(TrainingTest, one_thread_on_one_rank_repeats_itself) {
  if (world().size() > 1) GTEST_SKIP() << "order of updates is fixed on one rank with one thread only";
  EXPECT_EQ(train(small_options()).rows, train(small_options()).rows);
}

TEST(TrainingTest, a_short_job_has_a_loss_or_says_that_it_has_none) {
  TrainingOptions options = small_options();
  options.walks_per_node = 1;
  options.skipgram.loss_interval = 1000;  // 8,000 windows: eight at most have a loss, none of most twentieths
  const Trained trained = train(options);
  EXPECT_GT(trained.report.loss_pairs, 0U);
  EXPECT_GT(trained.report.loss_first, 1.0);
  EXPECT_GT(trained.report.loss, 1.0);
  options.skipgram.loss_interval = 100'000;
  EXPECT_EQ(train(options).report.loss_pairs, 0U);
}

TEST(TrainingTest, odd_dim_cannot_be_halved_for_line) {
  TrainingOptions options = small_options();
  options.model = Model::kLine;
  options.skipgram.dim = 21;
  EXPECT_THROW(train(options), partition::InputError);
}

}  // namespace
}  // namespace knotwork::worker

int main(int argc, char** argv) {
  return knotwork::cluster::testing::run_all_tests(argc, argv);
}
