// Kernels against dense matrices, and every derivative against finite differences of what it derives, in double.
#include <cmath>
#include <functional>
#include <numeric>

#ifdef _OPENMP
#include <omp.h>
#endif

#include <gtest/gtest.h>

#include "embeddings/gnn/torch/kernels.h"
#include "tests/unit/embeddings/small_networks.h"

namespace knotwork::embeddings::gnn {
namespace {

constexpr std::size_t kColumns = 3;
using Values = std::vector<double>;

double dot(const Values& a, const Values& b) {
  return std::inner_product(a.begin(), a.end(), b.begin(), 0.0);
}

/// Checks `derivative` (of by_y . f(x) by x) place by place.
void expect_derivative(const std::function<Values(const Values&)>& f, Values x, const Values& by_y,
                       const Values& derivative) {
  ASSERT_EQ(x.size(), derivative.size());
  const double step = 1e-6;
  for (std::size_t i = 0; i < x.size(); ++i) {
    const double middle = x[i];
    x[i] = middle + step;
    const double above = dot(f(x), by_y);
    x[i] = middle - step;
    const double below = dot(f(x), by_y);
    x[i] = middle;
    EXPECT_NEAR((above - below) / (2 * step), derivative[i], 1e-7) << "at " << i;
  }
}

/// The coefficients of a block as a matrix, targets x sources, by the header's formulas.
std::vector<Values> matrix_of(const BlockArcs& arcs, Normalisation normalisation) {
  std::vector<Values> matrix(arcs.targets, Values(arcs.sources));
  const auto weight = [&](std::uint64_t arc) { return arcs.weights.empty() ? 1.0 : arcs.weights[arc]; };
  const auto strength = [&](std::uint32_t i) {
    double sum = 0;
    if (i >= arcs.targets) return sum;
    for (std::uint64_t arc = arcs.offsets[i]; arc < arcs.offsets[i + 1]; ++arc) sum += weight(arc);
    return sum;
  };
  const auto degree = [&](std::uint32_t i) { return arcs.degrees.empty() ? strength(i) : arcs.degrees[i]; };
  for (std::uint32_t i = 0; i < arcs.targets; ++i) {
    for (std::uint64_t arc = arcs.offsets[i]; arc < arcs.offsets[i + 1]; ++arc) {
      const std::uint32_t j = arcs.neighbours[arc];
      const double missing = degree(i) / strength(i);
      matrix[i][j] += normalisation == Normalisation::kMean ? weight(arc) / strength(i)
                      : normalisation == Normalisation::kMeanSelf
                          ? weight(arc) * missing / (degree(i) + 1)
                          : weight(arc) * missing / std::sqrt((degree(i) + 1) * (degree(j) + 1));
    }
    if (normalisation != Normalisation::kMean) matrix[i][i] += 1 / (degree(i) + 1);
  }
  return matrix;
}

TEST(GnnKernels, SumsAreProductsWithTheNormalisedMatrix) {
  for (const auto& arcs : {small_arcs(false), small_arcs(true), sampled_arcs()}) {
    for (const auto normalisation : {Normalisation::kSymmetric, Normalisation::kMean, Normalisation::kMeanSelf}) {
      const MessageBlock block = make_block(arcs, normalisation);
      const auto matrix = matrix_of(arcs, normalisation);
      const Values x = some_values<double>(arcs.sources * kColumns, 1);
      Values y(arcs.targets * kColumns);
      aggregate<double>(block, x, kColumns, y);
      for (std::uint32_t i = 0; i < arcs.targets; ++i) {
        for (std::size_t c = 0; c < kColumns; ++c) {
          double sum = 0;
          for (std::uint32_t j = 0; j < arcs.sources; ++j) sum += matrix[i][j] * x[j * kColumns + c];
          EXPECT_NEAR(sum, y[i * kColumns + c], 1e-6);
        }
      }
      const Values by_y = some_values<double>(y.size(), 2);
      Values by_x(x.size());
      aggregate_backward<double>(block, by_y, kColumns, by_x);
      const auto f = [&](const Values& at) {
        Values result(y.size());
        aggregate<double>(block, at, kColumns, result);
        return result;
      };
      expect_derivative(f, x, by_y, by_x);
    }
  }
}

TEST(GnnKernels, SumsInFloatAreThoseInDouble) {
  const MessageBlock block = make_block(small_arcs(true), Normalisation::kSymmetric);
  for (const std::size_t columns : {1, 7, 16, 37, 64, 128, 200}) {
    const auto x = some_values<float>(kSmallNodes * columns, 12);
    const Values exact(x.begin(), x.end());
    std::vector<float> y(x.size());
    Values expected(x.size());
    aggregate<float>(block, x, columns, y);
    aggregate<double>(block, exact, columns, expected);
    for (std::size_t i = 0; i < y.size(); ++i) ASSERT_NEAR(expected[i], y[i], 1e-6) << columns << " columns, at " << i;
    aggregate_backward<float>(block, x, columns, y);
    aggregate_backward<double>(block, exact, columns, expected);
    for (std::size_t i = 0; i < y.size(); ++i) ASSERT_NEAR(expected[i], y[i], 1e-6) << columns << " columns, at " << i;
  }
}

TEST(GnnKernels, MaximaAndTheirDerivative) {
  for (const auto& arcs : {small_arcs(false), sampled_arcs()}) {
    const MessageBlock block = make_block(arcs, Normalisation::kNone);
    const Values x = some_values<double>(arcs.sources * kColumns, 3);
    Values y(arcs.targets * kColumns);
    std::vector<std::uint64_t> winners(y.size());
    maximum<double>(block, x, kColumns, y, winners);
    for (std::uint32_t i = 0; i < arcs.targets; ++i) {
      for (std::size_t c = 0; c < kColumns; ++c) {
        double most = -2;
        for (std::uint64_t arc = arcs.offsets[i]; arc < arcs.offsets[i + 1]; ++arc)
          most = std::max(most, x[arcs.neighbours[arc] * kColumns + c]);
        EXPECT_EQ(arcs.offsets[i] == arcs.offsets[i + 1] ? 0 : most, y[i * kColumns + c]);
      }
    }
    const Values by_y = some_values<double>(y.size(), 4);
    Values by_x(x.size());
    maximum_backward<double>(block, by_y, winners, kColumns, by_x);
    const auto f = [&](const Values& at) {
      Values result(y.size());
      std::vector<std::uint64_t> unused(y.size());
      maximum<double>(block, at, kColumns, result, unused);
      return result;
    };
    expect_derivative(f, x, by_y, by_x);
  }
}

class Attention : public ::testing::TestWithParam<double> {
 protected:
  static constexpr AttentionShape kShape{.heads = 2, .columns = kColumns, .slope = 0.2};

  Values attended(const Values& h, const Values& left, const Values& right) const {
    Values shares((block_.arcs() + block_.targets) * kShape.heads);
    Values y(block_.targets * kShape.heads * kShape.columns);
    attend<double>(block_, kShape, key_, h, left, right, shares, y);
    return y;
  }

  std::vector<std::uint32_t> nodes_ = counted(kSmallNodes);
  DropoutKey key_{.rate = GetParam(), .seed = 7, .step = 3, .tag = 1, .nodes = nodes_};
  MessageBlock block_ = make_block(sampled_arcs(), Normalisation::kNone);
  Values h_ = some_values<double>(kSmallNodes * kShape.heads * kShape.columns, 5);
  Values left_ = some_values<double>(block_.targets * kShape.heads, 6);
  Values right_ = some_values<double>(kSmallNodes * kShape.heads, 7);
};

TEST_P(Attention, DerivativesAreThoseOfFiniteDifferences) {
  const Values by_y = some_values<double>(block_.targets * kShape.heads * kShape.columns, 8);
  Values shares((block_.arcs() + block_.targets) * kShape.heads);
  Values y(by_y.size());
  attend<double>(block_, kShape, key_, h_, left_, right_, shares, y);
  Values by_h(h_.size());
  Values by_left(left_.size());
  Values by_right(right_.size());
  attend_backward<double>(block_, kShape, key_, h_, left_, right_, shares, by_y, by_h, by_left, by_right);
  expect_derivative([&](const Values& at) { return attended(at, left_, right_); }, h_, by_y, by_h);
  expect_derivative([&](const Values& at) { return attended(h_, at, right_); }, left_, by_y, by_left);
  expect_derivative([&](const Values& at) { return attended(h_, left_, at); }, right_, by_y, by_right);
}

TEST_P(Attention, IsTheMeanWeighedBySoftmax) {
  key_.rate = 0;
  const Values y = attended(h_, left_, right_);
  const BlockArcs arcs = sampled_arcs();
  const std::size_t heads = kShape.heads;
  for (std::uint32_t i = 0; i < arcs.targets; ++i) {
    std::vector<std::uint32_t> from(arcs.neighbours.begin() + static_cast<std::ptrdiff_t>(arcs.offsets[i]),
                                    arcs.neighbours.begin() + static_cast<std::ptrdiff_t>(arcs.offsets[i + 1]));
    from.push_back(i);
    for (std::size_t head = 0; head < heads; ++head) {
      Values shares;
      for (const std::uint32_t j : from) {
        const double score = left_[i * heads + head] + right_[j * heads + head];
        shares.push_back(std::exp(score > 0 ? score : 0.2 * score));
      }
      const double sum = std::accumulate(shares.begin(), shares.end(), 0.0);
      for (std::size_t c = 0; c < kColumns; ++c) {
        double expected = 0;
        for (std::size_t at = 0; at < from.size(); ++at)
          expected += shares[at] / sum * h_[(from[at] * heads + head) * kColumns + c];
        EXPECT_NEAR(expected, y[(i * heads + head) * kColumns + c], 1e-12);
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Dropout, Attention, ::testing::Values(0.0, 0.5));

TEST(GnnKernels, SparseProductsAreDenseOnes) {
  const SparseRows x = sparse_rows(4, {0, 2, 2, 5}, {1, 3, 0, 1, 2}, {2, -1, 0.5F, 1, 3});
  const std::vector<float> dense = {0, 2, 0, -1, 0, 0, 0, 0, 0.5F, 1, 3, 0};
  const auto w = some_values<float>(4 * kColumns, 9);
  std::vector<float> y(3 * kColumns);
  multiply_sparse(x, x.values, w, kColumns, y);
  const auto by_y = some_values<float>(y.size(), 10);
  std::vector<float> by_w(w.size());
  multiply_sparse_backward(x, x.values, by_y, kColumns, by_w);
  for (std::size_t c = 0; c < kColumns; ++c) {
    for (std::size_t i = 0; i < 3; ++i) {
      double sum = 0;
      for (std::size_t k = 0; k < 4; ++k) sum += dense[i * 4 + k] * w[k * kColumns + c];
      EXPECT_NEAR(sum, y[i * kColumns + c], 1e-6);
    }
    for (std::size_t k = 0; k < 4; ++k) {
      double sum = 0;
      for (std::size_t i = 0; i < 3; ++i) sum += dense[i * 4 + k] * by_y[i * kColumns + c];
      EXPECT_NEAR(sum, by_w[k * kColumns + c], 1e-6);
    }
  }
}

TEST(GnnKernels, DropoutKeepsTheMeanAndIsTheSameForSparseRows) {
  constexpr std::uint32_t kRows = 500;
  constexpr std::uint32_t kWide = 41;
  const std::vector<std::uint32_t> nodes = counted(kRows);
  const DropoutKey key{.rate = 0.3, .seed = 1, .step = 2, .tag = 3, .nodes = nodes};
  std::vector<std::uint64_t> offsets(kRows + 1);
  std::vector<std::uint32_t> numbers;
  for (std::uint32_t row = 0; row < kRows; ++row) {
    for (std::uint32_t column = 0; column < kWide; ++column) numbers.push_back(column);
    offsets[row + 1] = numbers.size();
  }
  const std::vector<float> ones(kRows * kWide, 1.0F);
  const SparseRows sparse = sparse_rows(kWide, offsets, numbers, ones);
  std::vector<float> dropped(ones.size());
  std::vector<float> sparse_dropped(ones.size());
  drop<float>(key, ones, kWide, dropped);
  drop_entries(key, sparse, sparse_dropped);
  EXPECT_EQ(dropped, sparse_dropped);
  // The mean is 1 with a standard deviation of sqrt(0.3 / 0.7 / 20500) = 0.0046.
  EXPECT_NEAR(1, std::accumulate(dropped.begin(), dropped.end(), 0.0) / static_cast<double>(dropped.size()), 0.02);
  std::vector<float> other(ones.size());
  drop<float>({.rate = 0.3, .seed = 1, .step = 3, .tag = 3, .nodes = nodes}, ones, kWide, other);
  EXPECT_NE(dropped, other);
}

}  // namespace
}  // namespace knotwork::embeddings::gnn
