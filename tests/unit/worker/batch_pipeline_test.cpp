// The pipeline with a courier that takes its time: every item is trained once, in rows that have arrived; failures of
// any thread come out.
#include "worker/batch_pipeline.h"

#include <atomic>
#include <chrono>
#include <memory>
#include <stdexcept>
#include <vector>

#include <gtest/gtest.h>

namespace knotwork::worker {
namespace {

using namespace std::chrono_literals;

/// Rows arrive some looks after they were asked for.
class SlowCourier final : public BatchCourier {
 public:
  bool may_start(const TrainingBatch& batch) override { return batch.number < allowed; }
  void start(TrainingBatch& batch) override {
    EXPECT_EQ(batch.number, started++);
    underway_most = std::max(underway_most, started - released);
  }
  bool has_arrived(const TrainingBatch& /*batch*/) override { return ++looks % 3 == 0; }
  std::size_t finish_start(TrainingBatch& batch) override {
    EXPECT_EQ(batch.number, finished_starts++);
    if (batch.number == fails_at) throw std::runtime_error("the link is cut");
    if (rows_to_settle(batch) == 0) arrived[batch.number] = true;
    return rows_to_settle(batch);
  }
  void settle(TrainingBatch& batch, std::size_t first, std::size_t last) override {
    EXPECT_LT(first, last);
    EXPECT_EQ(in_training, 0) << "rows of a batch that is in training must not change";
    settled_rows[batch.number] += last - first;
    if (settled_rows[batch.number] == rows_to_settle(batch)) arrived[batch.number] = true;
  }
  void finish_settling(TrainingBatch& batch) override {
    EXPECT_EQ(settled_rows[batch.number], rows_to_settle(batch));
    EXPECT_GE(batch.number, released) << "after its release";
    finished_settling[batch.number] = true;
  }
  static std::size_t rows_to_settle(const TrainingBatch& batch) { return batch.number % 3 * 300; }
  void release(TrainingBatch& batch) override {
    EXPECT_EQ(batch.number, released++);
    EXPECT_EQ(finished_settling[batch.number], rows_to_settle(batch) > 0);
  }
  void flush() override { flushed_after.push_back(released); }

  static constexpr std::size_t kMostBatches = 200;
  std::atomic<BatchNumber> allowed = kNoBatch;
  std::vector<std::atomic<bool>> arrived = std::vector<std::atomic<bool>>(kMostBatches);
  std::vector<std::atomic<std::size_t>> settled_rows = std::vector<std::atomic<std::size_t>>(kMostBatches);
  std::vector<bool> finished_settling = std::vector<bool>(kMostBatches);
  std::atomic<int> in_training = 0;
  BatchNumber finished_starts = 0;
  BatchNumber started = 0;
  BatchNumber released = 0;
  BatchNumber underway_most = 0;
  BatchNumber fails_at = kNoBatch;
  int looks = 0;
  std::vector<BatchNumber> flushed_after;
};

std::unique_ptr<TrainingBatch> batch_of(BatchNumber number, std::size_t items) {
  auto batch = std::make_unique<TrainingBatch>();
  batch->number = number;
  for (std::size_t i = 0; i < items; ++i) batch->item_ends.push_back(static_cast<std::uint32_t>(i + 1));
  return batch;
}

const std::function<void()> kNothing = [] {};

TEST(BatchPipelineTest, every_item_is_trained_once_in_rows_that_have_arrived) {
  for (const unsigned threads : {1U, 3U}) {
    SlowCourier courier;
    constexpr std::size_t kBatches = 50;
    std::vector<std::vector<std::atomic<int>>> trained(kBatches);
    for (std::size_t i = 0; i < kBatches; ++i) trained[i] = std::vector<std::atomic<int>>(i % 11);
    {
      BatchPipeline pipeline({.threads = threads, .depth = 3, .items_per_task = 4}, courier,
                             [&](unsigned thread, const TrainingBatch& batch, std::size_t first, std::size_t last) {
                               EXPECT_LT(thread, threads);
                               ++courier.in_training;
                               EXPECT_TRUE(courier.arrived[batch.number]);
                               for (std::size_t i = first; i < last; ++i) ++trained[batch.number][i];
                               std::this_thread::sleep_for(50us);
                               --courier.in_training;
                             });
      for (std::size_t i = 0; i < kBatches; ++i) pipeline.submit(batch_of(i, i % 11), kNothing);
      pipeline.finish(kNothing);
    }
    for (const auto& batch : trained) {
      for (const auto& times : batch) EXPECT_EQ(times, 1);
    }
    EXPECT_EQ(courier.released, kBatches);
    EXPECT_LE(courier.underway_most, 3U);
    EXPECT_EQ(courier.flushed_after, std::vector<BatchNumber>{kBatches});
  }
}

TEST(BatchPipelineTest, others_may_follow_when_all_batches_are_drained) {
  SlowCourier courier;
  std::atomic<std::size_t> trained = 0;
  BatchPipeline pipeline({.threads = 2, .depth = 3}, courier,
                         [&](unsigned, const TrainingBatch&, std::size_t first, std::size_t last) {
                           std::this_thread::sleep_for(1ms);
                           trained += last - first;
                         });
  pipeline.drain(kNothing);
  for (BatchNumber i = 0; i < 6; ++i) pipeline.submit(batch_of(i, 8), kNothing);
  const auto begin = std::chrono::steady_clock::now();
  const auto since = pipeline.drain(kNothing);
  EXPECT_EQ(trained, 6U * 8U);
  EXPECT_GE(since, begin) << "some batches were left";
  EXPECT_LE(since, std::chrono::steady_clock::now());
  for (BatchNumber i = 6; i < 8; ++i) pipeline.submit(batch_of(i, 8), kNothing);
  pipeline.finish(kNothing);
  EXPECT_EQ(trained, 8U * 8U);
  EXPECT_EQ(courier.flushed_after, (std::vector<BatchNumber>{0, 6, 8}));
}

TEST(BatchPipelineTest, a_batch_that_may_not_start_yet_holds_up_those_behind) {
  SlowCourier courier;
  courier.allowed = 1;
  std::atomic<BatchNumber> newest = 0;
  BatchPipeline pipeline(
      {.threads = 2, .depth = 4}, courier,
      [&](unsigned, const TrainingBatch& batch, std::size_t, std::size_t) { newest = batch.number; });
  for (BatchNumber i = 0; i < 3; ++i) pipeline.submit(batch_of(i, 1), kNothing);
  std::this_thread::sleep_for(20ms);
  EXPECT_EQ(newest, 0U);
  EXPECT_TRUE(courier.arrived[0]);
  EXPECT_FALSE(courier.arrived[1]);
  courier.allowed = kNoBatch;
  pipeline.finish(kNothing);
  EXPECT_TRUE(courier.arrived[2]);
  // Batch 1 came late: that is waiting.
  EXPECT_GT(pipeline.waited_seconds(), 0.01);
}

TEST(BatchPipelineTest, a_backlog_waits_without_being_underway) {
  SlowCourier courier;
  courier.allowed = 0;
  constexpr BatchNumber kDepth = 2;
  constexpr BatchNumber kBacklog = 5;
  BatchPipeline pipeline({.threads = 1, .depth = kDepth, .backlog = kBacklog}, courier,
                         [](unsigned, const TrainingBatch&, std::size_t, std::size_t) {});
  // Nothing may start; who makes batches can go on all the same, or would wait here for ever.
  for (BatchNumber number = 0; number < kDepth + kBacklog; ++number) pipeline.submit(batch_of(number, 3), kNothing);
  courier.allowed = kNoBatch;
  pipeline.finish(kNothing);
  EXPECT_EQ(courier.released, kDepth + kBacklog);
  EXPECT_LE(courier.underway_most, kDepth);
}

TEST(BatchPipelineTest, failures_of_the_courier_come_out) {
  SlowCourier courier;
  courier.fails_at = 2;
  BatchPipeline pipeline({.threads = 2, .depth = 2}, courier, [](auto&&...) {});
  EXPECT_THROW(
      {
        for (BatchNumber i = 0; i < 100; ++i) pipeline.submit(batch_of(i, 5), kNothing);
        pipeline.finish(kNothing);
      },
      std::runtime_error);
}

TEST(BatchPipelineTest, failures_of_training_come_out) {
  SlowCourier courier;
  BatchPipeline pipeline({.threads = 2, .depth = 2}, courier,
                         [](unsigned, const TrainingBatch& batch, std::size_t, std::size_t) {
                           if (batch.number == 3) throw std::runtime_error("not a number");
                         });
  EXPECT_THROW(
      {
        for (BatchNumber i = 0; i < 100; ++i) pipeline.submit(batch_of(i, 5), kNothing);
        pipeline.finish(kNothing);
      },
      std::runtime_error);
}

TEST(BatchPipelineTest, can_be_given_up_in_the_middle) {
  SlowCourier courier;
  BatchPipeline pipeline({.threads = 2, .depth = 4}, courier, [](auto&&...) {});
  for (BatchNumber i = 0; i < 4; ++i) pipeline.submit(batch_of(i, 5), kNothing);
}

}  // namespace
}  // namespace knotwork::worker
