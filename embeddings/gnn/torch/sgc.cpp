// Simple graph convolution: Wu, Souza, Zhang, Fifty, Yu, Weinberger, "Simplifying graph convolutional networks", ICML
// 2019, equation 8.
//
//   Z = A'^K X W + b,  A' = D^-1/2 (A + I) D^-1/2
//
// A'^K (X W) is the same as (A'^K X) W and much narrower.
#include "embeddings/gnn/torch/models.h"
#include "embeddings/gnn/torch/torch_network.h"

namespace knotwork::embeddings::gnn {
namespace {

class Sgc final : public TorchNetwork {
 public:
  explicit Sgc(const NetworkOptions& options)
      : TorchNetwork(options),
        weight_(add_matrix("linear.weight", options.inputs, options.outputs, true)),
        bias_(add_bias("linear.bias", options.outputs, true)) {}

  std::uint32_t depth() const override { return options().hops; }
  Normalisation normalisation() const override { return Normalisation::kSymmetric; }
  std::uint32_t embedding_columns() const override { return options().outputs; }

 protected:
  at::Tensor run(Pass& pass) const override {
    at::Tensor h = pass.project_inputs(pass.weight(weight_));
    for (std::uint32_t hop = 0; hop < depth(); ++hop) h = pass.aggregate(hop, h);
    return h + pass.weight(bias_);
  }

 private:
  std::size_t weight_;
  std::size_t bias_;
};

}  // namespace

std::unique_ptr<Network> make_sgc(const NetworkOptions& options) {
  return std::make_unique<Sgc>(options);
}

}  // namespace knotwork::embeddings::gnn
