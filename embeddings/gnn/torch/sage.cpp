// GraphSAGE: Hamilton, Ying, Leskovec, "Inductive representation learning on large graphs", NIPS 2017, algorithm 1 and
// section 3.3.
//
//   mean  h'_i = W_self h_i + W_neighbour mean over j in N(i) of h_j + b
//   max   h'_i = W_self h_i + W_neighbour max over j in N(i) of relu(W_pool h_j + b_pool) + b
//   gcn   h'_i = W mean over j in N(i) and i itself of h_j + b
//
// then relu, but in the last layer; there rows are scaled to length 1 on request (line 7 of the algorithm). W_self and
// W_neighbour are the two halves of the paper's matrix for the concatenation of both vectors.
#include "embeddings/gnn/torch/models.h"
#include "embeddings/gnn/torch/torch_network.h"

namespace knotwork::embeddings::gnn {
namespace {

class Sage final : public TorchNetwork {
 public:
  explicit Sage(const NetworkOptions& options) : TorchNetwork(options) {
    for (std::uint32_t layer = 0; layer < options.layers; ++layer) {
      const bool first = layer == 0;
      const std::string name = "layers." + std::to_string(layer);
      const std::uint32_t inputs = first ? options.inputs : options.hidden;
      const std::uint32_t outputs = layer + 1 == options.layers ? options.outputs : options.hidden;
      Layer weights{};
      if (options.aggregator == Aggregator::kMax) {
        weights.pool = add_matrix(name + ".pool.weight", inputs, options.hidden, first);
        weights.pool_bias = add_bias(name + ".pool.bias", options.hidden, first);
      }
      if (options.aggregator != Aggregator::kGcn)
        weights.self = add_matrix(name + ".self.weight", inputs, outputs, first);
      const std::uint32_t message = options.aggregator == Aggregator::kMax ? options.hidden : inputs;
      weights.neighbour = add_matrix(name + ".neighbour.weight", message, outputs, first);
      weights.bias = add_bias(name + ".bias", outputs, first);
      layers_.push_back(weights);
    }
  }

  std::uint32_t depth() const override { return options().layers; }
  Normalisation normalisation() const override {
    if (options().aggregator == Aggregator::kMax) return Normalisation::kNone;
    return options().aggregator == Aggregator::kGcn ? Normalisation::kMeanSelf : Normalisation::kMean;
  }
  std::uint32_t embedding_columns() const override {
    return options().layers == 1 || options().unit_rows ? options().outputs : options().hidden;
  }

 protected:
  at::Tensor run(Pass& pass) const override {
    at::Tensor h;
    for (std::uint32_t layer = 0; layer < depth(); ++layer) {
      // Input rows may be sparse: they are only seen through products then, and x is undefined.
      const at::Tensor x = layer == 0 ? pass.dense_inputs() : pass.drop_inputs(h, layer);
      const Layer& weights = layers_[layer];
      at::Tensor next = messages(pass, layer, x) + pass.weight(weights.bias);
      if (options().aggregator != Aggregator::kGcn) {
        next = next + (x.defined() ? project(pass.targets_of(layer, x), pass.weight(weights.self))
                                   : pass.targets_of(layer, pass.project_inputs(pass.weight(weights.self))));
      }
      h = next;
      if (layer + 1 == depth()) break;
      h = at::relu(h);
      if (!options().unit_rows) pass.keep_embedding(pass.targets_of(depth() - 1, h));
    }
    return options().unit_rows ? h / h.norm(2, {1}, true).clamp_min(1e-12) : h;
  }

 private:
  struct Layer {
    std::size_t pool;
    std::size_t pool_bias;
    std::size_t self;
    std::size_t neighbour;
    std::size_t bias;
  };

  /// Whether it is less work to sum up the rows of x than the rows of x W: in sampled blocks there are many more
  /// sources than targets.
  static bool sums_first(const MessageBlock& block, const at::Tensor& x, const at::Tensor& weight) {
    constexpr double kArcWork = 4;  // Multiply-adds of a product in the time of one of a sum, which waits for memory.
    const auto arcs = static_cast<double>(block.arcs()) * kArcWork;
    const auto inputs = static_cast<double>(weight.size(0));
    const auto outputs = static_cast<double>(weight.size(1));
    return x.defined() && (arcs + block.targets * outputs) * inputs < (arcs + block.sources * inputs) * outputs;
  }

  at::Tensor messages(Pass& pass, std::uint32_t layer, const at::Tensor& x) const {
    const Layer& weights = layers_[layer];
    const auto product = [&](std::size_t weight) {
      return x.defined() ? project(x, pass.weight(weight)) : pass.project_inputs(pass.weight(weight));
    };
    if (options().aggregator == Aggregator::kMax) {
      const at::Tensor pooled = at::relu(product(weights.pool) + pass.weight(weights.pool_bias));
      return project(maximum_rows(pass.block(layer), pooled), pass.weight(weights.neighbour));
    }
    const at::Tensor& weight = pass.weight(weights.neighbour);
    if (sums_first(pass.block(layer), x, weight)) return project(pass.aggregate(layer, x), weight);
    return pass.aggregate(layer, product(weights.neighbour));
  }

  std::vector<Layer> layers_;
};

}  // namespace

std::unique_ptr<Network> make_sage(const NetworkOptions& options) {
  return std::make_unique<Sage>(options);
}

}  // namespace knotwork::embeddings::gnn
