// Training threads and who watches them.
#include "worker/local_training.h"

#include <chrono>
#include <cstdint>
#include <limits>
#include <stdexcept>
#include <vector>

#include <gtest/gtest.h>

#include "partition/build_graph.h"
#include "partition/huge_array.h"

namespace knotwork::worker {
namespace {

using embeddings::DenseRows;
using std::chrono::milliseconds;

constexpr std::uint32_t kNodes = 30;
constexpr std::uint32_t kDim = 8;

partition::Graph ring() {
  std::vector<partition::Edge> edges;
  for (std::uint32_t node = 0; node < kNodes; ++node) edges.push_back({node, (node + 1) % kNodes});
  partition::BuildReport report;
  return partition::build_graph(partition::EdgeArrays::copy_of(edges), kNodes, false, report);
}

/// Has no snapshot taken; ends the training when its progress has been shown twice.
class CountedBreaks final : public TrainingBreaks {
 public:
  CountedBreaks(milliseconds every, const int& shown) : every_(every), shown_(shown) {}
  milliseconds every() const override { return every_; }
  SnapshotKeeper::Vote vote(bool has_work) override {
    ++votes_;
    return {.stop = shown_ >= 2, .has_work = has_work};
  }
  void take(const TrainingPosition& /*position*/, Clock::time_point /*resting_since*/,
            const std::function<void()>& /*go_on*/) override {
    ADD_FAILURE() << "no snapshot was voted for";
  }
  int votes() const { return votes_; }

 private:
  milliseconds every_;
  const int& shown_;
  int votes_ = 0;
};

/// Votes of an endless training until its progress has been shown twice.
int votes_until_shown_twice(milliseconds between_snapshots) {
  const partition::Graph graph = ring();
  const embeddings::StarSampler stars(graph, false);
  const embeddings::NegativeSampler negatives(std::vector<double>(kNodes, 1.0));
  const std::size_t stride = embeddings::row_stride(kDim);
  partition::HugeArray<float> values(kNodes * stride);
  const DenseRows rows = {values.data(), nullptr, stride, kDim, 0};
  TrainingOptions options;
  options.threads = 2;
  options.skipgram.dim = kDim;
  constexpr std::uint64_t kEndless = std::numeric_limits<std::uint32_t>::max();
  TrainingClock clock(kEndless, {0.025F, 0.0001F});
  int shown = 0;
  CountedBreaks breaks(between_snapshots, shown);
  train_stars_locally(
      stars, {0, kEndless}, {rows, rows, &negatives}, options, options.skipgram, clock,
      [&](const TrainingProgress&) { ++shown; }, &breaks);
  return breaks.votes();
}

TEST(LocalTrainingTest, looks_more_often_than_it_shows_progress_if_snapshots_are_to_come_sooner) {
  EXPECT_GE(votes_until_shown_twice(milliseconds(20)), 10);  // a hundred where nothing else runs
  EXPECT_LE(votes_until_shown_twice(std::chrono::hours(1)), 2);
}

TEST(LocalTrainingTest, a_thread_that_fails_ends_the_watching) {
  TrainingClock clock(100, {0.025F, 0.0001F});
  const auto body = [](unsigned thread) {
    if (thread == 1) throw std::runtime_error("thread 1");
  };
  const auto watch = [&] {
    run_training_threads(
        2, clock, {}, body, [](bool) { return true; }, milliseconds(20));
  };
  EXPECT_THROW(watch(), std::runtime_error);
}

}  // namespace
}  // namespace knotwork::worker
