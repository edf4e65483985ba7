#include "embeddings/gnn/torch/torch_network.h"

#include <ATen/core/grad_mode.h>
#include <algorithm>
#include <stdexcept>
#include <utility>

namespace knotwork::embeddings::gnn {
namespace {

/// A view of memory that isn't LibTorch's.
at::Tensor view_of(std::span<const float> values, at::IntArrayRef sizes) {
  return at::from_blob(const_cast<float*>(values.data()), sizes, at::TensorOptions().dtype(at::kFloat));
}

std::span<const float> floats(const at::Tensor& tensor) {
  return {tensor.data_ptr<float>(), static_cast<std::size_t>(tensor.numel())};
}

void copy_gradient(const at::Tensor& leaf, std::span<float> to) {
  const at::Tensor& gradient = leaf.grad();
  if (!gradient.defined()) {
    std::ranges::fill(to, 0.0F);
    return;
  }
  std::ranges::copy(floats(gradient.contiguous()), to.begin());
}

}  // namespace

Pass::Pass(const NetworkOptions& options, const Batch& batch, Network::Mode mode, std::vector<at::Tensor> weights,
           at::Tensor dense_inputs)
    : options_(options),
      batch_(batch),
      mode_(mode),
      weights_(std::move(weights)),
      dense_inputs_(std::move(dense_inputs)) {}

const DropoutKey& Pass::key(double rate, std::uint32_t layer, std::uint32_t purpose) {
  constexpr std::uint32_t kPurposes = 16;
  return keys_.emplace_back(DropoutKey{.rate = mode_.training ? rate : 0,
                                       .seed = options_.seed,
                                       .step = mode_.step,
                                       .tag = layer * kPurposes + purpose,
                                       .nodes = batch_.nodes});
}

at::Tensor Pass::project_inputs(const at::Tensor& weight) {
  const DropoutKey& dropout = key(options_.dropout, 0, 0);
  if (batch_.inputs.sparse != nullptr) return project_sparse(*batch_.inputs.sparse, weight, dropout);
  return project(drop_elements(dense_inputs_, dropout), weight);
}

at::Tensor Pass::dense_inputs() {
  return dense_inputs_.defined() ? drop_elements(dense_inputs_, key(options_.dropout, 0, 0)) : at::Tensor();
}

at::Tensor Pass::drop_inputs(const at::Tensor& h, std::uint32_t layer) {
  return drop_elements(h, key(options_.dropout, layer, 0));
}

std::size_t TorchNetwork::add(Parameter parameter) {
  parameter.offset = size_;
  size_ += parameter.size();
  parameters_.push_back(std::move(parameter));
  return parameters_.size() - 1;
}

std::size_t TorchNetwork::add_matrix(const std::string& name, std::uint32_t rows, std::uint32_t columns,
                                     bool is_first_layer) {
  return add({.name = name, .rows = rows, .columns = columns, .is_first_layer = is_first_layer});
}

std::size_t TorchNetwork::add_bias(const std::string& name, std::uint32_t columns, bool is_first_layer) {
  return add({.name = name,
              .rows = 1,
              .columns = columns,
              .initialisation = Initialisation::kZero,
              .is_first_layer = is_first_layer});
}

void TorchNetwork::check(std::span<const float> weights, const Batch& batch) const {
  const auto rows = batch.blocks.empty() ? 0 : batch.blocks.front()->sources;
  bool fits = weights.size() == size_ && batch.blocks.size() == depth() && batch.nodes.size() == rows &&
              batch.inputs.columns == options_.inputs;
  for (std::size_t layer = 1; layer < batch.blocks.size(); ++layer)
    fits = fits && batch.blocks[layer - 1]->targets == batch.blocks[layer]->sources;
  if (batch.inputs.sparse != nullptr) {
    fits = fits && batch.inputs.sparse->rows() == rows && batch.inputs.sparse->columns == options_.inputs;
  } else {
    fits = fits && batch.inputs.dense.size() == std::size_t{rows} * options_.inputs;
  }
  if (!fits) throw std::invalid_argument("forward: weights, blocks and input rows don't fit together");
}

Rows TorchNetwork::forward(std::span<const float> weights, const Batch& batch, Mode mode) {
  check(weights, batch);
  const at::AutoGradMode derives(mode.training);
  weights_ = view_of(weights, {static_cast<std::int64_t>(weights.size())}).requires_grad_(mode.training);
  inputs_ = at::Tensor();
  if (batch.inputs.sparse == nullptr) {
    inputs_ = view_of(batch.inputs.dense, {static_cast<std::int64_t>(batch.nodes.size()), options_.inputs})
                  .requires_grad_(mode.training && mode.derives_inputs);
  }
  std::vector<at::Tensor> views;
  for (const Parameter& parameter : parameters_) {
    views.push_back(
        weights_.narrow(0, static_cast<std::int64_t>(parameter.offset), static_cast<std::int64_t>(parameter.size()))
            .view({parameter.rows, parameter.columns}));
  }
  pass_ = std::make_unique<Pass>(options_, batch, mode, std::move(views), inputs_);
  outputs_ = run(*pass_).contiguous();
  embedding_ = pass_->embedding().defined() ? pass_->embedding().detach().contiguous() : outputs_;
  return {.outputs = floats(outputs_), .embedding = floats(embedding_)};
}

void TorchNetwork::backward(std::span<const float> by_outputs, std::span<float> by_weights,
                            std::span<float> by_inputs) {
  if (!outputs_.defined() || !outputs_.requires_grad() || by_outputs.size() != floats(outputs_).size() ||
      by_weights.size() != size_ ||
      (!by_inputs.empty() && (!inputs_.defined() || by_inputs.size() != floats(inputs_).size())))
    throw std::invalid_argument("backward: needs forward() for training before it, and derivatives of its rows");
  const at::AutoGradMode derives(true);
  outputs_.backward(view_of(by_outputs, outputs_.sizes()));
  copy_gradient(weights_, by_weights);
  if (!by_inputs.empty()) copy_gradient(inputs_, by_inputs);
}

}  // namespace knotwork::embeddings::gnn
