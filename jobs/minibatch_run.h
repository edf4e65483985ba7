// `embed --method sage` and its kin in mini-batches, or across several processes: worker/minibatch_training.h trains.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "jobs/command.h"
#include "jobs/network_run.h"
#include "worker/graph_distribution.h"

namespace knotwork::jobs {

/// Whether the options ask for batches; several processes always need them.
bool wants_minibatches(const NetworkChoice& choice, const Session& session);

/// "10,5", "all" or a mixture, one for each of `layers`; a single one stands for all of them. Throws
/// partition::InputError.
std::vector<std::uint32_t> parse_fan_outs(const std::string& text, std::uint32_t layers);

/// What a run needs beside NetworkRun.
struct MinibatchService {
  /// Memory for features of other processes' nodes.
  std::uint64_t replica_bytes = 0;
  /// Null: no snapshots; else `identity` is the graph's.
  JobSnapshots* snapshots = nullptr;
  worker::SnapshotIdentity identity;
};

/// Collective: trains, writes and reports.
void run_minibatches(const NetworkRun& run, const MinibatchService& service, const worker::DistributedGraph& graph,
                     Session& session);

}  // namespace knotwork::jobs
