// Texts that threads of all ranks make come out on rank 0 in the order of their tasks, and never far ahead.
#include "worker/ordered_tasks.h"

#include <atomic>
#include <chrono>
#include <stdexcept>
#include <string>
#include <thread>

#include <gtest/gtest.h>

#include "cluster/communicator.h"
#include "tests/unit/worker/graphs.h"

namespace knotwork::worker {
namespace {

TEST(OrderedTasks, TextsOfAllRanksComeInOrder) {
  cluster::Communicator& communicator = world();
  for (const unsigned threads : {1U, 3U}) {
    for (const std::uint64_t count : {0U, 1U, 5U, 200U}) {
      std::atomic<std::uint64_t> made{0};
      std::string text;
      make_in_order(
          communicator, threads, count,
          [&](unsigned thread, std::uint64_t task) {
            EXPECT_LT(thread, threads);
            EXPECT_EQ(task % static_cast<std::uint64_t>(communicator.size()), communicator.rank());
            ++made;
            if (task % 7 == 0) std::this_thread::sleep_for(std::chrono::milliseconds(1));
            return std::to_string(task) + "\n";
          },
          [&](std::string_view piece) { text += piece; });
      EXPECT_EQ(communicator.allreduce(std::uint64_t{made}, cluster::Reduction::kSum), count);
      std::string expected;
      for (std::uint64_t task = 0; task < count && communicator.is_root(); ++task) {
        expected += std::to_string(task) + "\n";
      }
      EXPECT_EQ(text, expected);
    }
  }
}

TEST(OrderedTasks, NoThreadRunsFarAheadOfTheStream) {
  std::atomic<std::uint64_t> begun{0};
  OrderedTasks tasks(2, {.first = 0, .stride = 1, .end = 1'000'000}, [&](unsigned, std::uint64_t task) {
    ++begun;
    return std::to_string(task);
  });
  for (std::uint64_t task = 0; task < 5; ++task) EXPECT_EQ(tasks.next(), std::to_string(task));
  std::this_thread::sleep_for(std::chrono::milliseconds(20));
  EXPECT_LE(begun, 5U + 16U);
}

TEST(OrderedTasks, AFailureComesOutOnce) {
  OrderedTasks tasks(2, {.first = 3, .stride = 2, .end = 1000}, [](unsigned, std::uint64_t task) -> std::string {
    if (task == 9) throw std::runtime_error("task 9");
    return "good";
  });
  EXPECT_THROW(
      {
        for (int i = 0; i < 400; ++i) tasks.next();
      },
      std::runtime_error);
}

}  // namespace
}  // namespace knotwork::worker
