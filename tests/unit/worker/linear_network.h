// A network without LibTorch for tests of what is around networks: two layers that pass messages and one matrix,
//   y = B2 B1 x W,   (B x)_i = x_i + sum over j of c_ij x_j
// in plain loops.
#pragma once

#include <stdexcept>
#include <vector>

#include "embeddings/gnn/network.h"

namespace knotwork::worker {

class LinearNetwork final : public embeddings::gnn::Network {
 public:
  LinearNetwork(std::uint32_t inputs, std::uint32_t outputs)
      : inputs_(inputs), outputs_(outputs), parameters_{{.name = "weight", .rows = inputs, .columns = outputs}} {}

  std::span<const embeddings::gnn::Parameter> parameters() const override { return parameters_; }
  std::uint32_t depth() const override { return 2; }
  embeddings::gnn::Normalisation normalisation() const override { return embeddings::gnn::Normalisation::kMean; }
  std::uint32_t embedding_columns() const override { return outputs_; }

  embeddings::gnn::Rows forward(std::span<const float> weights, const embeddings::gnn::Batch& batch,
                                Mode /*mode*/) override {
    if (batch.inputs.dense.size() != std::size_t{batch.blocks[0]->sources} * inputs_ ||
        batch.nodes.size() != batch.blocks[0]->sources || batch.blocks[1]->sources != batch.blocks[0]->targets) {
      throw std::invalid_argument("sizes of a batch");
    }
    batch_ = &batch;
    weights_ = weights;
    passed_ = passed(*batch.blocks[1], passed(*batch.blocks[0], batch.inputs.dense));
    results_.assign(std::size_t{batch.blocks[1]->targets} * outputs_, 0);
    for (std::size_t row = 0; row < batch.blocks[1]->targets; ++row) {
      for (std::size_t i = 0; i < inputs_; ++i) {
        for (std::size_t o = 0; o < outputs_; ++o) {
          results_[row * outputs_ + o] += passed_[row * inputs_ + i] * weights[i * outputs_ + o];
        }
      }
    }
    return {.outputs = results_, .embedding = results_};
  }

  void backward(std::span<const float> by_outputs, std::span<float> by_weights, std::span<float> by_inputs) override {
    std::fill(by_weights.begin(), by_weights.end(), 0.0F);
    std::vector<float> by_passed(passed_.size());
    for (std::size_t row = 0; row < by_outputs.size() / outputs_; ++row) {
      for (std::size_t i = 0; i < inputs_; ++i) {
        for (std::size_t o = 0; o < outputs_; ++o) {
          by_weights[i * outputs_ + o] += passed_[row * inputs_ + i] * by_outputs[row * outputs_ + o];
          by_passed[row * inputs_ + i] += by_outputs[row * outputs_ + o] * weights_[i * outputs_ + o];
        }
      }
    }
    if (by_inputs.empty()) return;
    const std::vector<float> result = passed_back(*batch_->blocks[0], passed_back(*batch_->blocks[1], by_passed));
    std::copy(result.begin(), result.end(), by_inputs.begin());
  }

 private:
  std::vector<float> passed(const embeddings::gnn::MessageBlock& block, std::span<const float> x) const {
    std::vector<float> y(x.begin(), x.begin() + static_cast<std::ptrdiff_t>(std::size_t{block.targets} * inputs_));
    for (std::size_t target = 0; target < block.targets; ++target) {
      for (std::uint64_t arc = block.offsets[target]; arc < block.offsets[target + 1]; ++arc) {
        for (std::size_t c = 0; c < inputs_; ++c) {
          y[target * inputs_ + c] += block.coefficients[arc] * x[block.neighbours[arc] * inputs_ + c];
        }
      }
    }
    return y;
  }
  std::vector<float> passed_back(const embeddings::gnn::MessageBlock& block, const std::vector<float>& by_y) const {
    std::vector<float> by_x(std::size_t{block.sources} * inputs_);
    std::copy(by_y.begin(), by_y.end(), by_x.begin());
    for (std::size_t target = 0; target < block.targets; ++target) {
      for (std::uint64_t arc = block.offsets[target]; arc < block.offsets[target + 1]; ++arc) {
        for (std::size_t c = 0; c < inputs_; ++c) {
          by_x[block.neighbours[arc] * inputs_ + c] += block.coefficients[arc] * by_y[target * inputs_ + c];
        }
      }
    }
    return by_x;
  }

  std::uint32_t inputs_;
  std::uint32_t outputs_;
  std::vector<embeddings::gnn::Parameter> parameters_;
  const embeddings::gnn::Batch* batch_ = nullptr;
  std::span<const float> weights_;
  std::vector<float> passed_;
  std::vector<float> results_;
};

}  // namespace knotwork::worker
