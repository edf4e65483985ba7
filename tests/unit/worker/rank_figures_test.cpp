// Figures of ranks: to numbers and back, and sums over those that have been heard of.
#include "worker/rank_figures.h"

#include <gtest/gtest.h>

namespace knotwork::worker {
namespace {

TEST(RankFigures, TravelAsNumbers) {
  RankFigures figures;
  figures.work = 1;
  figures.pairs = 1e15;
  figures.staleness_max = 7;
  const std::vector<double> numbers = numbers_of(figures);
  const auto back = figures_of(numbers);
  ASSERT_TRUE(back);
  EXPECT_EQ(numbers_of(*back), numbers);
  EXPECT_EQ(back->pairs, 1e15);
  EXPECT_EQ(back->staleness_max, 7);
  EXPECT_FALSE(figures_of(std::span(numbers).first(numbers.size() - 1)));
  EXPECT_FALSE(figures_of({}));
}

TEST(RankFigures, SumsLeaveOutRanksNotHeardOf) {
  std::vector<std::optional<RankFigures>> ranks(4);
  for (const std::size_t rank : {0U, 2U, 3U}) {
    RankFigures& one = ranks[rank].emplace();
    one.work = 10.0 * static_cast<double>(rank);
    one.work_in_all = 100;
    one.uses = 50;
    one.remote_uses = 5;
    one.seconds = 4.0 + static_cast<double>(rank);
    one.staleness = rank == 2 ? 9 : 1;
    one.batches = rank == 2 ? 5 : 8 + static_cast<double>(rank);
  }
  const JobFigures job = sum_of(ranks);
  EXPECT_EQ(job.ranks, 3);
  EXPECT_DOUBLE_EQ(job.fraction(), 50.0 / 300);
  EXPECT_DOUBLE_EQ(job.remote_share(), 0.1);
  EXPECT_EQ(job.all.seconds, 7);
  EXPECT_EQ(job.all.staleness, 9);
  EXPECT_EQ(job.slowest.rank, 2);
  EXPECT_EQ(job.slowest.batches, 5);
  EXPECT_EQ(job.slowest.batches_of_fastest, 11);
}

TEST(RankFigures, NothingIsKnownBeforeAnyRankHasSpoken) {
  const JobFigures job = sum_of(std::vector<std::optional<RankFigures>>(2));
  EXPECT_EQ(job.ranks, 0);
  EXPECT_EQ(job.fraction(), 0);
  EXPECT_EQ(job.remote_share(), 0);
}

}  // namespace
}  // namespace knotwork::worker
