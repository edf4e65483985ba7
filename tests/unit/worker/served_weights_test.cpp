// Weights on the parameter server: Adam's steps, what ranks see of each other, and how far they may be apart.
#include "worker/served_weights.h"

#include <chrono>
#include <cmath>
#include <memory>
#include <numeric>
#include <optional>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include "cluster/single_process.h"
#include "tests/unit/worker/graphs.h"
#include "worker/row_servers.h"

namespace knotwork::worker {
namespace {

namespace gnn = embeddings::gnn;

/// 941 weights: four rows, of which the last isn't full.
const std::vector<gnn::Parameter> kParameters{
    {.name = "first", .rows = 300, .columns = 3, .offset = 0, .is_first_layer = true},
    {.name = "second", .rows = 41, .columns = 1, .offset = 900}};
constexpr std::size_t kWeights = 941;
const gnn::AdamOptions kAdam{.learning_rate = 0.02, .weight_decay = 0.1, .decays_first_layer_only = true};

/// Servers, tables and weights of one rank.
struct Job {
  Job(cluster::Communicator& ranks, const Consistency& consistency, gnn::NetworkState begin,
      const gnn::AdamOptions& adam = kAdam)
      : communicator(ranks) {
    tables = add_weight_tables(shard, kWeights, adam, communicator.rank(), communicator.size());
    servers.emplace(communicator, shard, RowServerOptions{.ipc = true});
    state = std::move(begin);
    weights.emplace(communicator, servers->connect(), shard.table(tables.weights), tables, kParameters, adam,
                    consistency, state);
    watch = servers->connect();
    weights->begin();
  }
  ~Job() {
    weights.reset();
    watch.reset();
    communicator.barrier();
  }

  /// The clocks of all ranks, asked for past the weights.
  std::vector<float> clocks() {
    std::vector<ps::RowIndex> rows(tables.clocks.ranks);
    std::iota(rows.begin(), rows.end(), ps::RowIndex{0});
    std::vector<float> found(rows.size());
    watch->pull(tables.clocks.table, rows, found);
    return found;
  }
  /// Waits until all ranks but the first have done so many batches.
  void wait_for_others(float batches) {
    for (std::vector<float> found = clocks(); *std::min_element(found.begin() + 1, found.end()) < batches;
         found = clocks()) {
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
  }

  cluster::Communicator& communicator;
  ps::Shard shard;
  WeightTables tables;
  std::optional<RowServers> servers;
  gnn::NetworkState state;
  std::optional<ServedWeights> weights;
  std::unique_ptr<ps::Client> watch;
};

float gradient_of(std::uint64_t step, std::size_t weight) {
  return std::sin(static_cast<float>(step * 17 + weight));
}

/// Every rank's share of the same gradient.
std::vector<float> shares_of(std::uint64_t step, int ranks) {
  std::vector<float> gradient(kWeights);
  for (std::size_t i = 0; i < kWeights; ++i) gradient[i] = gradient_of(step, i) / static_cast<float>(ranks);
  return gradient;
}

gnn::NetworkState start() {
  return gnn::initial_state(kParameters, 3);
}

constexpr Consistency kAsp{.bounded = false, .staleness = {}};

void expect_near(const std::vector<float>& found, const std::vector<float>& expected, double tolerance) {
  ASSERT_EQ(found.size(), expected.size());
  for (std::size_t i = 0; i < found.size(); ++i) ASSERT_NEAR(found[i], expected[i], tolerance) << "at " << i;
}

TEST(ServedWeightsTest, one_rank_makes_the_steps_that_it_makes_without_a_server) {
  cluster::SingleProcess alone;
  Job job(alone, kAsp, start());
  gnn::NetworkState expected = start();
  for (std::uint64_t step = 0; step < 50; ++step) {
    job.weights->take();
    expect_near(job.state.weights, expected.weights, 2e-5);
    std::vector<float> gradient = shares_of(step, 1);
    gnn::adam_step(kParameters, gradient, kAdam, expected);
    job.weights->step(gradient);
  }
  job.weights->meet();
  expect_near(job.state.weights, expected.weights, 2e-5);
  expect_near(job.state.first_moments, expected.first_moments, 2e-5);
  expect_near(job.state.second_moments, expected.second_moments, 2e-5);
  EXPECT_EQ(job.state.steps, 50U);
  EXPECT_EQ(job.weights->traffic().bytes, 0U);
}

/// Kingma and Ba, algorithm 1, in double precision, with a step for each rank and batch. Without decay: what a rank
/// adds for that depends on how old its weights are.
TEST(ServedWeightsTest, every_rank_makes_a_step_a_batch) {
  const int ranks = world().size();
  gnn::AdamOptions adam = kAdam;
  adam.weight_decay = 0;
  Job job(world(), kAsp, start(), adam);
  constexpr std::uint64_t kBatches = 20;
  for (std::uint64_t batch = 0; batch < kBatches; ++batch) {
    job.weights->take();
    std::vector<float> gradient = shares_of(0, ranks);  // Always the same: the order of pushes says nothing.
    job.weights->step(gradient);
  }
  job.weights->meet();
  EXPECT_EQ(job.state.steps, kBatches);
  const std::vector<float> begin = start().weights;
  const double rate = adam.learning_rate / std::sqrt(ranks);
  for (std::size_t i = 0; i < kWeights; ++i) {
    double weight = begin[i], first = 0, second = 0;
    for (std::uint64_t step = 1; step <= kBatches * static_cast<std::uint64_t>(ranks); ++step) {
      const double g = gradient_of(0, i);
      first = 0.9 * first + 0.1 * g;
      second = 0.999 * second + 0.001 * g * g;
      const auto t = static_cast<double>(step);
      weight -= rate * first / (1 - std::pow(0.9, t)) / (std::sqrt(second / (1 - std::pow(0.999, t))) + 1e-8);
    }
    ASSERT_NEAR(job.state.weights[i], weight, 2e-4) << "at " << i;
  }
  EXPECT_EQ(job.weights->traffic().bytes > 0, ranks > 1);
}

TEST(ServedWeightsTest, what_a_rank_takes_is_what_lies_on_all_servers) {
  Job job(world(), kAsp, start());
  std::vector<ps::RowIndex> rows(job.shard.table(job.tables.weights).spec().row_count);
  std::iota(rows.begin(), rows.end(), ps::RowIndex{0});
  std::vector<float> table(rows.size() * kWeightColumns);
  for (int turn = 0; turn < 3 * world().size(); ++turn) {
    if (turn % world().size() == world().rank()) {
      job.weights->take();
      std::vector<float> gradient = shares_of(static_cast<std::uint64_t>(turn), 1);
      job.weights->step(gradient);
      job.weights->take();
      job.watch->pull(job.tables.weights, rows, table);
      for (std::size_t i = 0; i < kWeights; ++i) ASSERT_EQ(job.state.weights[i], table[i]) << "at " << i;
    }
    world().barrier();
  }
}

TEST(ServedWeightsTest, ranks_that_have_met_have_the_same_state) {
  Job job(world(), {.bounded = true, .staleness = 1}, start());
  for (std::uint64_t batch = 0; batch < 5; ++batch) {
    job.weights->take();
    std::vector<float> gradient = shares_of(batch * 31 + static_cast<std::uint64_t>(world().rank()), 1);
    job.weights->step(gradient);
  }
  job.weights->meet();
  for (const std::vector<float>* part : {&job.state.weights, &job.state.first_moments, &job.state.second_moments}) {
    std::vector<double> sums(part->begin(), part->end());
    world().allreduce(sums, cluster::Reduction::kSum);
    for (std::size_t i = 0; i < sums.size(); ++i) ASSERT_EQ(sums[i], static_cast<double>((*part)[i]) * world().size());
  }
}

TEST(ServedWeightsTest, training_goes_on_from_a_state_on_any_number_of_ranks) {
  gnn::NetworkState before = start();
  for (std::uint64_t step = 0; step < 7; ++step) gnn::adam_step(kParameters, shares_of(step, 1), kAdam, before);
  Job job(world(), kAsp, before);
  job.weights->take();
  EXPECT_EQ(job.state.weights, before.weights);
  job.weights->meet();
  EXPECT_EQ(job.state.weights, before.weights);
  EXPECT_EQ(job.state.first_moments, before.first_moments);
  EXPECT_EQ(job.state.second_moments, before.second_moments);
  EXPECT_EQ(job.state.steps, 7U);
}

void do_batch(Job& job) {
  job.weights->take();
  std::vector<float> gradient(kWeights, 1.0F);
  job.weights->step(gradient);
}

TEST(ServedWeightsTest, asp_waits_for_nobody) {
  if (world().size() == 1) GTEST_SKIP() << "alone";
  Job job(world(), kAsp, start());
  constexpr int kBatches = 20;
  if (world().is_root()) job.wait_for_others(kBatches);
  for (int batch = 0; batch < kBatches; ++batch) do_batch(job);
  job.weights->meet();
  EXPECT_EQ(job.state.steps, static_cast<std::uint64_t>(kBatches));
}

TEST(ServedWeightsTest, ssp_keeps_the_fastest_within_its_bound) {
  if (world().size() == 1) GTEST_SKIP() << "alone";
  for (const std::uint32_t bound : {1U, 3U}) {
    Job job(world(), {.bounded = true, .staleness = bound}, start());
    constexpr int kBatches = 12;
    for (int batch = 0; batch < kBatches; ++batch) {
      if (world().is_root() && batch % 4 == 0) {
        // This rank says that a batch is done when it takes the weights for the next.
        const int told = std::max(0, batch - 1);
        const auto most = static_cast<float>(told + static_cast<int>(bound) + 1);
        job.wait_for_others(most);
        std::this_thread::sleep_for(std::chrono::milliseconds(30));
        for (const float clock : job.clocks()) EXPECT_LE(clock, most);
      }
      job.weights->take();
      const std::vector<float> clocks = job.clocks();
      EXPECT_GE(*std::min_element(clocks.begin(), clocks.end()) + static_cast<float>(bound), static_cast<float>(batch));
      std::vector<float> gradient(kWeights, 1.0F);
      job.weights->step(gradient);
    }
    job.weights->meet();
    EXPECT_EQ(job.state.steps, static_cast<std::uint64_t>(kBatches));
  }
}

}  // namespace
}  // namespace knotwork::worker
