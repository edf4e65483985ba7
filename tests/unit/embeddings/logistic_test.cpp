#include "embeddings/logistic.h"

#include <cmath>
#include <numeric>
#include <stdexcept>
#include <vector>

#include <gtest/gtest.h>

#include "partition/random.h"

namespace knotwork::embeddings {
namespace {

struct Task {
  std::size_t dim;
  std::vector<float> values;
  std::vector<std::uint8_t> labels;
  std::vector<std::uint32_t> all;

  std::span<const float> row(std::size_t i) const { return std::span(values).subspan(i * dim, dim); }
  LogisticRows rows() const {
    LogisticRows result(labels.size(), dim);
    for (std::size_t i = 0; i < labels.size(); ++i) result.set(i, row(i));
    return result;
  }
};

/// Labels drawn from a logistic model of known weights (1, -1, 1, -1, ... and bias 0.5), so classes overlap.
Task overlapping_task(std::size_t count, std::size_t dim) {
  Task task{dim, {}, {}, {}};
  for (std::uint32_t i = 0; i < count; ++i) {
    double decision = 0.5;
    for (std::uint32_t column = 0; column < dim; ++column) {
      const auto block = random_block(5, partition::RandomPurpose::kGenerate, i, column, 0);
      const float value = 4 * (partition::unit_float(block[0]) - 0.5F);
      task.values.push_back(value);
      decision += column % 2 == 0 ? value : -value;
    }
    const auto block = random_block(5, partition::RandomPurpose::kGenerate, i, 0, 1);
    task.labels.push_back(partition::unit_float(block[0]) < 1 / (1 + std::exp(-decision)) ? 1 : 0);
    task.all.push_back(i);
  }
  return task;
}

/// Gradient of  |w|^2 / 2 + C * sum log(1 + exp(-y w'x))  at the model, bias last: zero at the optimum.
std::vector<double> gradient(const Task& task, const LogisticModel& model, double c) {
  std::vector<double> result(model.weights.begin(), model.weights.end());
  result.push_back(model.bias);
  for (std::size_t i = 0; i < task.labels.size(); ++i) {
    double decision = model.bias;
    for (std::size_t column = 0; column < task.dim; ++column) {
      decision += static_cast<double>(model.weights[column]) * task.row(i)[column];
    }
    const double error = 1 / (1 + std::exp(-decision)) - (task.labels[i] != 0 ? 1 : 0);
    for (std::size_t column = 0; column < task.dim; ++column) result[column] += c * error * task.row(i)[column];
    result[task.dim] += c * error;
  }
  return result;
}

double norm(const std::vector<double>& vector) {
  return std::sqrt(std::inner_product(vector.begin(), vector.end(), vector.begin(), 0.0));
}

TEST(LogisticTest, finds_the_point_where_the_gradient_vanishes) {
  const Task task = overlapping_task(800, 6);
  for (const double c : {0.01, 1.0, 50.0}) {
    const LogisticModel model = train_logistic(task.rows(), task.all, task.labels, {.c = c, .tolerance = 1e-6});
    const LogisticModel zero{std::vector<float>(task.dim, 0.0F), 0};
    EXPECT_LT(norm(gradient(task, model, c)), 1e-5 * norm(gradient(task, zero, c))) << "C = " << c;
  }
}

TEST(LogisticTest, recovers_the_weights_that_made_the_labels) {
  const Task task = overlapping_task(20000, 4);
  const LogisticModel model = train_logistic(task.rows(), task.all, task.labels);
  for (std::size_t column = 0; column < 4; ++column) {
    EXPECT_NEAR(model.weights[column], column % 2 == 0 ? 1.0 : -1.0, 0.1);
  }
  EXPECT_NEAR(model.bias, 0.5, 0.1);
}

TEST(LogisticTest, trains_on_the_selected_rows_only_in_any_label_order) {
  Task task = overlapping_task(300, 3);
  task.labels[0] = 0;  // liblinear numbers classes by first appearance; the sign must not follow it
  const std::vector<std::uint32_t> odd_first{1, 3, 5, 7, 9, 11, 0, 2, 4, 6, 8, 10};
  std::vector<std::uint8_t> labels;
  for (const std::uint32_t row : odd_first) labels.push_back(row % 2 == 0 ? 1 : 0);
  LogisticRows rows(12, 1);
  for (std::uint32_t row = 0; row < 12; ++row) {
    const float value = row % 2 == 0 ? 2.0F : -2.0F;
    rows.set(row, std::span(&value, 1));
  }
  const LogisticModel model = train_logistic(rows, odd_first, labels);
  const float two = 2;
  const float minus_two = -2;
  EXPECT_GT(model.decision(std::span(&two, 1)), 1);
  EXPECT_LT(model.decision(std::span(&minus_two, 1)), -1);
}

TEST(LogisticTest, a_separable_task_stays_finite) {
  const std::vector<float> values{-3, -2, 2, 3};
  LogisticRows rows(4, 1);
  for (std::size_t i = 0; i < 4; ++i) rows.set(i, std::span(values).subspan(i, 1));
  const std::vector<std::uint32_t> all{0, 1, 2, 3};
  const std::vector<std::uint8_t> labels{0, 0, 1, 1};
  const LogisticModel model = train_logistic(rows, all, labels, {.c = 1e4});
  EXPECT_TRUE(std::isfinite(model.weights[0]));
  EXPECT_GT(model.weights[0], 1);
}

TEST(LogisticTest, one_class_alone_gives_a_certain_model) {
  LogisticRows rows(2, 3);
  const std::vector<std::uint32_t> all{0, 1};
  const std::vector<float> probe{1, 2, 3};
  EXPECT_LT(train_logistic(rows, all, std::vector<std::uint8_t>{0, 0}).decision(probe), -1e30F);
  EXPECT_GT(train_logistic(rows, all, std::vector<std::uint8_t>{1, 1}).decision(probe), 1e30F);
}

TEST(LogisticTest, refuses_empty_tasks_and_bad_options) {
  LogisticRows rows(2, 3);
  const std::vector<std::uint32_t> all{0, 1};
  const std::vector<std::uint8_t> labels{0, 1};
  EXPECT_THROW(train_logistic(rows, {}, {}), std::invalid_argument);
  EXPECT_THROW(train_logistic(rows, all, labels, {.c = 0}), std::invalid_argument);
  EXPECT_THROW(train_logistic(rows, all, labels, {.c = std::nan("")}), std::invalid_argument);
  EXPECT_THROW(train_logistic(rows, all, labels, {.tolerance = 0}), std::invalid_argument);
}

}  // namespace
}  // namespace knotwork::embeddings
