// Trains a network layer by layer: each from its own local loss, with no derivative through another layer.
//
// Isolated layer-wise training as in Park, Wang, Ahmed and others: "Forward learning of graph neural networks"
// (ForwardGNN), ICLR 2024, with the cross-entropy of a linear map of each layer's rows as local loss
// (embeddings/gnn/local_head.h) instead of their goodness of positive and negative samples. A layer is trained to its
// end, its rows are taken once without dropout, and they are the next one's inputs. The last layer has classes as
// outputs, and is its own judge. Only one layer's activations are ever in memory.
#pragma once

#include <functional>
#include <memory>

#include "embeddings/gnn/network.h"
#include "worker/full_graph_training.h"

namespace knotwork::worker {

using MakeNetwork = std::function<std::unique_ptr<embeddings::gnn::Network>(const embeddings::gnn::NetworkOptions&)>;

/// Trains the network that `network` describes (gcn or sage) on `batch`, whose first block every layer takes;
/// `options.epochs` and `options.patience` are for each layer. Writes the weights of the whole network to `state`. The
/// report's curve has the epochs of all layers, one after the other, numbered through; its scores are those of the
/// whole network. Throws as train_labels(), and std::invalid_argument for a model whose layers can't stand alone.
FullGraphReport train_layerwise(const MakeNetwork& make_network, const embeddings::gnn::NetworkOptions& network,
                                const embeddings::gnn::Batch& batch, const LabelTask& task,
                                const FullGraphOptions& options, embeddings::gnn::NetworkState& state,
                                const EpochProgress& progress);

}  // namespace knotwork::worker
