// What is read is the table as it was, whatever other threads change meanwhile. The oracle is a copy made beforehand.
#include "worker/frozen_rows.h"

#include <atomic>
#include <cstring>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

namespace knotwork::worker {
namespace {

constexpr ps::RowIndex kFirst = 100;
constexpr ps::RowIndex kRows = 3000;
constexpr std::size_t kDim = 21;

ps::Table numbered_table(ps::OptimizerKind optimizer) {
  ps::TableSpec spec{.name = "t", .row_count = 5000, .dim = kDim};
  spec.optimizer.kind = optimizer;
  ps::Table table(spec, {kFirst, kFirst + kRows});
  for (ps::RowIndex row = kFirst; row < kFirst + kRows; ++row) {
    for (std::size_t c = 0; c < kDim; ++c) table.row(row)[c] = static_cast<float>(row * 32 + c);
    if (table.state_width() > 0) table.state()[row - kFirst] = -static_cast<float>(row);
  }
  return table;
}

class FrozenRowsTest : public ::testing::TestWithParam<ps::OptimizerKind> {};

TEST_P(FrozenRowsTest, AreReadAsTheyWereWhileTheyChange) {
  ps::Table table = numbered_table(GetParam());
  FrozenRows frozen(table);
  std::atomic<bool> done{false};
  std::atomic<std::uint64_t> changes{0};
  std::vector<std::jthread> changers;
  for (std::uint64_t thread = 0; thread < 2; ++thread) {
    changers.emplace_back([&, thread] {
      // Each has rows of its own, as applying threads do.
      for (std::uint64_t i = thread; !done; i += 2) {
        const ps::RowIndex row = kFirst + i * 7 % kRows / 2 * 2 + thread;
        frozen.before_change(row);
        const std::vector<float> deltas(table.wire_width(table.state_width() > 0), 1.0F);
        table.add({&row, 1}, deltas, table.state_width() > 0);
        ++changes;
      }
    });
  }
  while (changes < 2000) std::this_thread::yield();
  std::vector<float> values(kRows * kDim);
  const auto bytes = std::as_writable_bytes(std::span(values));
  constexpr std::size_t kPiece = 1000;  // Ends within a row, within a float even.
  for (std::size_t at = 0; at < bytes.size(); at += kPiece) {
    frozen.read_values(at, bytes.subspan(at, std::min(kPiece, bytes.size() - at)));
    std::this_thread::yield();
  }
  std::vector<float> states(table.state_width() * kRows);
  if (!states.empty()) frozen.read_state(0, std::as_writable_bytes(std::span(states)));
  done = true;
  changers.clear();
  for (ps::RowIndex row = kFirst; row < kFirst + kRows; ++row) {
    for (std::size_t c = 0; c < kDim; ++c) {
      ASSERT_EQ(values[(row - kFirst) * kDim + c], static_cast<float>(row * 32 + c)) << "row " << row;
    }
    if (!states.empty()) {
      ASSERT_EQ(states[row - kFirst], -static_cast<float>(row));
    }
  }
  EXPECT_GT(frozen.set_aside(), 0U);
  // Everything has been read: nothing is set aside any more.
  const std::size_t before = frozen.set_aside();
  for (ps::RowIndex row = kFirst; row < kFirst + kRows; ++row) frozen.before_change(row);
  EXPECT_EQ(frozen.set_aside(), before);
}

INSTANTIATE_TEST_SUITE_P(Optimizers, FrozenRowsTest,
                         ::testing::Values(ps::OptimizerKind::kSgd, ps::OptimizerKind::kAdagrad));

}  // namespace
}  // namespace knotwork::worker
