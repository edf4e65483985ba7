// Tables, optimizers and row bounds, against plain formulas in double precision.
#include "ps/table.h"

#include <cmath>
#include <cstdint>
#include <numeric>
#include <random>
#include <stdexcept>
#include <thread>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "ps/shard.h"

namespace knotwork::ps {
namespace {

TableSpec spec_of(std::uint64_t rows, std::uint32_t dim, OptimizerKind kind = OptimizerKind::kSgd) {
  return {.name = "t", .row_count = rows, .dim = dim, .optimizer = {.kind = kind}};
}

std::vector<float> random_floats(std::size_t count, unsigned seed) {
  std::mt19937 random(seed);
  std::uniform_real_distribution<float> value(-1, 1);
  std::vector<float> out(count);
  for (float& x : out) x = value(random);
  return out;
}

TEST(Table, LaysRowsOutAsPromised) {
  for (const std::uint32_t dim : {1U, 15U, 16U, 17U, 100U, 128U}) {
    Table table(spec_of(1000, dim), {100, 900});
    EXPECT_EQ(table.stride() % 16, 0U);
    EXPECT_GE(table.stride(), dim);
    EXPECT_LT(table.stride(), dim + 16);
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(table.values()) % 64, 0U);
    EXPECT_EQ(table.row(100), table.values());
    EXPECT_EQ(table.row(101), table.values() + table.stride());
    EXPECT_EQ(table.accumulators(), nullptr);
    const RowIndex row = 500;
    const std::vector<float> delta = random_floats(dim, dim);
    table.add({&row, 1}, delta);
    for (std::size_t c = 0; c < table.stride(); ++c) EXPECT_EQ(table.row(row)[c], c < dim ? delta[c] : 0.0F);
  }
}

TEST(Table, LargeTablesBeginAtAHugePage) {
  const Table table(spec_of(100000, 128), {0, 100000});
  EXPECT_EQ(reinterpret_cast<std::uintptr_t>(table.values()) % (2U << 20), 0U);
  EXPECT_EQ(table.row(99999)[127], 0.0F);
}

TEST(Table, RefusesWhatItCannotHold) {
  EXPECT_THROW(Table(spec_of(10, 0), {0, 10}), std::invalid_argument);
  EXPECT_THROW(Table(spec_of(10, kMaxDim + 1), {0, 10}), std::invalid_argument);
  EXPECT_THROW(Table(spec_of(10, 4), {0, 11}), std::invalid_argument);
  EXPECT_THROW(Table(spec_of(10, 4), {6, 5}), std::invalid_argument);
  Table empty(spec_of(10, 4), {5, 5});
  const RowIndex row = 5;
  std::vector<float> out(4);
  EXPECT_THROW(empty.pull({&row, 1}, out), std::out_of_range);
}

TEST(Table, ARefusedCallChangesNothing) {
  Table table(spec_of(10, 2), {0, 5});
  const std::vector<RowIndex> rows{1, 5};
  const std::vector<float> ones(4, 1.0F);
  EXPECT_THROW(table.add(rows, ones), std::out_of_range);
  EXPECT_THROW(table.apply_gradients(rows, ones, 1), std::out_of_range);
  EXPECT_THROW(table.add(std::span(rows).first(1), ones), std::invalid_argument);
  for (RowIndex row = 0; row < 5; ++row) EXPECT_EQ(table.row(row)[0], 0.0F);
}

TEST(Table, AddsRepeatedRowsEachTime) {
  Table table(spec_of(10, 2), {0, 10});
  const std::vector<RowIndex> rows{3, 3, 7, 3};
  const std::vector<float> deltas{1, 2, 10, 20, 5, 6, 100, 200};
  table.add(rows, deltas);
  std::vector<float> out(4);
  table.pull(std::vector<RowIndex>{7, 3}, out);
  EXPECT_THAT(out, ::testing::ElementsAre(5, 6, 111, 222));
}

TEST(Table, StateTravelsBehindTheRow) {
  Table table(spec_of(10, 3, OptimizerKind::kAdagrad), {4, 8});
  ASSERT_NE(table.accumulators(), nullptr);
  const RowIndex row = 6;
  table.add({&row, 1}, std::vector<float>{1, 2, 3, 4}, true);
  table.add({&row, 1}, std::vector<float>{1, 1, 1, 0.5F}, true);
  std::vector<float> out(4);
  table.pull({&row, 1}, out, true);
  EXPECT_THAT(out, ::testing::ElementsAre(2, 3, 4, 4.5F));
  EXPECT_EQ(table.accumulators()[2], 4.5F);
  Table adam(spec_of(10, 3, OptimizerKind::kAdam), {0, 10});
  EXPECT_EQ(adam.wire_width(true), 3 + 7U);
  EXPECT_THROW(adam.add({&row, 1}, std::vector<float>(10), true), std::invalid_argument);
}

// The three rules written down again in double precision, element by element.
class OptimizerOracle {
 public:
  OptimizerOracle(OptimizerKind kind, std::size_t dim) : kind_(kind), row(dim), first_(dim), second_(dim) {}

  void step(std::span<const float> gradient, double rate) {
    const double epsilon = 1e-8F;
    const double beta1 = 0.9F;
    const double beta2 = 0.999F;
    ++steps_;
    double mean_square = 0;
    for (const double g : gradient) mean_square += g * g / static_cast<double>(gradient.size());
    sum_ += mean_square;
    for (std::size_t c = 0; c < row.size(); ++c) {
      const double g = gradient[c];
      first_[c] = beta1 * first_[c] + (1 - beta1) * g;
      second_[c] = beta2 * second_[c] + (1 - beta2) * g * g;
      if (kind_ == OptimizerKind::kSgd) row[c] -= rate * g;
      if (kind_ == OptimizerKind::kAdagrad) row[c] -= rate * g / (std::sqrt(sum_) + epsilon);
      if (kind_ == OptimizerKind::kAdam) {
        const double m = first_[c] / (1 - std::pow(beta1, steps_));
        const double v = second_[c] / (1 - std::pow(beta2, steps_));
        row[c] -= rate * m / (std::sqrt(v) + epsilon);
      }
    }
  }

 private:
  OptimizerKind kind_;

 public:
  std::vector<double> row;

 private:
  std::vector<double> first_;
  std::vector<double> second_;
  double sum_ = 0;
  int steps_ = 0;
};

class OptimizerTest : public ::testing::TestWithParam<OptimizerKind> {};

TEST_P(OptimizerTest, FollowsItsFormula) {
  constexpr std::size_t kDim = 19;
  Table table(spec_of(5, kDim, GetParam()), {0, 5});
  OptimizerOracle oracle(GetParam(), kDim);
  const RowIndex row = 2;
  for (unsigned step = 0; step < 50; ++step) {
    const std::vector<float> gradient = random_floats(kDim, step);
    table.apply_gradients({&row, 1}, gradient, 0.05F);
    oracle.step(gradient, 0.05F);
  }
  for (std::size_t c = 0; c < kDim; ++c) EXPECT_NEAR(table.row(row)[c], oracle.row[c], 2e-5) << "column " << c;
  for (std::size_t c = 0; c < kDim; ++c) EXPECT_EQ(table.row(1)[c], 0.0F) << "a row that nobody touched";
}

INSTANTIATE_TEST_SUITE_P(All, OptimizerTest,
                         ::testing::Values(OptimizerKind::kSgd, OptimizerKind::kAdagrad, OptimizerKind::kAdam));

TEST(Table, ConcurrentAddsLoseNothing) {
  Table table(spec_of(8, 16), {0, 8});
  constexpr int kThreads = 4;
  constexpr int kRounds = 3000;
  {
    std::vector<std::jthread> threads;
    for (int t = 0; t < kThreads; ++t) {
      threads.emplace_back([&table] {
        const std::vector<RowIndex> rows{1, 6};
        const std::vector<float> ones(32, 1.0F);
        std::vector<float> seen(32);
        for (int round = 0; round < kRounds; ++round) {
          table.add(rows, ones);
          table.pull(rows, seen);
          // A pull never sees half an add: all columns of a row have had the same number of ones.
          for (int c = 1; c < 16; ++c) ASSERT_EQ(seen[c], seen[0]);
        }
      });
    }
  }
  EXPECT_EQ(table.row(1)[0], kThreads * kRounds);
  EXPECT_EQ(table.row(6)[15], kThreads * kRounds);
}

TEST(Table, HogwildThreadsMayWriteInPlaceMeanwhile) {
  // Not a test of values (that race is intended) but of its documentation: tests/tsan.supp names exactly this.
  Table table(spec_of(4, 16), {0, 4});
  const RowIndex row = 2;
  {
    std::jthread server([&] {
      std::vector<float> out(16);
      for (int round = 0; round < 2000; ++round) {
        table.add({&row, 1}, std::vector<float>(16, 1.0F));
        table.pull({&row, 1}, out);
      }
    });
    for (int round = 0; round < 2000; ++round) {
      for (int c = 0; c < 16; ++c) table.row(row)[c] += 0.0F;
    }
  }
  EXPECT_LE(table.row(row)[0], 2000.0F);
  EXPECT_EQ(table.row(1)[0], 0.0F);
}

TEST(RowBounds, FindsOwnersBesideEmptyServers) {
  const RowBounds bounds({0, 0, 5, 5, 9, 9});
  EXPECT_EQ(bounds.server_count(), 5U);
  for (RowIndex row = 0; row < 9; ++row) {
    EXPECT_TRUE(bounds.range(bounds.owner(row)).contains(row)) << row;
    EXPECT_EQ(bounds.owner(row), row < 5 ? 1U : 3U);
  }
  EXPECT_THROW(RowBounds(std::vector<RowIndex>{1, 5}), std::invalid_argument);
  EXPECT_THROW(RowBounds(std::vector<RowIndex>{0, 5, 4}), std::invalid_argument);
  EXPECT_THROW(RowBounds(std::vector<RowIndex>{0}), std::invalid_argument);
}

}  // namespace
}  // namespace knotwork::ps
