// Trains a graph neural network on all of the graph at once, on one rank: each epoch is one step over all nodes.
//
// Rows are in the order of degree rank, which no partition changes (partition/ids.h), so the same seed gives the same
// weights however the graph was cut. Arcs of directed graphs carry messages both ways.
//
// With labels, the model that is kept is that of the epoch with the lowest loss on the validation nodes; without, links
// are what is learnt (embeddings/gnn/objective.h), and the last epoch's model is kept.
//
// With NetworkSnapshots, snapshots are taken between two epochs; a resumed training gives the same bytes as one that
// was never stopped.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <vector>

#include "embeddings/gnn/network.h"
#include "embeddings/gnn/objective.h"
#include "embeddings/gnn/weights.h"
#include "partition/graph.h"
#include "partition/symmetric_view.h"
#include "worker/network_snapshots.h"

namespace knotwork::worker {

/// The whole graph as networks take it.
struct FullGraph {
  embeddings::gnn::MessageBlock block;
  /// Original node of each row, and row of each original node.
  std::vector<partition::OriginalNode> nodes;
  std::vector<std::uint32_t> row_of;
};

/// REQUIRES: whole.is_whole().
FullGraph full_graph(const partition::Graph& whole, embeddings::gnn::Normalisation normalisation, bool weighted);

/// Labelled rows by their part in training. Validation and test rows may be none.
struct LabelTask {
  embeddings::gnn::RowLabels train;
  embeddings::gnn::RowLabels valid;
  embeddings::gnn::RowLabels test;
  embeddings::gnn::LabelLoss loss = embeddings::gnn::LabelLoss::kSoftmax;
};

/// Links as the task: positives are arcs of the graph, or nodes that a walk of some steps joins.
struct LinkTask {
  /// Steps of the walks from each node: each node that a walk comes to is a positive of its start. 1: arcs.
  std::uint32_t walk_length = 1;
  /// Positives of each node in each epoch.
  std::uint32_t positives = 1;
  /// Nodes drawn in proportion to degree^0.75, which all pairs of an epoch share.
  std::uint32_t shared_negatives = 256;
  /// What they weigh beside a positive.
  double negative_weight = 5;
};

struct FullGraphOptions {
  embeddings::gnn::AdamOptions adam;
  std::uint32_t epochs = 200;
  /// Epochs without a lower validation loss after which training ends; 0: never.
  std::uint32_t patience = 100;
  std::uint64_t seed = 1;
};

struct EpochFigures {
  std::uint32_t epoch = 0;
  double loss = 0;
  /// With labels and validation nodes.
  double valid_loss = 0;
  double valid_accuracy = 0;
};

struct FullGraphReport {
  std::vector<EpochFigures> curve;
  /// The epoch whose model was kept, from 1.
  std::uint32_t best_epoch = 0;
  embeddings::gnn::LabelScores valid;
  embeddings::gnn::LabelScores test;
  double seconds = 0;
  /// Training was stopped with a snapshot, and `state` is not the result. Whether that snapshot is whole.
  bool stopped = false;
  bool last_snapshot_is_whole = false;
};

/// Called after each epoch. False ends training early.
using EpochProgress = std::function<bool(const EpochFigures&)>;

/// Trains `state` (which may have steps behind it) and leaves the kept model's weights in it. `snapshots`: may be null.
/// Throws partition::InputError if the loss is no number.
FullGraphReport train_labels(embeddings::gnn::Network& network, const embeddings::gnn::Batch& batch,
                             const LabelTask& task, const FullGraphOptions& options,
                             embeddings::gnn::NetworkState& state, const EpochProgress& progress,
                             NetworkSnapshots* snapshots = nullptr);

/// The same for links of `graph`.
FullGraphReport train_links(embeddings::gnn::Network& network, const embeddings::gnn::Batch& batch,
                            const FullGraph& graph, const LinkTask& task, const FullGraphOptions& options,
                            embeddings::gnn::NetworkState& state, const EpochProgress& progress,
                            NetworkSnapshots* snapshots = nullptr);

}  // namespace knotwork::worker
