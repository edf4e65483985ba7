// A layer with a judge of its own, so that it can be trained alone.
//
// The layer's outputs go through a relu, as inside a network, and then a linear map to classes that nobody else sees:
//
//   H = relu(layer(X)),   outputs = H P + c
//
// A loss of the outputs is a local loss of the layer: its gradient reaches the layer's weights and P and c, and stops
// there. P and c are trained along and thrown away.
#pragma once

#include <memory>
#include <span>
#include <vector>

#include "embeddings/gnn/network.h"

namespace knotwork::embeddings::gnn {

class LocalHead final : public Network {
 public:
  /// `layer`: a network of one layer with `columns` outputs.
  LocalHead(std::unique_ptr<Network> layer, std::uint32_t columns, std::uint32_t classes);

  /// Those of the layer, then "head.weight" and "head.bias".
  std::span<const Parameter> parameters() const override { return parameters_; }
  std::uint32_t depth() const override { return layer_->depth(); }
  Normalisation normalisation() const override { return layer_->normalisation(); }
  /// Rows::embedding is H.
  std::uint32_t embedding_columns() const override { return columns_; }
  Rows forward(std::span<const float> weights, const Batch& batch, Mode mode) override;
  /// Derivatives by inputs stop at the layer's: `by_inputs` is what the layer says.
  void backward(std::span<const float> by_outputs, std::span<float> by_weights, std::span<float> by_inputs) override;

 private:
  std::unique_ptr<Network> layer_;
  std::uint32_t columns_;
  std::uint32_t classes_;
  std::vector<Parameter> parameters_;
  std::size_t layer_weights_;
  std::vector<float> head_;    // of the last forward()
  std::vector<float> hidden_;  // H
  std::vector<float> outputs_;
  std::vector<float> by_hidden_;
};

}  // namespace knotwork::embeddings::gnn
