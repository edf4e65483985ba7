// Products and exponentials against plain loops in double.
#include "embeddings/dense_product.h"

#include <cmath>
#include <random>
#include <vector>

#include <gtest/gtest.h>

namespace knotwork::embeddings {
namespace {

std::vector<float> random_floats(std::size_t count, unsigned seed) {
  std::mt19937 random(seed);
  std::uniform_real_distribution<float> unit(-1, 1);
  std::vector<float> values(count);
  for (float& value : values) value = unit(random);
  return values;
}

struct Shape {
  std::size_t rows;
  std::size_t columns;
  std::size_t depth;
};

class DenseProductShapes : public testing::TestWithParam<Shape> {};

TEST_P(DenseProductShapes, IsThatOfPlainLoops) {
  const auto [rows, columns, depth] = GetParam();
  const std::vector<float> left = random_floats(rows * depth, 1);
  const std::vector<float> right = random_floats(depth * columns, 2);
  const std::vector<float> before = random_floats(rows * columns, 3);
  for (const bool transposed : {false, true}) {
    for (const bool adds : {false, true}) {
      std::vector<float> out = before;
      multiply({.rows = rows,
                .columns = columns,
                .depth = depth,
                .left = left.data(),
                .left_row = transposed ? 1 : depth,
                .left_depth = transposed ? rows : 1,
                .right = right.data(),
                .right_depth = columns,
                .out = out.data(),
                .out_row = columns,
                .adds = adds});
      for (std::size_t r = 0; r < rows; ++r) {
        for (std::size_t c = 0; c < columns; ++c) {
          double sum = adds ? before[r * columns + c] : 0;
          for (std::size_t k = 0; k < depth; ++k) {
            sum += static_cast<double>(transposed ? left[k * rows + r] : left[r * depth + k]) * right[k * columns + c];
          }
          ASSERT_NEAR(out[r * columns + c], sum, 1e-5) << r << " " << c << " " << transposed << adds;
        }
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(AllTails, DenseProductShapes,
                         testing::Values(Shape{1, 16, 1}, Shape{2, 32, 5}, Shape{3, 48, 16}, Shape{4, 64, 33},
                                         Shape{5, 80, 7}, Shape{6, 16, 64}, Shape{13, 112, 20}, Shape{18, 64, 0}));

TEST(PanelRows, GivesInnerProducts) {
  constexpr std::size_t kRows = 70;
  constexpr std::size_t kDim = 48;
  const std::vector<float> rows = random_floats(kRows * kDim, 4);
  const std::vector<float> left = random_floats(7 * kDim, 5);
  PanelRows panels(kRows, kDim);
  EXPECT_EQ(PanelRows::padded(kRows), 96U);
  for (std::size_t row = 0; row < kRows; ++row) panels.set(row, std::span(rows).subspan(row * kDim, kDim));
  std::vector<float> out(7 * 64);
  panels.inner_products(left.data(), kDim, 7, 1, 3, out.data(), 64);
  for (std::size_t r = 0; r < 7; ++r) {
    for (std::size_t c = 0; c < 64; ++c) {
      double sum = 0;
      for (std::size_t k = 0; k < kDim && c + 32 < kRows; ++k) {
        sum += static_cast<double>(left[r * kDim + k]) * rows[(c + 32) * kDim + k];
      }
      ASSERT_NEAR(out[r * 64 + c], sum, 1e-5);
    }
  }
}

TEST(WeightedExponentials, AreThoseOfTheLibrary) {
  std::vector<float> values = random_floats(96, 6);
  values[5] = -100;  // vanishes
  const std::vector<float> before = values;
  std::vector<float> weights = random_floats(96, 7);
  weights[9] = 0;
  const float sum = weighted_exponentials(values, weights, 7, 1);
  double expected_sum = 0;
  for (std::size_t i = 0; i < values.size(); ++i) {
    const double expected = weights[i] * std::exp(7.0 * (before[i] - 1.0));
    EXPECT_NEAR(values[i], expected, 1e-5 * std::abs(expected) + 1e-30);
    expected_sum += expected;
  }
  EXPECT_NEAR(sum, expected_sum, 1e-5 * std::abs(expected_sum) + 1e-6);
  EXPECT_EQ(values[5], 0);
  EXPECT_EQ(values[9], 0);
}

}  // namespace
}  // namespace knotwork::embeddings
