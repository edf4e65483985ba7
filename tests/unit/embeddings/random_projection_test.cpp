// The projection's distribution, and that it is a function of (seed, row, column).
#include "embeddings/random_projection.h"

#include <array>
#include <cmath>
#include <stdexcept>
#include <vector>

#include <gtest/gtest.h>

namespace knotwork::embeddings {
namespace {

TEST(RandomProjection, EntriesFollowTheirProbabilities) {
  for (const double s : {1.0, 3.0, 50.0}) {
    constexpr std::size_t kDim = 64;
    constexpr std::uint32_t kRows = 20000;
    const RandomProjection projection(3, s, kDim);
    const float value = static_cast<float>(std::sqrt(s / kDim));
    std::array<double, 3> counts{};
    double lengths = 0;
    std::vector<float> row(kDim);
    for (std::uint32_t node = 0; node < kRows; ++node) {
      projection.fill(node, 0, 1.0F, row);
      for (const float entry : row) {
        ASSERT_TRUE(entry == 0 || entry == value || entry == -value);
        ++counts[entry == 0 ? 0 : entry > 0 ? 1 : 2];
        lengths += static_cast<double>(entry) * entry;
      }
    }
    const double all = static_cast<double>(kRows) * kDim;
    const double share = 1 / (2 * s);
    const double deviation = 5 * std::sqrt(share * (1 - share) / all);
    EXPECT_NEAR(counts[1] / all, share, deviation) << s;
    EXPECT_NEAR(counts[2] / all, share, deviation) << s;
    // Rows have length 1 in expectation.
    EXPECT_NEAR(lengths / kRows, 1, 0.02) << s;
  }
}

TEST(RandomProjection, RowsAreNearlyOrthogonal) {
  constexpr std::size_t kDim = 512;
  const RandomProjection projection(1, 3, kDim);
  std::vector<float> a(kDim);
  std::vector<float> b(kDim);
  double squares = 0;
  constexpr int kPairs = 500;
  for (std::uint32_t i = 0; i < kPairs; ++i) {
    projection.fill(2 * i, 0, 1.0F, a);
    projection.fill(2 * i + 1, 0, 1.0F, b);
    double dot = 0;
    for (std::size_t c = 0; c < kDim; ++c) dot += a[c] * b[c];
    squares += dot * dot;
  }
  // Johnson and Lindenstrauss: the dot product's variance is 1 / dim.
  EXPECT_NEAR(squares / kPairs, 1.0 / kDim, 0.3 / kDim);
}

TEST(RandomProjection, BlocksAreCutsOfTheSameRow) {
  const RandomProjection projection(9, 3, 100);
  std::vector<float> whole(100);
  projection.fill(77, 0, 2.0F, whole);
  for (const std::size_t width : {16U, 20U, 64U}) {
    for (std::size_t first = 0; first < 100; first += width) {
      std::vector<float> part(std::min<std::size_t>(width, 100 - first));
      projection.fill(77, first, 2.0F, part);
      for (std::size_t i = 0; i < part.size(); ++i) ASSERT_EQ(part[i], whole[first + i]);
    }
  }
  std::vector<float> other(100);
  RandomProjection(10, 3, 100).fill(77, 0, 2.0F, other);
  EXPECT_NE(other, whole);
  RandomProjection(9, 3, 100, partition::RandomPurpose::kFeatureProjection).fill(77, 0, 2.0F, other);
  EXPECT_NE(other, whole);
}

TEST(RandomProjection, RefusesWhatIsNone) {
  EXPECT_THROW(RandomProjection(1, 0.5, 8), std::invalid_argument);
  EXPECT_THROW(RandomProjection(1, std::nan(""), 8), std::invalid_argument);
  EXPECT_THROW(RandomProjection(1, 3, 0), std::invalid_argument);
}

}  // namespace
}  // namespace knotwork::embeddings
