#include "worker/layerwise_training.h"

#include <algorithm>
#include <stdexcept>
#include <string>
#include <utility>

#include "embeddings/gnn/local_head.h"

namespace knotwork::worker {
namespace {

namespace gnn = embeddings::gnn;

/// "layers.0.weight" of a network of one layer is "layers.2.weight" of one of three.
std::string name_in_layer(const std::string& name, std::uint32_t layer) {
  constexpr std::string_view kAlone = "layers.0.";
  if (!name.starts_with(kAlone)) throw std::invalid_argument(name + " is not a parameter of a layer");
  return "layers." + std::to_string(layer) + "." + name.substr(kAlone.size());
}

/// Writes the weights of a layer that was trained alone to their places in the whole network.
void put_layer(std::span<const gnn::Parameter> alone, std::span<const float> trained, std::uint32_t layer,
               std::span<const gnn::Parameter> whole, std::span<float> weights) {
  for (const gnn::Parameter& parameter : alone) {
    const auto at = std::ranges::find(whole, name_in_layer(parameter.name, layer), &gnn::Parameter::name);
    if (at == whole.end() || at->rows != parameter.rows || at->columns != parameter.columns)
      throw std::invalid_argument(parameter.name + " has no place in layer " + std::to_string(layer));
    std::ranges::copy(trained.subspan(parameter.offset, parameter.size()), weights.subspan(at->offset).begin());
  }
}

/// The options of one layer that stands alone.
gnn::NetworkOptions alone(gnn::NetworkOptions network, std::uint32_t layer) {
  const bool is_last = layer + 1 == network.layers;
  if (layer > 0) network.inputs = network.hidden;
  if (!is_last) network.outputs = network.hidden;
  network.layers = 1;
  network.seed += layer;
  return network;
}

}  // namespace

FullGraphReport train_layerwise(const MakeNetwork& make_network, const gnn::NetworkOptions& network,
                                const gnn::Batch& batch, const LabelTask& task, const FullGraphOptions& options,
                                gnn::NetworkState& state, const EpochProgress& progress) {
  if (network.model != gnn::Model::kGcn && network.model != gnn::Model::kSage)
    throw std::invalid_argument("only layers of gcn and sage can be trained one by one");
  const std::unique_ptr<gnn::Network> whole = make_network(network);
  state = gnn::initial_state(whole->parameters(), options.seed);
  FullGraphReport report;
  std::vector<float> rows;  // inputs of the layers behind the first
  for (std::uint32_t layer = 0; layer < network.layers; ++layer) {
    const gnn::NetworkOptions one = alone(network, layer);
    std::unique_ptr<gnn::Network> trained = make_network(one);
    const std::vector<gnn::Parameter> own(trained->parameters().begin(), trained->parameters().end());
    const bool is_last = layer + 1 == network.layers;
    if (!is_last) trained = std::make_unique<gnn::LocalHead>(std::move(trained), one.outputs, network.outputs);
    gnn::Batch inputs{.blocks = {batch.blocks.front()}, .inputs = batch.inputs, .nodes = batch.nodes};
    if (layer > 0) inputs.inputs = {.dense = rows, .columns = one.inputs};
    FullGraphOptions settings = options;
    settings.seed = one.seed;
    if (layer > 0 && options.adam.decays_first_layer_only) settings.adam.weight_decay = 0;
    gnn::NetworkState weights = gnn::initial_state(trained->parameters(), one.seed);
    const auto before = static_cast<std::uint32_t>(report.curve.size());
    const auto numbered = [before](EpochFigures figures) {
      figures.epoch += before;
      return figures;
    };
    FullGraphReport done = train_labels(*trained, inputs, task, settings, weights, [&](const EpochFigures& figures) {
      return !progress || progress(numbered(figures));
    });
    put_layer(own, weights.weights, layer, whole->parameters(), state.weights);
    for (const EpochFigures& figures : done.curve) report.curve.push_back(numbered(figures));
    report.best_epoch = done.best_epoch + before;
    report.valid = done.valid;
    report.test = done.test;
    report.seconds += done.seconds;
    if (is_last) break;
    const gnn::Rows found = trained->forward(weights.weights, inputs, {});
    rows.assign(found.embedding.begin(), found.embedding.end());
  }
  return report;
}

}  // namespace knotwork::worker
