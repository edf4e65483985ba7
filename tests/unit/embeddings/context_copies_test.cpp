// Copies of the rows of a sliding window, against a plain map of what is held.
#include "embeddings/context_copies.h"

#include <map>
#include <random>
#include <vector>

#include <gtest/gtest.h>

#include "embeddings/row_table.h"

namespace knotwork::embeddings {
namespace {

constexpr std::size_t kStride = 16;

struct alignas(64) Line {
  float values[kStride];
};

TEST(ContextCopiesTest, a_row_changes_when_its_last_position_leaves) {
  std::vector<Line> rows(2, Line{});
  ContextCopies copies(3, kStride, false);
  copies.begin(0);
  copies.enter(rows[0].values, nullptr);
  copies.enter(rows[1].values, nullptr);
  copies.enter(rows[0].values, nullptr);
  EXPECT_EQ(copies.row(0), copies.row(2));
  EXPECT_NE(copies.row(0), copies.row(1));
  copies.row(0)[3] = 2;
  copies.leave();
  EXPECT_EQ(0, rows[0].values[3]);
  copies.leave_all();
  EXPECT_EQ(2, rows[0].values[3]);
}

TEST(ContextCopiesTest, what_others_changed_meanwhile_stays) {
  std::vector<Line> rows(1, Line{});
  float accumulator = 1;
  ContextCopies copies(2, kStride, true);
  copies.begin(7);
  copies.enter(rows[0].values, &accumulator);
  EXPECT_EQ(1, *copies.accumulator(7));
  copies.row(7)[0] += 2;
  *copies.accumulator(7) += 3;
  rows[0].values[0] += 10;
  accumulator += 20;
  copies.leave();
  EXPECT_EQ(12, rows[0].values[0]);
  EXPECT_EQ(24, accumulator);
}

TEST(ContextCopiesTest, equal_a_map_of_rows_in_any_walk) {
  std::mt19937 random(1);
  for (const std::size_t node_count : {2, 5, 40, 1000}) {
    std::vector<Line> rows(node_count, Line{});
    std::vector<float> expected(node_count, 0);
    for (const std::size_t window : {1, 3, 21}) {
      ContextCopies copies(window, kStride, false);
      copies.begin(0);
      std::map<std::size_t, std::size_t> held;  // node -> positions
      std::vector<std::size_t> walk(300);
      for (std::size_t position = 0; position < walk.size(); ++position) {
        walk[position] = random() % node_count;
        if (copies.next() - copies.first() == window) {
          if (--held[walk[copies.first()]] == 0) held.erase(walk[copies.first()]);
          copies.leave();
        }
        copies.enter(rows[walk[position]].values, nullptr);
        ++held[walk[position]];
        for (std::size_t at = copies.first(); at < copies.next(); ++at) {
          copies.row(at)[at % kStride] += 1;
          expected[walk[at]] += 1;
        }
        for (std::size_t node = 0; node < node_count; ++node) {
          if (held.contains(node)) continue;
          float sum = 0;
          for (const float value : rows[node].values) sum += value;
          ASSERT_EQ(expected[node], sum) << "node " << node << " at position " << position;
        }
      }
      copies.leave_all();
    }
  }
}

}  // namespace
}  // namespace knotwork::embeddings
