// Training threads and who watches them.
#include "worker/local_training.h"

#include <atomic>
#include <chrono>
#include <stdexcept>
#include <thread>

#include <gtest/gtest.h>

namespace knotwork::worker {
namespace {

using std::chrono::milliseconds;

const embeddings::LearningRate kRate(0.025F, 0.0001F);

TEST(LocalTrainingTest, whoever_watches_looks_as_often_as_asked_and_shows_twice_a_second) {
  TrainingClock clock(100, kRate);
  std::atomic<int> shown = 0;
  std::atomic<int> looks = 0;
  const auto body = [&](unsigned) {
    while (shown < 2) std::this_thread::sleep_for(milliseconds(5));
  };
  const auto look = [&](bool at_work) {
    ++looks;
    return at_work;
  };
  run_training_threads(
      2, clock, [&](const TrainingProgress&) { ++shown; }, body, look, milliseconds(20));
  EXPECT_GE(looks, 6);  // some fifty on a machine that does nothing else; three with a look at each display
  EXPECT_LE(shown, 3);
}

TEST(LocalTrainingTest, a_thread_that_fails_ends_the_watching) {
  TrainingClock clock(100, kRate);
  const auto body = [](unsigned thread) {
    if (thread == 1) throw std::runtime_error("thread 1");
  };
  EXPECT_THROW(run_training_threads(
                   2, clock, {}, body, [](bool) { return true; }, milliseconds(20)),
               std::runtime_error);
}

}  // namespace
}  // namespace knotwork::worker
