// Sums of row changes: the same bits for any order and any threads, exact against 64-bit integers, scaled where many
// meet.
#include "worker/row_sums.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <numeric>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include "partition/random.h"

namespace knotwork::worker {
namespace {

constexpr std::size_t kDim = 37;  // no multiple of any vector
constexpr std::size_t kRows = 5;
constexpr std::size_t kChanges = 400;
constexpr std::uint32_t kAll = 1U << 20;

/// A change of a row, between values of very different size.
struct Change {
  std::size_t row;
  std::vector<float> before;
  std::vector<float> after;
  float growth;
};

std::vector<Change> random_changes() {
  std::vector<Change> changes;
  for (std::uint32_t i = 0; i < kChanges; ++i) {
    Change change{.row = i % kRows, .before = {}, .after = {}, .growth = 0};
    for (std::uint32_t column = 0; column < kDim; ++column) {
      const auto random = partition::random_block(1, partition::RandomPurpose::kGenerate, i, column, 0);
      const auto value = partition::unit_float(random[0]) - 0.5F;
      const float step = std::ldexp(partition::unit_float(random[1]) - 0.5F, static_cast<int>(random[2] % 24) - 20);
      change.before.push_back(value);
      change.after.push_back(value + step);
    }
    change.growth = std::ldexp(1.0F, -static_cast<int>(i % 30)) * (1 + 0.1F * static_cast<float>(i % 7));
    changes.push_back(change);
  }
  return changes;
}

void add(RowSums& sums, const Change& change) {
  sums.add(change.row, change.before.data(), change.after.data(), change.growth);
}

std::vector<std::vector<float>> read(const RowSums& sums, std::uint32_t full) {
  std::vector<std::vector<float>> rows(sums.size(), std::vector<float>(kDim + 1));
  for (std::size_t row = 0; row < rows.size(); ++row) sums.scaled(row, full, rows[row].data());
  return rows;
}

std::vector<std::vector<float>> in_order(const std::vector<Change>& changes) {
  RowSums sums(kDim, true);
  sums.reset(kRows);
  for (const Change& change : changes) add(sums, change);
  return read(sums, kAll);
}

TEST(RowSumsTest, sums_are_those_of_integers) {
  const std::vector<Change> changes = random_changes();
  const auto sums = in_order(changes);
  for (std::size_t row = 0; row < kRows; ++row) {
    for (std::size_t column = 0; column < kDim; ++column) {
      std::int64_t steps = 0;
      for (const Change& change : changes) {
        if (change.row != row) continue;
        steps += std::llrint(std::ldexp(static_cast<double>(change.after[column] - change.before[column]), 26));
      }
      EXPECT_EQ(sums[row][column], static_cast<float>(std::ldexp(static_cast<double>(steps), -26)));
    }
    std::int64_t growth = 0;
    for (const Change& change : changes) {
      if (change.row == row) growth += std::llround(std::ldexp(static_cast<double>(change.growth), 36));
    }
    EXPECT_EQ(sums[row][kDim], static_cast<float>(std::ldexp(static_cast<double>(growth), -36)));
  }
}

TEST(RowSumsTest, any_order_and_any_threads_give_the_same_bits) {
  std::vector<Change> changes = random_changes();
  const auto expected = in_order(changes);
  std::reverse(changes.begin(), changes.end());
  EXPECT_EQ(in_order(changes), expected);
  std::rotate(changes.begin(), changes.begin() + 123, changes.end());
  EXPECT_EQ(in_order(changes), expected);

  RowSums sums(kDim, true);
  sums.reset(kRows);
  constexpr std::size_t kThreads = 4;
  {
    std::vector<std::jthread> threads;
    for (std::size_t thread = 0; thread < kThreads; ++thread) {
      threads.emplace_back([&, thread] {
        for (std::size_t i = thread; i < changes.size(); i += kThreads) add(sums, changes[i]);
      });
    }
  }
  EXPECT_EQ(read(sums, kAll), expected);
}

TEST(RowSumsTest, floats_added_in_turn_depend_on_the_order) {
  // Or the tests above would show nothing.
  const std::vector<Change> changes = random_changes();
  float forwards = 0;
  float backwards = 0;
  for (std::size_t i = 0; i < changes.size(); ++i) {
    forwards += changes[i].after[0] - changes[i].before[0];
    const Change& last = changes[changes.size() - 1 - i];
    backwards += last.after[0] - last.before[0];
  }
  EXPECT_NE(forwards, backwards);
}

TEST(RowSumsTest, packed_sums_of_two_ranks_are_those_of_one) {
  const std::vector<Change> changes = random_changes();
  RowSums owner(kDim, true);
  RowSums other(kDim, true);
  owner.reset(kRows - 1);
  other.reset(kRows);
  for (std::size_t i = 0; i < changes.size(); ++i) {
    // The owner itself has nothing of the last row.
    const bool is_owners = i % 3 == 0 && changes[i].row != kRows - 1;
    add(is_owners ? owner : other, changes[i]);
  }
  owner.grow(kRows);
  for (std::size_t row = 0; row < kRows; ++row) {
    cluster::Bytes packed;
    other.pack(row, packed);
    ASSERT_EQ(packed.size(), other.packed_bytes());
    owner.add_packed(row, packed);
    EXPECT_EQ(owner.count(row), kChanges / kRows);
  }
  EXPECT_EQ(read(owner, kAll), in_order(changes));
}

TEST(RowSumsTest, a_row_that_stays_does_not_count_and_many_changes_are_scaled) {
  RowSums sums(2, false);
  sums.reset(1);
  const std::vector<float> before = {0.25F, 1.0F};
  const std::vector<float> after = {0.5F, 1.0F};
  for (int i = 0; i < 16; ++i) sums.add(0, before.data(), after.data(), 0);
  for (int i = 0; i < 5; ++i) sums.add(0, after.data(), after.data(), 0);
  EXPECT_EQ(sums.count(0), 16U);
  std::vector<float> change(2);
  sums.scaled(0, 16, change.data());
  EXPECT_EQ(change, (std::vector<float>{4.0F, 0.0F}));
  sums.scaled(0, 4, change.data());
  EXPECT_EQ(change, (std::vector<float>{1.0F, 0.0F}));
  sums.reset(1);
  EXPECT_EQ(sums.count(0), 0U);
}

TEST(RowSumsTest, enormous_changes_are_cut_off) {
  EXPECT_EQ(on_grid(5e6F), kLargestChange);
  EXPECT_EQ(on_grid(-std::numeric_limits<float>::infinity()), -kLargestChange);
  EXPECT_EQ(on_grid(0x1.0p-27F), 0.0);  // halves go to the even multiple
  EXPECT_EQ(on_grid(0x1.8p-26F), 0x1.0p-25);
  EXPECT_EQ(on_grid(-0x1.2p-26F), -0x1.0p-26);
}

}  // namespace
}  // namespace knotwork::worker
