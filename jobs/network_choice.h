// What `embed --method gcn`, `sage`, `gat`, `sgc`, `appnp` and `dagnn` take.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "cluster/communicator.h"
#include "embeddings/gnn/network.h"
#include "embeddings/gnn/weights.h"
#include "jobs/option_set.h"
#include "jobs/snapshot_choice.h"

namespace knotwork::jobs {

/// Options of graph neural networks. Empty ones are resolved by method, to the settings of its paper.
struct NetworkChoice {
  /// File of node labels; empty: links are learnt.
  std::string labels;
  /// File of train, valid and test nodes.
  std::string split;
  std::optional<std::uint32_t> layers;
  std::optional<std::uint32_t> hidden;
  std::optional<std::uint32_t> heads;
  std::optional<std::uint32_t> output_heads;
  std::optional<std::uint32_t> hops;
  std::optional<double> alpha;
  std::optional<double> dropout;
  std::optional<double> attention_dropout;
  std::optional<double> weight_decay;
  std::optional<std::uint32_t> patience;
  /// "backprop", or "forward": each layer from its own local loss (worker/layerwise_training.h).
  std::string training = "backprop";
  /// sage: "mean", "max" or "gcn".
  std::string aggregator = "mean";
  std::optional<bool> normalize_features;
  /// Steps of walks whose nodes are positives of their start; 1: arcs.
  std::uint32_t positive_steps = 1;
  /// Nodes that all pairs of an epoch are told from.
  std::uint32_t shared_negatives = 256;
  /// Where probabilities of labels go; empty: nowhere.
  std::string predictions;
  /// Where the trained network goes; empty: nowhere.
  std::string model;

  /// Mini-batches: seeds in one, neighbours that a node draws in each layer ("10,5", "all"). Neither given: the full
  /// graph.
  std::optional<std::uint32_t> batch;
  std::string fan_outs;
  /// Whether the hottest rows of other processes are cached rather than any; empty: yes.
  std::optional<bool> tiering;

  bool samples() const { return batch || !fan_outs.empty(); }
  bool is_layerwise() const { return training == "forward"; }
  bool learns_links() const { return labels.empty(); }
};

bool is_network(const std::string& method);

void declare(NetworkChoice& choice, OptionSet& set);

/// Fills what was not given with what the method's paper (docs/gnn.md) has, and checks what was. `epochs` and
/// `learning_rate` are those of the embed command. Throws partition::InputError.
void resolve(NetworkChoice& choice, const std::string& method, std::uint32_t& epochs,
             std::optional<double>& learning_rate, const OptionSet& set);

/// As chosen; inputs, outputs, seed and threads are the caller's to fill in. REQUIRES: resolved.
embeddings::gnn::NetworkOptions network_options(const NetworkChoice& choice, const std::string& method);
/// Collective: what a resumed training must have in common with the one before.
AgreedOptions agreed_network_options(const NetworkChoice& choice, const std::string& method,
                                     cluster::Communicator& communicator);
embeddings::gnn::AdamOptions adam_options(const NetworkChoice& choice, const std::string& method, double learning_rate);

}  // namespace knotwork::jobs
