// Update rules: see optimizer.h for the formulas.
#include "ps/optimizer.h"

#include <cmath>

namespace knotwork::ps {

namespace {

void sgd_step(std::span<float> row, std::span<const float> gradient, float learning_rate) {
  for (std::size_t c = 0; c < row.size(); ++c) row[c] -= learning_rate * gradient[c];
}

void adagrad_step(float epsilon, std::span<float> row, float& accumulator, std::span<const float> gradient,
                  float learning_rate) {
  float squares = 0;
  for (const float g : gradient) squares += g * g;
  accumulator += squares / static_cast<float>(row.size());
  const float rate = learning_rate / (std::sqrt(accumulator) + epsilon);
  for (std::size_t c = 0; c < row.size(); ++c) row[c] -= rate * gradient[c];
}

void adam_step(const OptimizerSpec& spec, std::span<float> row, std::span<float> state, std::span<const float> gradient,
               float learning_rate) {
  const std::size_t dim = row.size();
  const std::span<float> first = state.first(dim);
  const std::span<float> second = state.subspan(dim, dim);
  float& steps = state[2 * dim];
  steps += 1;  // Exact up to 2^24 steps of one row; by then both corrections are 1.
  const float correction1 = 1 - std::pow(spec.beta1, steps);
  const float correction2 = 1 - std::pow(spec.beta2, steps);
  for (std::size_t c = 0; c < dim; ++c) {
    first[c] = spec.beta1 * first[c] + (1 - spec.beta1) * gradient[c];
    second[c] = spec.beta2 * second[c] + (1 - spec.beta2) * gradient[c] * gradient[c];
    row[c] -= learning_rate * (first[c] / correction1) / (std::sqrt(second[c] / correction2) + spec.epsilon);
  }
}

}  // namespace

std::size_t state_width(const OptimizerSpec& optimizer, std::size_t dim) {
  switch (optimizer.kind) {
    case OptimizerKind::kSgd:
      return 0;
    case OptimizerKind::kAdagrad:
      return 1;
    case OptimizerKind::kAdam:
      return 2 * dim + 1;
  }
  return 0;
}

bool state_is_additive(const OptimizerSpec& optimizer) {
  return optimizer.kind != OptimizerKind::kAdam;
}

void apply_gradient(const OptimizerSpec& optimizer, std::span<float> row, std::span<float> state,
                    std::span<const float> gradient, float learning_rate) {
  switch (optimizer.kind) {
    case OptimizerKind::kSgd:
      return sgd_step(row, gradient, learning_rate);
    case OptimizerKind::kAdagrad:
      return adagrad_step(optimizer.epsilon, row, state[0], gradient, learning_rate);
    case OptimizerKind::kAdam:
      return adam_step(optimizer, row, state, gradient, learning_rate);
  }
}

}  // namespace knotwork::ps
