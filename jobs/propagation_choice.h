// What `embed --method fastrp`, `rfp` and `propagate` take, and how they run.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "jobs/command.h"
#include "worker/graph_distribution.h"

namespace knotwork::jobs {

/// Options of the propagation family. Empty ones are resolved by method and preset.
struct PropagationChoice {
  /// fastrp: "knotwork" or "paper".
  std::string preset = "knotwork";
  /// fastrp: w_1, w_2, ...
  std::vector<double> iteration_weights;
  std::optional<double> beta;
  /// fastrp: s, or "sqrt" for the square root of the number of nodes.
  std::string sparsity;
  double self_weight = 0;
  std::optional<bool> normalize_powers;
  std::optional<bool> standardize;
  /// rfp, propagate: steps. fastrp: as many as weights, and checked against them.
  std::optional<std::uint32_t> powers;
  double self_loop = 1;
  double teleport = 0;
  /// fastrp, propagate: file of node features.
  std::string features;
  double feature_ratio = 0.5;
  /// Blocks in memory: "fp32" or "bf16".
  std::string storage = "fp32";
  /// Bound of each process' memory, as parse_bytes reads it; empty: none.
  std::string memory;
};

bool is_propagation(const std::string& method);

void declare(PropagationChoice& choice, OptionSet& set);

/// Fills what was not given, and checks what was: also that no option of another family of methods was given. Throws
/// partition::InputError.
void resolve(PropagationChoice& choice, const std::string& method, std::uint32_t& dim, const OptionSet& set);

/// What a run needs besides.
struct PropagationRun {
  const PropagationChoice& choice;
  std::string method;
  std::string output;
  std::uint32_t dim;
  std::uint64_t seed;
  bool weighted;
  /// Seconds since the command began are counted from here: std::chrono::steady_clock ticks as seconds.
  double seconds_before;
};

/// Collective: propagates, writes and reports.
void run_propagation(const PropagationRun& run, const worker::DistributedGraph& graph, Session& session);

}  // namespace knotwork::jobs
