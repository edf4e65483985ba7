// Graph convolutional network: Kipf, Welling, "Semi-supervised classification with graph convolutional networks",
// ICLR 2017, equations 2 and 9.
//
//   H(l+1) = relu(A' dropout(H(l)) W(l) + b(l)),  A' = D^-1/2 (A + I) D^-1/2,  H(0) = X;  no relu in the last layer
//
// Rows are multiplied by W before they are passed along arcs, since W makes them narrower.
#include "embeddings/gnn/torch/models.h"
#include "embeddings/gnn/torch/torch_network.h"

namespace knotwork::embeddings::gnn {
namespace {

class Gcn final : public TorchNetwork {
 public:
  explicit Gcn(const NetworkOptions& options) : TorchNetwork(options) {
    for (std::uint32_t layer = 0; layer < options.layers; ++layer) {
      const std::string name = "layers." + std::to_string(layer);
      const std::uint32_t inputs = layer == 0 ? options.inputs : options.hidden;
      const std::uint32_t outputs = layer + 1 == options.layers ? options.outputs : options.hidden;
      weight_.push_back(add_matrix(name + ".weight", inputs, outputs, layer == 0));
      bias_.push_back(add_bias(name + ".bias", outputs, layer == 0));
    }
  }

  std::uint32_t depth() const override { return options().layers; }
  Normalisation normalisation() const override { return Normalisation::kSymmetric; }
  std::uint32_t embedding_columns() const override {
    return options().layers == 1 ? options().outputs : options().hidden;
  }

 protected:
  at::Tensor run(Pass& pass) const override {
    at::Tensor h;
    for (std::uint32_t layer = 0; layer < depth(); ++layer) {
      const at::Tensor& w = pass.weight(weight_[layer]);
      const at::Tensor product = layer == 0 ? pass.project_inputs(w) : project(pass.drop_inputs(h, layer), w);
      h = pass.aggregate(layer, product) + pass.weight(bias_[layer]);
      if (layer + 1 == depth()) break;
      h = at::relu(h);
      pass.keep_embedding(pass.targets_of(depth() - 1, h));
    }
    return h;
  }

 private:
  std::vector<std::size_t> weight_;
  std::vector<std::size_t> bias_;
};

}  // namespace

std::unique_ptr<Network> make_gcn(const NetworkOptions& options) {
  return std::make_unique<Gcn>(options);
}

}  // namespace knotwork::embeddings::gnn
