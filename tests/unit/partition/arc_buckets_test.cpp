// RowBuckets, ArcBuckets and the rows that are built from them, against plain vectors and maps.
#include "partition/arc_buckets.h"

#include <algorithm>
#include <map>
#include <set>
#include <type_traits>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "partition/distinct_rows.h"
#include "partition/random.h"

namespace knotwork::partition {
namespace {

std::uint32_t random_below(std::uint32_t index, std::uint32_t limit) {
  return bounded(random_block(4, RandomPurpose::kGenerate, index, 0, 0)[0], limit);
}

// Every row lies in the bucket whose range holds it.
void expect_consistent(const RowBuckets& buckets, std::uint32_t row_count) {
  EXPECT_EQ(buckets.first_row(0), 0U);
  EXPECT_EQ(buckets.last_row(buckets.count() - 1), row_count);
  for (std::size_t b = 0; b < buckets.count(); ++b) {
    for (std::uint32_t row = buckets.first_row(b); row < buckets.last_row(b); ++row) {
      ASSERT_EQ(buckets.bucket_of(row), b);
    }
  }
}

TEST(RowBucketsTest, share_the_arcs_about_equally) {
  const std::vector<std::uint32_t> expected(100000, 3);
  const RowBuckets buckets(expected, 1000);
  expect_consistent(buckets, 100000);
  EXPECT_GE(buckets.count(), 200U);
  EXPECT_LE(buckets.count(), 300U);
}

TEST(RowBucketsTest, hubs_no_rows_and_no_arcs) {
  std::vector<std::uint32_t> hub(50, 1);
  hub[0] = 4000000000U;
  expect_consistent(RowBuckets(hub, 10), 50);
  expect_consistent(RowBuckets(std::vector<std::uint32_t>(7), 10), 7);
  const RowBuckets none({}, 10);
  EXPECT_EQ(none.count(), 1U);
  EXPECT_EQ(none.last_row(0), 0U);
}

TEST(RowBucketsTest, a_limit_on_their_number) {
  const std::vector<std::uint32_t> expected(200000, 100);
  const RowBuckets buckets(expected, 1);
  expect_consistent(buckets, 200000);
  EXPECT_LE(buckets.count(), 1025U);
}

template <typename ArcType>
class ArcBucketsTest : public testing::Test {};
using ArcTypes = testing::Types<PlainArc, WeightedArc>;
TYPED_TEST_SUITE(ArcBucketsTest, ArcTypes);

// More arcs than a slab holds, in buckets of very different sizes.
TYPED_TEST(ArcBucketsTest, give_back_what_was_pushed) {
  constexpr std::uint32_t kArcs = 700000;
  constexpr std::uint32_t kBuckets = 9;
  for (const unsigned writers : {1U, 3U}) {
    for (const std::uint64_t expected_arcs : {std::uint64_t{1}, std::uint64_t{kArcs}}) {
      ArcBuckets<TypeParam> arcs(kBuckets + 1, writers, expected_arcs);
      std::vector<std::multiset<std::uint32_t>> pushed(kBuckets + 1);
      for (std::uint32_t i = 0; i < kArcs; ++i) {
        const std::uint32_t bucket = random_below(i, random_below(i + kArcs, kBuckets) + 1);
        TypeParam arc{};
        arc.row = bucket;
        arc.target = i;
        arcs.writer(i % writers).push(bucket, arc);
        pushed[bucket].insert(i);
      }
      for (std::uint32_t b = 0; b <= kBuckets; ++b) {
        std::multiset<std::uint32_t> found;
        arcs.for_each(b, [&](const TypeParam& arc) { found.insert(arc.row == b ? arc.target : kArcs); });
        ASSERT_EQ(arcs.size(b), pushed[b].size());
        ASSERT_TRUE(found == pushed[b]);
      }
    }
  }
}

using PlainRows = std::map<std::uint32_t, std::map<std::uint32_t, double>>;

void expect_rows(const DistinctRows& distinct, PlainRows plain) {
  std::vector<std::uint32_t> incoming(distinct.rows.count());
  for (std::uint32_t row = 0; row < distinct.rows.count(); ++row) {
    ASSERT_EQ(distinct.rows.kept[row], plain[row].size());
    ArcIndex place = distinct.rows.offsets[row];
    for (const auto& [target, weight] : plain[row]) {
      ++incoming[target];
      ASSERT_EQ(distinct.rows.targets[place], target);
      if (!distinct.rows.weights.empty()) {
        ASSERT_FLOAT_EQ(distinct.rows.weights[place], static_cast<float>(weight));
      }
      ++place;
    }
    ASSERT_LE(place, distinct.rows.offsets[row + 1]);
  }
  for (std::uint32_t row = 0; row < distinct.rows.count(); ++row) {
    std::uint32_t counted = 0;
    for (const HugeArray<std::uint32_t>& own : distinct.incoming) counted += own[row];
    ASSERT_EQ(counted, incoming[row]);
  }
}

// Rows of no arc, of one, of tens and of thousands; each arc a few times.
template <typename ArcType>
void compare_rows(unsigned workers) {
  constexpr std::uint32_t kRows = 3000;
  std::vector<std::uint32_t> expected(kRows, 1);
  expected[5] = 6000;
  const RowBuckets buckets(expected, 64);
  ArcBuckets<ArcType> arcs(buckets.count(), 2, 20000);
  PlainRows plain;
  std::uint64_t pushed = 0;
  for (std::uint32_t i = 0; i < 20000; ++i) {
    const std::uint32_t row = i % 3 == 0 ? 5 : random_below(i, i % 3 == 1 ? 40 : kRows);
    const std::uint32_t target = random_below(i + 50000, kRows);
    ArcType arc{};
    arc.row = row;
    arc.target = target;
    if constexpr (std::is_same_v<ArcType, WeightedArc>) arc.weight = 0.25F + static_cast<float>(i % 100);
    const unsigned copies = i % 50 == 0 ? 3 : 1;
    for (unsigned copy = 0; copy < copies; ++copy) {
      arcs.writer(copy % 2).push(buckets.bucket_of(row), arc);
      plain[row][target] += 0.25 + (i % 100);
      ++pushed;
    }
  }
  const DistinctRows distinct = distinct_rows(buckets, std::move(arcs), workers);
  expect_rows(distinct, plain);
  std::uint64_t kept = 0;
  for (const auto& [row, targets] : plain) kept += targets.size();
  EXPECT_EQ(distinct.merged, pushed - kept);
  EXPECT_EQ(distinct.first_rows.size(), workers + 1);
  EXPECT_TRUE(std::is_sorted(distinct.first_rows.begin(), distinct.first_rows.end()));
  EXPECT_EQ(distinct.first_rows.back(), kRows);
}

TEST(DistinctRowsTest, equal_plain_maps_for_any_number_of_workers) {
  for (const unsigned workers : {1U, 2U, 5U}) {
    compare_rows<PlainArc>(workers);
    compare_rows<WeightedArc>(workers);
  }
}

TEST(HugeArrayTest, shrinks_and_moves_without_losing_elements) {
  HugeArray<std::uint32_t> array(1000000);
  array[9] = 7;
  array.shrink(10);
  EXPECT_EQ(array.size(), 10U);
  HugeArray<std::uint32_t> moved(std::move(array));
  array = HugeArray<std::uint32_t>(3);
  EXPECT_EQ(moved.size(), 10U);
  EXPECT_EQ(moved[9], 7U);
  moved = std::move(array);
  EXPECT_EQ(moved.size(), 3U);
}

TEST(HugeArrayTest, forgets_nothing_outside_the_range) {
  HugeArray<std::uint32_t> array(2000000);
  std::fill(array.begin(), array.end(), 1U);
  array.forget(3, 4);
  array.forget(100, 1500000);
  EXPECT_EQ(std::count(array.begin(), array.begin() + 100, 1U), 100);
  EXPECT_EQ(std::count(array.begin() + 1500000, array.end(), 1U), 500000);
}

}  // namespace
}  // namespace knotwork::partition
