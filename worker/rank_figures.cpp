#include "worker/rank_figures.h"

#include <algorithm>
#include <array>
#include <bit>

namespace knotwork::worker {

namespace {

constexpr std::size_t kNumbers = sizeof(RankFigures) / sizeof(double);
using Numbers = std::array<double, kNumbers>;

}  // namespace

std::vector<double> numbers_of(const RankFigures& figures) {
  const auto numbers = std::bit_cast<Numbers>(figures);
  return {numbers.begin(), numbers.end()};
}

std::optional<RankFigures> figures_of(std::span<const double> numbers) {
  if (numbers.size() < kNumbers) return std::nullopt;
  Numbers copy{};
  std::copy_n(numbers.begin(), kNumbers, copy.begin());
  return std::bit_cast<RankFigures>(copy);
}

JobFigures sum_of(std::span<const std::optional<RankFigures>> ranks) {
  JobFigures job;
  Numbers sums{};
  RankFigures most;
  for (std::size_t rank = 0; rank < ranks.size(); ++rank) {
    if (!ranks[rank]) continue;
    const RankFigures& one = *ranks[rank];
    const auto numbers = std::bit_cast<Numbers>(one);
    for (std::size_t i = 0; i < kNumbers; ++i) sums[i] += numbers[i];
    most.seconds = std::max(most.seconds, one.seconds);
    most.staleness = std::max(most.staleness, one.staleness);
    most.staleness_max = std::max(most.staleness_max, one.staleness_max);
    if (job.ranks == 0 || one.batches < job.slowest.batches) {
      job.slowest.rank = static_cast<cluster::Rank>(rank);
      job.slowest.batches = one.batches;
    }
    job.slowest.batches_of_fastest = std::max(job.slowest.batches_of_fastest, one.batches);
    ++job.ranks;
  }
  job.all = std::bit_cast<RankFigures>(sums);
  job.all.seconds = most.seconds;
  job.all.staleness = most.staleness;
  job.all.staleness_max = most.staleness_max;
  return job;
}

}  // namespace knotwork::worker
