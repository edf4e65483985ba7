// What all models have in common: weights as views of one flat array, a pass over a batch, and its derivative by
// LibTorch. A model says which weights it has, and what it makes of a batch.
#pragma once

#include <ATen/ATen.h>
#include <deque>
#include <string>
#include <vector>

#include "embeddings/gnn/network.h"
#include "embeddings/gnn/torch/functions.h"

namespace knotwork::embeddings::gnn {

/// A pass as the models see it: one layer after another. Layers count from 0, from the input side.
class Pass {
 public:
  Pass(const NetworkOptions& options, const Batch& batch, Network::Mode mode, std::vector<at::Tensor> weights,
       at::Tensor dense_inputs);
  // Derivatives keep the addresses of keys.
  Pass(const Pass&) = delete;
  Pass& operator=(const Pass&) = delete;

  const at::Tensor& weight(std::size_t number) const { return weights_[number]; }
  const MessageBlock& block(std::uint32_t layer) const { return *batch_.blocks[layer]; }
  std::uint32_t depth() const { return static_cast<std::uint32_t>(batch_.blocks.size()); }

  /// dropout(X) W for the input rows X.
  at::Tensor project_inputs(const at::Tensor& weight);
  /// dropout(X) where the input rows are dense; undefined where they are sparse.
  at::Tensor dense_inputs();
  /// dropout(h), as the input of `layer`.
  at::Tensor drop_inputs(const at::Tensor& h, std::uint32_t layer);
  /// Rows of block(layer).targets from rows of its sources, by its coefficients.
  at::Tensor aggregate(std::uint32_t layer, const at::Tensor& x) const { return aggregate_rows(block(layer), x); }
  /// The first rows of h: those that are targets of `layer`.
  at::Tensor targets_of(std::uint32_t layer, const at::Tensor& h) const { return h.narrow(0, 0, block(layer).targets); }
  /// For functions that draw dropout themselves; lives as long as the pass.
  const DropoutKey& key(double rate, std::uint32_t layer, std::uint32_t purpose);

  /// Rows that will be the embedding, if they are not the outputs.
  void keep_embedding(const at::Tensor& rows) { embedding_ = rows; }
  const at::Tensor& embedding() const { return embedding_; }

 private:
  const NetworkOptions& options_;
  const Batch& batch_;
  Network::Mode mode_;
  std::vector<at::Tensor> weights_;
  at::Tensor dense_inputs_;
  at::Tensor embedding_;
  std::deque<DropoutKey> keys_;
};

class TorchNetwork : public Network {
 public:
  std::span<const Parameter> parameters() const final { return parameters_; }
  Rows forward(std::span<const float> weights, const Batch& batch, Mode mode) final;
  void backward(std::span<const float> by_outputs, std::span<float> by_weights, std::span<float> by_inputs) final;

 protected:
  explicit TorchNetwork(const NetworkOptions& options) : options_(options) {}

  const NetworkOptions& options() const { return options_; }
  /// Declares the next weight and returns its number. To be called by constructors.
  std::size_t add_matrix(const std::string& name, std::uint32_t rows, std::uint32_t columns,
                         bool is_first_layer = false);
  std::size_t add_bias(const std::string& name, std::uint32_t columns, bool is_first_layer = false);
  /// Outputs, one row for each target of the last block.
  virtual at::Tensor run(Pass& pass) const = 0;

 private:
  std::size_t add(Parameter parameter);
  void check(std::span<const float> weights, const Batch& batch) const;

  NetworkOptions options_;
  std::vector<Parameter> parameters_;
  std::size_t size_ = 0;
  // Of the latest pass.
  std::unique_ptr<Pass> pass_;
  at::Tensor weights_;
  at::Tensor inputs_;
  at::Tensor outputs_;
  at::Tensor embedding_;
};

}  // namespace knotwork::embeddings::gnn
