// Each worker and each item once, and exceptions come out.
#include "partition/worker_team.h"

#include <atomic>
#include <new>
#include <stdexcept>
#include <vector>

#include <gtest/gtest.h>

namespace knotwork::partition {
namespace {

TEST(WorkerTeamTest, every_worker_and_every_item_comes_once) {
  for (const unsigned workers : {1U, 2U, 5U}) {
    std::vector<std::atomic<int>> calls(workers);
    for_each_worker(workers, [&](unsigned worker) { ++calls[worker]; });
    for (const std::atomic<int>& count : calls) EXPECT_EQ(count, 1);

    std::vector<std::atomic<int>> items(1000);
    std::vector<int> by_worker(workers);  // plain: a worker's calls never overlap
    share_among_workers(workers, items.size(), [&](unsigned worker, std::size_t item) {
      ++items[item];
      ++by_worker[worker];
    });
    int total = 0;
    for (const int count : by_worker) total += count;
    EXPECT_EQ(total, 1000);
    for (const std::atomic<int>& count : items) EXPECT_EQ(count, 1);
  }
}

TEST(WorkerTeamTest, exceptions_come_out) {
  for (const unsigned workers : {1U, 3U}) {
    EXPECT_THROW(for_each_worker(workers, [](unsigned) { throw std::bad_alloc(); }), std::bad_alloc);
    const auto fails_at_7 = [](unsigned, std::size_t item) {
      if (item == 7) throw std::invalid_argument("seven");
    };
    EXPECT_THROW(share_among_workers(workers, 20, fails_at_7), std::invalid_argument);
  }
}

}  // namespace
}  // namespace knotwork::partition
