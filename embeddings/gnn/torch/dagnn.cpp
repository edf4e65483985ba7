// Deep adaptive graph neural network: Liu, Gao, Ji, "Towards deeper graph neural networks", KDD 2020, equation 8.
//
//   Z = perceptron(X),  H(k) = A'^k Z,  s(k) = logistic(H(k) s + b),  X_out = sum over k = 0 .. K of s(k) H(k)
//
// with one trained vector s for all hops: each node weighs its neighbourhoods by their size. A' as in GCN.
#include "embeddings/gnn/torch/models.h"
#include "embeddings/gnn/torch/perceptron.h"

namespace knotwork::embeddings::gnn {
namespace {

class Dagnn final : public DecoupledNetwork {
 public:
  explicit Dagnn(const NetworkOptions& options)
      : DecoupledNetwork(options),
        score_(add_matrix("score.weight", options.outputs, 1)),
        score_bias_(add_bias("score.bias", 1)) {}

 protected:
  at::Tensor run(Pass& pass) const override {
    at::Tensor h = perceptron(pass);
    at::Tensor sum = scored(pass, pass.targets_of(depth() - 1, h));
    for (std::uint32_t hop = 0; hop < depth(); ++hop) {
      h = pass.aggregate(hop, h);
      sum = sum + scored(pass, pass.targets_of(depth() - 1, h));
    }
    return sum;
  }

 private:
  at::Tensor scored(const Pass& pass, const at::Tensor& h) const {
    return at::sigmoid(project(h, pass.weight(score_)) + pass.weight(score_bias_)) * h;
  }

  std::size_t score_;
  std::size_t score_bias_;
};

}  // namespace

std::unique_ptr<Network> make_dagnn(const NetworkOptions& options) {
  return std::make_unique<Dagnn>(options);
}

}  // namespace knotwork::embeddings::gnn
