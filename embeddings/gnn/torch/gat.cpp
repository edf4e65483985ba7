// Graph attention network: Velickovic, Cucurull, Casanova, Romero, Lio, Bengio, "Graph attention networks", ICLR 2018,
// equations 1 to 6.
//
//   e_ij = leaky_relu(a_left W h_i + a_right W h_j),  a_ij = softmax of e_ij over j in N(i) and i itself
//   h'_i = elu of the heads' sums over j of a_ij W h_j, side by side;  last layer: their mean, without elu
//
// Dropout on the inputs of each layer and on the coefficients a_ij.
#include "embeddings/gnn/torch/models.h"
#include "embeddings/gnn/torch/torch_network.h"

namespace knotwork::embeddings::gnn {
namespace {

class Gat final : public TorchNetwork {
 public:
  explicit Gat(const NetworkOptions& options) : TorchNetwork(options) {
    std::uint32_t inputs = options.inputs;
    for (std::uint32_t layer = 0; layer < options.layers; ++layer) {
      const bool is_last = layer + 1 == options.layers;
      const std::uint32_t heads = is_last ? options.output_heads : options.heads;
      const std::uint32_t columns = is_last ? options.outputs : options.hidden;
      const std::string name = "layers." + std::to_string(layer);
      layers_.push_back({.heads = heads,
                         .columns = columns,
                         .weight = add_matrix(name + ".weight", inputs, heads * columns, layer == 0),
                         .left = add_matrix(name + ".attention_left", heads, columns, layer == 0),
                         .right = add_matrix(name + ".attention_right", heads, columns, layer == 0),
                         .bias = add_bias(name + ".bias", is_last ? columns : heads * columns, layer == 0)});
      inputs = heads * columns;
    }
  }

  std::uint32_t depth() const override { return options().layers; }
  Normalisation normalisation() const override { return Normalisation::kNone; }
  std::uint32_t embedding_columns() const override {
    return options().layers == 1 ? options().outputs : options().heads * options().hidden;
  }

 protected:
  at::Tensor run(Pass& pass) const override {
    at::Tensor h;
    for (std::uint32_t layer = 0; layer < depth(); ++layer) {
      const bool is_last = layer + 1 == depth();
      const at::Tensor& w = pass.weight(layers_[layer].weight);
      const at::Tensor product = layer == 0 ? pass.project_inputs(w) : project(pass.drop_inputs(h, layer), w);
      const at::Tensor heads = attend(pass, layer, product);
      h = (is_last ? heads.mean(1) : heads.flatten(1)) + pass.weight(layers_[layer].bias);
      if (is_last) break;
      h = at::elu(h);
      pass.keep_embedding(pass.targets_of(depth() - 1, h));
    }
    return h;
  }

 private:
  struct Layer {
    std::uint32_t heads;
    std::uint32_t columns;
    std::size_t weight;
    std::size_t left;
    std::size_t right;
    std::size_t bias;
  };

  /// targets x heads x columns from sources x (heads * columns).
  at::Tensor attend(Pass& pass, std::uint32_t layer, const at::Tensor& product) const {
    const Layer& shape = layers_[layer];
    const at::Tensor h = product.view({product.size(0), shape.heads, shape.columns});
    const at::Tensor left = (pass.targets_of(layer, h) * pass.weight(shape.left)).sum(2);
    const at::Tensor right = (h * pass.weight(shape.right)).sum(2);
    return attend_rows(pass.block(layer), h, left, right, options().negative_slope,
                       pass.key(options().attention_dropout, layer, 1));
  }

  std::vector<Layer> layers_;
};

}  // namespace

std::unique_ptr<Network> make_gat(const NetworkOptions& options) {
  return std::make_unique<Gat>(options);
}

}  // namespace knotwork::embeddings::gnn
