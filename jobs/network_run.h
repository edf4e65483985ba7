// `embed --method gcn` and its kin: train a network on the whole graph, write embedding, predictions and model.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "embeddings/gnn/objective.h"
#include "jobs/command.h"
#include "jobs/graph_source.h"
#include "jobs/network_choice.h"
#include "jobs/snapshot_choice.h"
#include "worker/consistency.h"

namespace knotwork::jobs {

/// What a run needs besides the network's options.
struct NetworkRun {
  const NetworkChoice& choice;
  std::string method;
  std::string output;
  /// File of features; empty: a learnt vector for each node.
  std::string features;
  /// Columns of the embedding where links are learnt.
  std::uint32_t dim;
  std::uint32_t epochs;
  double learning_rate;
  /// Where links are learnt: what all negatives weigh beside a pair.
  std::uint32_t negatives;
  /// How far processes may be apart. The full graph on one process has nobody to wait for.
  worker::Consistency consistency;
  std::uint64_t seed;
  bool weighted;
  /// Seconds since the command began.
  double seconds_before;
};

/// Trains, writes and reports. One process. `snapshots`: null for none.
void run_network(const NetworkRun& run, const OpenedGraph& opened, JobSnapshots* snapshots, Session& session);

/// Writes rows of outputs as probabilities: a header line, then node TAB prediction TAB probability ... `outputs` is
/// by original node. Throws partition::InputError, SystemError.
void write_predictions(const std::string& path, const partition::NodeNames& names,
                       const std::vector<std::string>& labels, embeddings::gnn::LabelLoss loss,
                       std::vector<float> outputs);

/// Rows in the order of original nodes. `row_of`: the row of each.
std::vector<float> by_original_node(std::span<const float> rows, std::size_t columns,
                                    std::span<const std::uint32_t> row_of);

}  // namespace knotwork::jobs
