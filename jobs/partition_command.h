// `knotwork partition`: a graph in parts on disk.
#pragma once

#include <cstdint>
#include <string>

#include "jobs/command.h"
#include "jobs/graph_source.h"
#include "partition/partitioner.h"

namespace knotwork::jobs {

struct PartitionCommandOptions {
  GraphSource source;
  /// The .knot folder to write.
  std::string output;
  std::uint32_t parts = 2;
  /// "metis", "fennel", "hash" or "range".
  std::string method = "metis";
  /// How much larger than the mean the largest part may be.
  double imbalance = 0.03;
  std::uint64_t seed = 1;
  /// Most memory for partitioning beside the graph, in megabytes; 0: no limit.
  std::uint64_t memory_limit = 0;
};

void declare(PartitionCommandOptions& options, OptionSet& set);
void run(const PartitionCommandOptions& options, Session& session);
CommandEntry partition_command();

/// Cuts `opened` (one part) into `options.parts` and renumbers it; says what came out. Used by `embed` as well.
partition::Graph cut_into_parts(const partition::Graph& whole, const partition::PartitionOptions& options,
                                partition::PartitionReport& report, Session& session);

}  // namespace knotwork::jobs
