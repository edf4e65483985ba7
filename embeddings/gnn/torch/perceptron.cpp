#include "embeddings/gnn/torch/perceptron.h"

namespace knotwork::embeddings::gnn {

DecoupledNetwork::DecoupledNetwork(const NetworkOptions& options) : TorchNetwork(options) {
  for (std::uint32_t layer = 0; layer < options.layers; ++layer) {
    const std::string name = "layers." + std::to_string(layer);
    const std::uint32_t inputs = layer == 0 ? options.inputs : options.hidden;
    const std::uint32_t outputs = layer + 1 == options.layers ? options.outputs : options.hidden;
    weight_.push_back(add_matrix(name + ".weight", inputs, outputs, layer == 0));
    bias_.push_back(add_bias(name + ".bias", outputs, layer == 0));
  }
}

at::Tensor DecoupledNetwork::perceptron(Pass& pass) const {
  at::Tensor h;
  for (std::uint32_t layer = 0; layer < options().layers; ++layer) {
    const at::Tensor& w = pass.weight(weight_[layer]);
    h = (layer == 0 ? pass.project_inputs(w) : project(pass.drop_inputs(h, layer), w)) + pass.weight(bias_[layer]);
    if (layer + 1 < options().layers) h = at::relu(h);
  }
  return h;
}

}  // namespace knotwork::embeddings::gnn
