// liblinear's L2R_LR solver behind a dense face.
#include "embeddings/logistic.h"

#include <cmath>
#include <limits>
#include <mutex>
#include <stdexcept>

#include <linear.h>

#include "partition/huge_array.h"

namespace knotwork::embeddings {
namespace {

void print_nothing(const char* /*text*/) {}

/// liblinear reports each iteration on stdout unless told otherwise; the setting is one for the whole process.
void silence_liblinear() {
  static std::once_flag once;
  std::call_once(once, [] { ::set_print_string_function(&print_nothing); });
}

struct ModelDeleter {
  void operator()(model* trained) const { ::free_and_destroy_model(&trained); }
};

}  // namespace

struct LogisticRows::Storage {
  std::size_t rows;
  std::size_t dim;
  std::size_t stride;  // dim values, the constant 1, the end mark
  partition::HugeArray<feature_node> nodes;
};

LogisticRows::LogisticRows(std::size_t rows, std::size_t dim)
    : storage_(new Storage{rows, dim, dim + 2, partition::HugeArray<feature_node>(rows * (dim + 2))}) {
#pragma omp parallel for schedule(static)
  for (std::size_t row = 0; row < rows; ++row) {
    feature_node* position = nodes(row);
    for (std::size_t column = 0; column <= dim; ++column) *position++ = {static_cast<int>(column + 1), 0.0};
    position[-1].value = 1.0;
    position->index = -1;
  }
}

LogisticRows::~LogisticRows() = default;
LogisticRows::LogisticRows(LogisticRows&&) noexcept = default;
LogisticRows& LogisticRows::operator=(LogisticRows&&) noexcept = default;

std::size_t LogisticRows::size() const {
  return storage_->rows;
}

std::size_t LogisticRows::dim() const {
  return storage_->dim;
}

feature_node* LogisticRows::nodes(std::size_t row) const {
  return storage_->nodes.data() + row * storage_->stride;
}

void LogisticRows::set(std::size_t row, std::span<const float> values) {
  feature_node* position = nodes(row);
  for (const float value : values) (position++)->value = value;
}

float LogisticModel::decision(std::span<const float> values) const {
  float sum = 0;
#pragma omp simd reduction(+ : sum)
  for (std::size_t i = 0; i < values.size(); ++i) sum += weights[i] * values[i];
  return sum + bias;
}

LogisticModel train_logistic(const LogisticRows& rows, std::span<const std::uint32_t> selected,
                             std::span<const std::uint8_t> labels, const LogisticOptions& options) {
  if (selected.empty() || selected.size() != labels.size() ||
      selected.size() > static_cast<std::size_t>(std::numeric_limits<int>::max()) || !(options.c > 0) ||
      !(options.tolerance > 0)) {
    throw std::invalid_argument("train_logistic: no rows, or options out of range");
  }
  silence_liblinear();
  std::vector<feature_node*> nodes(selected.size());
  std::vector<double> targets(selected.size());
  std::size_t positives = 0;
  for (std::size_t i = 0; i < selected.size(); ++i) {
    nodes[i] = rows.nodes(selected[i]);
    targets[i] = labels[i] != 0 ? 1.0 : -1.0;
    positives += labels[i] != 0 ? 1 : 0;
  }
  LogisticModel result;
  result.weights.assign(rows.dim(), 0.0F);
  if (positives == 0 || positives == selected.size()) {
    result.bias = (positives == 0 ? -1.0F : 1.0F) * std::numeric_limits<float>::infinity();
    return result;
  }

  const problem task{static_cast<int>(selected.size()), static_cast<int>(rows.dim() + 1), targets.data(), nodes.data(),
                     1.0};
  parameter settings{};
  settings.solver_type = L2R_LR;
  settings.C = options.c;
  settings.eps = options.tolerance;
  const std::unique_ptr<model, ModelDeleter> trained(::train(&task, &settings));
  const double sign = trained->label[0] == 1 ? 1.0 : -1.0;  // w separates label[0] from label[1]
  for (std::size_t i = 0; i < rows.dim(); ++i) result.weights[i] = static_cast<float>(sign * trained->w[i]);
  result.bias = static_cast<float>(sign * trained->w[rows.dim()]);
  return result;
}

}  // namespace knotwork::embeddings
