// The multi-layer perceptron that APPNP and DAGNN begin with: H(l+1) = relu(dropout(H(l)) W(l) + b(l)), no relu in the
// last layer.
#pragma once

#include <vector>

#include "embeddings/gnn/torch/torch_network.h"

namespace knotwork::embeddings::gnn {

/// A network that makes outputs of input rows without the graph, and passes those along its arcs.
class DecoupledNetwork : public TorchNetwork {
 public:
  std::uint32_t depth() const final { return options().hops; }
  Normalisation normalisation() const final { return Normalisation::kSymmetric; }
  std::uint32_t embedding_columns() const final { return options().outputs; }

 protected:
  explicit DecoupledNetwork(const NetworkOptions& options);
  /// The perceptron's outputs, one row for each input row.
  at::Tensor perceptron(Pass& pass) const;

 private:
  std::vector<std::size_t> weight_;
  std::vector<std::size_t> bias_;
};

}  // namespace knotwork::embeddings::gnn
