#include "embeddings/gnn/local_head.h"

#include <algorithm>
#include <stdexcept>
#include <utility>

namespace knotwork::embeddings::gnn {
namespace {

void add_parameter(std::vector<Parameter>& parameters, const char* name, std::uint32_t rows, std::uint32_t columns,
                   Initialisation initialisation) {
  const std::size_t offset = parameters.back().offset + parameters.back().size();
  parameters.push_back(
      {.name = name, .rows = rows, .columns = columns, .offset = offset, .initialisation = initialisation});
}

}  // namespace

LocalHead::LocalHead(std::unique_ptr<Network> layer, std::uint32_t columns, std::uint32_t classes)
    : layer_(std::move(layer)),
      columns_(columns),
      classes_(classes),
      parameters_(layer_->parameters().begin(), layer_->parameters().end()) {
  add_parameter(parameters_, "head.weight", columns, classes, Initialisation::kGlorot);
  add_parameter(parameters_, "head.bias", 1, classes, Initialisation::kZero);
  layer_weights_ = parameters_[parameters_.size() - 2].offset;
}

Rows LocalHead::forward(std::span<const float> weights, const Batch& batch, Mode mode) {
  const std::size_t head_weights = (std::size_t{columns_} + 1) * classes_;
  if (weights.size() != layer_weights_ + head_weights)
    throw std::invalid_argument("weights do not fit a layer and its head");
  const Rows rows = layer_->forward(weights.first(layer_weights_), batch, mode);
  head_.assign(weights.begin() + static_cast<std::ptrdiff_t>(layer_weights_), weights.end());
  hidden_.assign(rows.outputs.begin(), rows.outputs.end());
  for (float& value : hidden_) value = std::max(value, 0.0F);
  const std::size_t count = hidden_.size() / columns_;
  outputs_.resize(count * classes_);
  const float* const bias = head_.data() + std::size_t{columns_} * classes_;
#pragma omp parallel for
  for (std::size_t row = 0; row < count; ++row) {
    float* const out = &outputs_[row * classes_];
    std::copy_n(bias, classes_, out);
    for (std::size_t k = 0; k < columns_; ++k) {
      const float value = hidden_[row * columns_ + k];
      if (value == 0) continue;
      for (std::size_t c = 0; c < classes_; ++c) out[c] += value * head_[k * classes_ + c];
    }
  }
  return {.outputs = outputs_, .embedding = hidden_};
}

void LocalHead::backward(std::span<const float> by_outputs, std::span<float> by_weights, std::span<float> by_inputs) {
  const std::size_t count = hidden_.size() / columns_;
  if (by_outputs.size() != count * classes_ || by_weights.size() != layer_weights_ + head_.size())
    throw std::invalid_argument("derivatives do not fit a layer and its head");
  const std::span<float> by_head = by_weights.subspan(layer_weights_);
  std::ranges::fill(by_head, 0.0F);
  float* const by_bias = by_head.data() + std::size_t{columns_} * classes_;
  by_hidden_.assign(hidden_.size(), 0);
  for (std::size_t row = 0; row < count; ++row) {
    const auto by_row = by_outputs.subspan(row * classes_, classes_);
    // Most rows have no label, and so no derivative.
    if (std::ranges::all_of(by_row, [](float value) { return value == 0; })) continue;
    for (std::size_t c = 0; c < classes_; ++c) by_bias[c] += by_row[c];
    for (std::size_t k = 0; k < columns_; ++k) {
      const float value = hidden_[row * columns_ + k];
      if (value == 0) continue;  // where the relu is flat
      float sum = 0;
      for (std::size_t c = 0; c < classes_; ++c) {
        by_head[k * classes_ + c] += value * by_row[c];
        sum += head_[k * classes_ + c] * by_row[c];
      }
      by_hidden_[row * columns_ + k] = sum;
    }
  }
  layer_->backward(by_hidden_, by_weights.first(layer_weights_), by_inputs);
}

}  // namespace knotwork::embeddings::gnn
