// Approximate personalized propagation of neural predictions: Klicpera, Bojchevski, Guennemann, "Predict then
// propagate: graph neural networks meet personalized PageRank", ICLR 2019, equation 5.
//
//   H = perceptron(X),  Z(0) = H,  Z(k+1) = (1 - alpha) A' Z(k) + alpha H,  A' = D^-1/2 (A + I) D^-1/2
#include "embeddings/gnn/torch/models.h"
#include "embeddings/gnn/torch/perceptron.h"

namespace knotwork::embeddings::gnn {
namespace {

class Appnp final : public DecoupledNetwork {
 public:
  explicit Appnp(const NetworkOptions& options) : DecoupledNetwork(options) {}

 protected:
  at::Tensor run(Pass& pass) const override {
    const at::Tensor h = perceptron(pass);
    const double alpha = options().alpha;
    at::Tensor z = h;
    for (std::uint32_t hop = 0; hop < depth(); ++hop)
      z = (1 - alpha) * pass.aggregate(hop, z) + alpha * pass.targets_of(hop, h);
    return z;
  }
};

}  // namespace

std::unique_ptr<Network> make_appnp(const NetworkOptions& options) {
  return std::make_unique<Appnp>(options);
}

}  // namespace knotwork::embeddings::gnn
