// `knotwork embed`: a vector for every node.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "jobs/command.h"
#include "jobs/graph_source.h"
#include "jobs/lightgcn_choice.h"
#include "jobs/network_choice.h"
#include "jobs/propagation_choice.h"
#include "jobs/snapshot_choice.h"
#include "jobs/walk_choice.h"

namespace knotwork::jobs {

struct EmbedOptions {
  GraphSource source;
  /// OUT; its ending chooses the format.
  std::string output;
  /// "deepwalk", "node2vec", "line", "fastrp", "rfp", "propagate", "lightgcn", or a network: see network_choice.h.
  std::string method = "deepwalk";
  std::uint32_t dim = 128;
  std::uint32_t epochs = 1;
  std::uint64_t seed = 1;
  std::uint32_t negatives = 5;
  std::uint32_t window = 10;
  /// Consecutive windows of a walk that share their negatives.
  std::uint32_t windows_per_draw = 1;
  /// "walks": pairs of a window of a walk; "ppr": of a node and the ends of walks with restart from it.
  std::string pairs = "walks";
  WalkChoice walk;
  PropagationChoice propagation;
  NetworkChoice network;
  LightGcnChoice lightgcn;
  /// lightgcn: users (softmax) or draws (bpr) of a step; empty until resolved. Networks: see NetworkChoice::batch.
  std::optional<std::uint32_t> batch;
  /// Empty until resolved: 0.025 for sgd, 0.1 for adagrad.
  std::optional<double> learning_rate;
  double min_learning_rate = 1e-4;
  std::string optimizer = "sgd";
  /// word2vec's threshold for frequent nodes; 0: keep all.
  double subsample = 0;
  /// LINE: "1", "2" or "both".
  std::string order = "both";
  /// Parts to cut the graph into; empty: one a rank (or the folder's own).
  std::optional<std::uint32_t> parts;
  std::string partition_method = "metis";
  /// Processes, the last ones, that keep all rows and train nothing.
  std::uint32_t servers = 0;
  /// "asp", "bsp", "ssp:N": worker/consistency.h. Networks: bsp unless given.
  std::string consistency = "asp";
  /// asp: batches that a copy of another process's row may be old; empty: chosen by the size of the graph.
  std::optional<std::uint32_t> staleness;
  /// The same result for any number of processes, threads and parts.
  bool deterministic = false;
  /// Memory of each process for such copies, as parse_bytes reads it.
  std::string replica_memory = "1G";
  SnapshotChoice snapshots;
};

void declare(EmbedOptions& options, OptionSet& set);
void run(const EmbedOptions& options, Session& session);
CommandEntry embed_command();

}  // namespace knotwork::jobs
