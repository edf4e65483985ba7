// Shares of rows against the owner of each row, and frames there and back.
#include "ps/row_shares.h"

#include <algorithm>
#include <cstring>
#include <random>
#include <vector>

#include <gtest/gtest.h>

namespace knotwork::ps {
namespace {

// Splits `rows`, checks that each position is in the share of its row's owner exactly once, sends keys and rows through
// frames part by part, and puts the rows back.
void expect_round_trip(const RowBounds& bounds, const std::vector<RowIndex>& rows, RowSplitter& splitter) {
  constexpr std::size_t kWidth = 3;
  std::vector<float> values(rows.size() * kWidth);
  for (std::size_t i = 0; i < values.size(); ++i) values[i] = static_cast<float>(i) + 0.5F;
  std::vector<float> back(values.size());
  std::vector<int> seen(rows.size());
  for (const Share& share : splitter.split(bounds, rows)) {
    for (std::size_t offset = 0; offset < share.count; offset += 2) {
      const Share part = share.part(offset, std::min<std::size_t>(2, share.count - offset));
      const zmq::message_t keys = key_frame(part, rows);
      ASSERT_EQ(keys.size(), part.count * sizeof(RowIndex));
      for (std::size_t i = 0; i < part.count; ++i) {
        RowIndex key = 0;
        std::memcpy(&key, static_cast<const std::byte*>(keys.data()) + i * sizeof key, sizeof key);
        ASSERT_EQ(key, rows[part.position(i)]);
        ASSERT_EQ(bounds.owner(key), share.server);
        ++seen[part.position(i)];
      }
      const std::vector<std::uint32_t> positions =
          part.positions == nullptr ? std::vector<std::uint32_t>()
                                    : std::vector<std::uint32_t>(part.positions, part.positions + part.count);
      scatter_rows(row_frame(part, values, kWidth, RowFormat::kFloat32), positions, part.first, kWidth,
                   RowFormat::kFloat32, back);
    }
  }
  EXPECT_EQ(seen, std::vector<int>(rows.size(), 1));
  EXPECT_EQ(back, values);
}

TEST(RowSharesTest, every_row_goes_to_its_owner_and_back) {
  const RowBounds bounds({0, 5, 5, 40, 100});  // the second server owns nothing
  RowSplitter splitter(4);
  expect_round_trip(bounds, {}, splitter);
  expect_round_trip(bounds, {7, 39, 7, 8}, splitter);             // one owner
  expect_round_trip(bounds, {0, 1, 6, 7, 8, 50, 51}, splitter);   // runs
  expect_round_trip(bounds, {50, 0, 6, 99, 4, 5, 50}, splitter);  // mixed, one repeated
  std::mt19937 random(3);
  for (int round = 0; round < 200; ++round) {
    std::vector<RowIndex> rows(random() % 30);
    for (RowIndex& row : rows) row = random() % 100;
    expect_round_trip(bounds, rows, splitter);
  }
}

}  // namespace
}  // namespace knotwork::ps
