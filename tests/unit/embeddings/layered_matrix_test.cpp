// Layers on disk: side by side, as weighted sums of unit rows, with columns standardised; against plain double.
#include "embeddings/layered_matrix.h"

#include <cmath>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "embeddings/embedding_file.h"
#include "partition/errors.h"

namespace knotwork::embeddings {
namespace {

// More rows than are merged at a time, and more than a page of each column block.
constexpr std::uint32_t kRows = 9001;
constexpr std::size_t kColumns = 5;

float value(std::uint32_t layer, std::uint32_t row, std::size_t column) {
  if (row % 1000 == 7) return 0;  // rows of zeros
  return std::sin(static_cast<float>(row * (layer + 1) + 31 * column)) + 0.5F;
}

class LayeredMatrixTest : public ::testing::Test {
 protected:
  void SetUp() override {
    folder_ = std::filesystem::temp_directory_path() /
              (std::string("knotwork_layers_") + ::testing::UnitTest::GetInstance()->current_test_info()->name());
    std::filesystem::create_directories(folder_);
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  /// Fills all layers column by column, and reads back what came out.
  Embedding made(const std::string& name, std::uint32_t layers, const LayerMerge& merge, unsigned threads = 2) {
    const std::string path = (folder_ / name).string();
    LayeredMatrix matrix(path, partition::NodeNames::counted(kRows), layers, kColumns, merge, {});
    for (std::size_t column = 0; column < kColumns; ++column) {
      for (std::uint32_t layer = 0; layer < layers; ++layer) {
        for (std::uint32_t row = 0; row < kRows; ++row) matrix.row(layer, row)[column] = value(layer, row, column);
        matrix.release(layer, 0, kRows);
      }
    }
    EXPECT_FALSE(std::filesystem::exists(path));
    matrix.finish(threads);
    return read_embedding(path);
  }

  std::vector<double> unit_sum(std::uint32_t row) {
    std::vector<double> sum(kColumns);
    for (std::uint32_t layer = 0; layer < 2; ++layer) {
      double square = 0;
      for (std::size_t c = 0; c < kColumns; ++c) square += std::pow(value(layer, row, c), 2);
      for (std::size_t c = 0; c < kColumns && square > 0; ++c)
        sum[c] += (layer + 1.5) * value(layer, row, c) / std::sqrt(square);
    }
    return sum;
  }

  std::filesystem::path folder_;
};

TEST_F(LayeredMatrixTest, StandSideBySideWithUnitColumns) {
  const Embedding found = made("side.npy", 3, {.unit_columns = true});
  ASSERT_EQ(found.dim(), 3 * kColumns);
  for (std::size_t column = 0; column < found.dim(); ++column) {
    const auto layer = static_cast<std::uint32_t>(column / kColumns);
    double square = 0;
    for (std::uint32_t row = 0; row < kRows; ++row) square += std::pow(value(layer, row, column % kColumns), 2);
    for (std::uint32_t row = 0; row < kRows; row += 97)
      ASSERT_NEAR(found.row(row)[column], value(layer, row, column % kColumns) / std::sqrt(square), 1e-8);
  }
}

TEST_F(LayeredMatrixTest, AddUpUnitRows) {
  const LayerMerge merge{.weights = {1.5, 2.5}, .unit_rows = true};
  for (const char* name : {"sum.npy", "sum.h5", "sum.bin"}) {
    const Embedding found = made(name, 2, merge);
    ASSERT_EQ(found.dim(), kColumns);
    for (std::uint32_t row = 0; row < kRows; ++row) {
      const std::vector<double> expected = unit_sum(row);
      for (std::size_t c = 0; c < kColumns; ++c) ASSERT_NEAR(found.row(row)[c], expected[c], 1e-6) << name << row;
    }
  }
}

TEST_F(LayeredMatrixTest, StandardiseLeavesZerosOut) {
  const LayerMerge merge{.weights = {1.5, 2.5}, .unit_rows = true, .standardise = true};
  const Embedding found = made("standard.npy", 2, merge);
  for (std::size_t c = 0; c < kColumns; ++c) {
    double sum = 0;
    double square = 0;
    double expected_sum = 0;
    double expected_square = 0;
    double rows = 0;
    for (std::uint32_t row = 0; row < kRows; ++row) {
      if (row % 1000 == 7) {
        ASSERT_EQ(found.row(row)[c], 0.0F);
        continue;
      }
      ++rows;
      sum += found.row(row)[c];
      square += std::pow(found.row(row)[c], 2);
      expected_sum += unit_sum(row)[c];
      expected_square += std::pow(unit_sum(row)[c], 2);
    }
    EXPECT_NEAR(sum / rows, 0, 1e-6);
    EXPECT_NEAR(square / rows, 1, 1e-5);
    const double mean = expected_sum / rows;
    const double deviation = std::sqrt(expected_square / rows - mean * mean);
    EXPECT_NEAR(found.row(3)[c], (unit_sum(3)[c] - mean) / deviation, 1e-5);
  }
}

TEST_F(LayeredMatrixTest, ThreadsDoNotMatter) {
  const LayerMerge merge{.weights = {1.5, 2.5}, .unit_rows = true, .standardise = true};
  const Embedding one = made("one.npy", 2, merge, 1);
  const Embedding three = made("three.npy", 2, merge, 3);
  EXPECT_EQ(std::memcmp(one.values().data(), three.values().data(), one.values().size_bytes()), 0);
}

TEST_F(LayeredMatrixTest, LeavesNothingBehindUnlessFinished) {
  {
    const LayeredMatrix dropped((folder_ / "a.npy").string(), partition::NodeNames::counted(9), 2, 4,
                                {.weights = {1, 2}}, {});
  }
  EXPECT_TRUE(std::filesystem::is_empty(folder_));
  EXPECT_THROW(LayeredMatrix((folder_ / "nowhere/a.npy").string(), partition::NodeNames::counted(9), 1, 4, {}, {}),
               partition::InputError);
  EXPECT_THROW(LayeredMatrix((folder_ / "a.doc").string(), partition::NodeNames::counted(9), 1, 4, {}, {}),
               partition::InputError);
}

}  // namespace
}  // namespace knotwork::embeddings
