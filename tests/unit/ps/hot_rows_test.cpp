// The sketch of hot rows against exact counts of the same stream, and the classes of latencies.
#include "ps/hot_rows.h"

#include <algorithm>
#include <map>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include "ps/client_meter.h"

namespace knotwork::ps {
namespace {

/// A stream in which row r comes about as often as 1 / (r + 1), by a small linear generator.
std::vector<RowIndex> zipf_stream(std::size_t length, std::size_t rows) {
  std::vector<double> up_to;
  double sum = 0;
  for (std::size_t r = 0; r < rows; ++r) up_to.push_back(sum += 1.0 / static_cast<double>(r + 1));
  std::vector<RowIndex> stream(length);
  std::uint64_t state = 12345;
  for (RowIndex& row : stream) {
    state = state * 6364136223846793005ULL + 1442695040888963407ULL;
    const double at = sum * static_cast<double>(state >> 11) / static_cast<double>(std::uint64_t{1} << 53);
    row = static_cast<RowIndex>(std::lower_bound(up_to.begin(), up_to.end(), at) - up_to.begin());
  }
  return stream;
}

TEST(HotRows, FindsTheHottestOfAStream) {
  constexpr std::size_t kRows = 20'000;
  const std::vector<RowIndex> stream = zipf_stream(2'000'000, kRows);
  std::map<RowIndex, std::uint64_t> exact;
  for (const RowIndex row : stream) ++exact[row];
  HotRows hot;
  // Messages of all lengths, many of them shorter than the stride.
  std::size_t length = 1;
  for (std::size_t at = 0; at < stream.size(); at += length, length = length % 200 + 1) {
    hot.sample(3, std::span(stream).subspan(at, std::min(length, stream.size() - at)));
  }
  const std::vector<HotRow> top = hot.hottest(5);
  ASSERT_EQ(top.size(), 5U);
  std::uint64_t before = top[0].uses;
  for (const HotRow& row : top) {
    EXPECT_EQ(row.table, 3);
    EXPECT_LT(row.row, 8U);  // The five hottest are rows 0 to 4; neighbours may change places in a sample.
    EXPECT_LE(row.uses, before);
    const auto truth = static_cast<double>(exact[row.row]);
    EXPECT_NEAR(static_cast<double>(row.uses), truth, 0.15 * truth);
    before = row.uses;
  }
  EXPECT_EQ(top[0].row, 0U);
}

TEST(HotRows, TablesAreKeptApartAndNothingIsInvented) {
  HotRows hot;
  EXPECT_TRUE(hot.hottest(10).empty());
  const std::vector<RowIndex> row(HotRows::kStride * 10, 7);
  hot.sample(0, row);
  hot.sample(1, std::span(row).first(HotRows::kStride * 4));
  const std::vector<HotRow> top = hot.hottest(10);
  ASSERT_EQ(top.size(), 2U);
  EXPECT_EQ(top[0].table, 0);
  EXPECT_EQ(top[0].uses, HotRows::kStride * 10);
  EXPECT_EQ(top[1].table, 1);
  EXPECT_EQ(top[1].uses, HotRows::kStride * 4);
}

TEST(HotRows, ThreadsMaySampleAndReadAtOnce) {
  HotRows hot;
  const std::vector<RowIndex> rows = zipf_stream(100'000, 100);
  std::vector<std::jthread> threads;
  for (int t = 0; t < 3; ++t) {
    threads.emplace_back([&] {
      for (int round = 0; round < 20; ++round) {
        hot.sample(0, rows);
        EXPECT_LE(hot.hottest(200).size(), HotRows::kSlots);
      }
    });
  }
  threads.clear();
  EXPECT_EQ(hot.hottest(1)[0].row, 0U);
}

TEST(LatencyHistogram, PutsEachRequestIntoItsClass) {
  LatencyHistogram histogram;
  using std::chrono::microseconds;
  histogram.add(microseconds(10));
  histogram.add(microseconds(50));  // a limit belongs to its class
  histogram.add(microseconds(51));
  histogram.add(microseconds(1'500'000));
  histogram.add(microseconds(60'000'000));
  const LatencyHistogram::Counts counts = histogram.counts();
  EXPECT_EQ(counts.by_class[0], 2U);
  EXPECT_EQ(counts.by_class[1], 1U);
  EXPECT_EQ(counts.by_class[13], 0U);
  EXPECT_EQ(counts.by_class[14], 1U);  // 1 s to 2 s
  EXPECT_EQ(counts.by_class.back(), 1U);
  EXPECT_EQ(counts.total(), 5U);
  EXPECT_NEAR(counts.seconds, 61.500111, 1e-9);
}

}  // namespace
}  // namespace knotwork::ps
