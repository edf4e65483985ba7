// Mini-batches with asp and ssp: one rank learns what it learns with bsp, and many learn as well, from features or with
// learnt rows, through snapshots, too.
#include <chrono>
#include <filesystem>
#include <string>
#include <unistd.h>
#include <vector>

#include <gtest/gtest.h>

#include "cluster/single_process.h"
#include "tests/unit/worker/block_classes.h"
#include "tests/unit/worker/graphs.h"
#include "worker/minibatch_training.h"
#include "worker/snapshot_keeper.h"
#include "worker/snapshot_reader.h"

namespace knotwork::worker {
namespace {

namespace fs = std::filesystem;

MinibatchOptions with(const std::string& consistency, std::uint32_t epochs = 5) {
  MinibatchOptions options = kSmall;
  options.consistency = parse_consistency(consistency, {});
  options.epochs = epochs;
  return options;
}

/// The plain oracle: Adam by rows, all of which every step touches, is Adam.
void expect_bsp_of(MinibatchOptions options, bool has_features) {
  options.adam.weight_decay = 0.01;
  options.consistency = kBulkSynchronous;
  const Learnt plain = learn_alone(options, has_features);
  for (const std::string consistency : {"asp", "ssp:2"}) {
    options.consistency = parse_consistency(consistency, {});
    const Learnt served = learn_alone(options, has_features);
    expect_near(served.state.weights, plain.state.weights, 2e-4);
    expect_near(served.state.first_moments, plain.state.first_moments, 2e-4);
    expect_near(served.rows, plain.rows, 1e-3);
    EXPECT_EQ(served.state.steps, plain.state.steps);
    EXPECT_EQ(served.report.best_epoch, plain.report.best_epoch);
    EXPECT_EQ(served.report.weight_bytes, 0U);
    for (std::size_t epoch = 0; epoch < plain.report.epochs.size(); ++epoch) {
      EXPECT_NEAR(served.report.epochs[epoch].loss, plain.report.epochs[epoch].loss, 1e-4);
    }
  }
}

TEST(ServedMinibatchTest, one_rank_learns_what_it_learns_with_bsp) {
  expect_bsp_of(kSmall, true);
}

TEST(ServedMinibatchTest, and_so_it_learns_rows_of_nodes) {
  expect_bsp_of(kSmall, false);
}

TEST(ServedMinibatchTest, and_links) {
  MinibatchOptions options = kSmall;
  options.goal = MinibatchGoal::kLinks;
  options.epochs = 4;
  expect_bsp_of(options, true);
}

void expect_the_same_on_all_ranks(const Learnt& learnt) {
  std::vector<double> sums(learnt.state.weights.begin(), learnt.state.weights.end());
  world().allreduce(sums, cluster::Reduction::kSum);
  for (std::size_t i = 0; i < sums.size(); ++i) {
    ASSERT_EQ(sums[i], static_cast<double>(learnt.state.weights[i]) * world().size());
  }
}

void expect_as_good_as_alone(bool has_features, bool may_share) {
  const Learnt alone = learn_alone(with("bsp", 15), has_features);
  for (const std::string consistency : {"asp", "ssp:1", "ssp:4"}) {
    const Learnt found = learn(world(), distributed(may_share), with(consistency, 15), has_features);
    expect_the_same_on_all_ranks(found);
    EXPECT_GT(found.scores.labels.accuracy, alone.scores.labels.accuracy - 0.1) << consistency;
    EXPECT_LT(found.report.epochs.back().loss, 0.9 * found.report.epochs.front().loss) << consistency;
    EXPECT_EQ(found.report.seeds, alone.report.seeds);
    EXPECT_EQ(found.report.weight_bytes > 0, world().size() > 1);
    EXPECT_EQ(found.report.gradient_bytes > 0, world().size() > 1 && !has_features);
    EXPECT_GE(found.report.wait_share, 0.0);
    EXPECT_LE(found.report.wait_share, 1.0);
  }
}

TEST(ServedMinibatchTest, many_ranks_learn_as_well) {
  expect_as_good_as_alone(true, false);
}

TEST(ServedMinibatchTest, ranks_that_share_the_graph_too) {
  expect_as_good_as_alone(true, true);
}

TEST(ServedMinibatchTest, and_with_learnt_rows) {
  expect_as_good_as_alone(false, false);
}

TEST(ServedMinibatchTest, a_batch_smaller_than_the_ranks_leaves_some_without_seeds) {
  MinibatchOptions options = with("ssp:2", 3);
  options.batch = 3;
  const Learnt found = learn(world(), distributed(), options, true);
  expect_the_same_on_all_ranks(found);
  EXPECT_EQ(found.state.steps, 3U * 35U);  // 103 seeds.
  EXPECT_LT(found.report.epochs.back().loss, 0.9 * found.report.epochs.front().loss);
}

TEST(ServedMinibatchTest, the_best_epoch_is_kept_and_patience_ends_training) {
  MinibatchOptions options = with("asp", 60);
  options.patience = 3;
  options.adam.learning_rate = 3;  // Jumps about: validation gets worse soon.
  const Learnt learnt = learn(world(), distributed(), options, true);
  const auto& epochs = learnt.report.epochs;
  ASSERT_LT(epochs.size(), 60U);
  EXPECT_EQ(epochs.size(), learnt.report.best_epoch + 1 + 3);
  EXPECT_NEAR(learnt.scores.loss, epochs[learnt.report.best_epoch].validation->loss, 1e-6);
}

/// A folder of snapshots that all ranks see.
class ServedSnapshotTest : public ::testing::Test {
 protected:
  ServedSnapshotTest()
      : folder_(world().broadcast(
            (fs::temp_directory_path() / ("knotwork-served-" + std::to_string(::getpid()))).string(), 0)) {}
  ~ServedSnapshotTest() override {
    world().barrier();
    if (world().is_root()) fs::remove_all(folder_);
    world().barrier();
  }

  /// Collective: a training that ends with a snapshot some batches after its third epoch.
  Learnt stopped(const MinibatchOptions& options, bool has_features) {
    SnapshotKeeper keeper(world(), {.folder = folder_,
                                    .every = std::chrono::milliseconds(1),
                                    .identity = {.configuration = {{"epochs", "15"}}, .node_count = kNodes},
                                    .program = "test",
                                    .told = {}});
    const auto stop = [&](const MinibatchEpoch& epoch) {
      if (epoch.epoch == 2) keeper.ask_to_stop();
    };
    return learn(world(), distributed(), options, has_features, stop, &keeper);
  }

  /// Collective, by `communicator`'s ranks: the same training from there to its end.
  Learnt resumed(cluster::Communicator& communicator, const DistributedGraph& graph, const MinibatchOptions& options,
                 bool has_features) {
    SnapshotReader snapshot(communicator, folder_, nullptr);
    return learn(communicator, graph, options, has_features, {}, nullptr, &snapshot);
  }

  std::string folder_;
};

TEST_F(ServedSnapshotTest, training_goes_on_where_it_was_stopped) {
  for (const bool has_features : {true, false}) {
    const MinibatchOptions options = with("asp", 15);
    const Learnt first = stopped(options, has_features);
    EXPECT_TRUE(first.report.stopped);
    EXPECT_TRUE(first.report.last_snapshot_is_whole);
    EXPECT_GE(first.report.epochs.size(), 3U);
    EXPECT_LT(first.report.epochs.size(), 15U);
    const Learnt found = resumed(world(), distributed(), options, has_features);
    expect_the_same_on_all_ranks(found);
    EXPECT_EQ(found.report.epochs.size(), 15U);
    const Learnt undisturbed = learn(world(), distributed(), options, has_features);
    EXPECT_GT(found.scores.labels.accuracy, undisturbed.scores.labels.accuracy - 0.1);
    if (world().size() == 1) expect_near(found.state.weights, undisturbed.state.weights, 1e-4);
  }
}

TEST_F(ServedSnapshotTest, on_another_number_of_ranks_and_with_another_consistency) {
  static_cast<void>(stopped(with("ssp:2", 15), false));
  if (world().is_root()) {
    cluster::SingleProcess alone;
    const DistributedGraph graph{whole_graph(), {0, kNodes}, {}};
    const Learnt undisturbed = learn_alone(with("bsp", 15), false);
    for (const std::string consistency : {"asp", "bsp"}) {
      const Learnt found = resumed(alone, graph, with(consistency, 15), false);
      EXPECT_EQ(found.report.epochs.size(), 15U);
      EXPECT_EQ(found.state.steps, undisturbed.state.steps);
      EXPECT_GT(found.scores.labels.accuracy, undisturbed.scores.labels.accuracy - 0.1);
    }
  }
}

}  // namespace
}  // namespace knotwork::worker
