// Training whose result is the same, byte by byte, for any number of ranks and threads and any cut of the graph.
//
// All walks of a round stand in one order, a function of (seed, round, original nodes), and are cut into batches by
// place. Within a batch every walk trains on copies of the rows as they were before the batch (bulk-synchronous), and
// owners then add the exact sums of all changes (row_sums.h) at once. Whoever trains a walk, and when: its random
// numbers, its negatives (drawn from all nodes, by original node), its learning rate and the rows it reads are
// functions of its place. LINE's stars likewise. The state between two batches is (options, number of the batch,
// tables).
//
// What is the same takes the same binary and processors with the same vector instructions: the window step adds up in
// the order of their lanes.
#pragma once

#include <cstdint>

#include "cluster/communicator.h"
#include "embeddings/line.h"
#include "embeddings/walk.h"
#include "ps/client.h"
#include "ps/shard.h"
#include "worker/distributed_training.h"
#include "worker/graph_distribution.h"
#include "worker/training.h"
#include "worker/training_breaks.h"
#include "worker/training_clock.h"
#include "worker/training_meter.h"

namespace knotwork::worker {

/// Everything that it works with; all members outlive the training.
struct DeterministicJob {
  cluster::Communicator& communicator;
  const DistributedGraph& graph;
  const TrainingOptions& options;
  ps::Client& client;
  ps::Table& own_inputs;
  ps::TableIndex input_table;
  /// The same as for inputs if there is one table in both roles.
  ps::Table& own_outputs;
  ps::TableIndex output_table;
  TrainingClock& clock;
  TrainingMeter& meter;
  const ProgressCallback& progress;
  /// Null: no snapshots.
  TrainingBreaks* breaks = nullptr;
};

/// Units of all ranks in a batch, if each uses `positions` rows of contexts: few enough that a row is used a few times
/// in a batch, on average. A function of graph and options alone.
std::uint64_t units_in_batch(std::uint64_t node_count, std::uint64_t positions);

/// Collective. All walks of all epochs but the first `done` (a multiple of the batch, or the end of a round), which are
/// in the rows already. The clock counts this rank's walks.
DistributedCosts train_walks_deterministically(const DeterministicJob& job, const embeddings::WalkEngine& engine,
                                               std::uint64_t done);

/// Stars done .. count - 1 of a block; those before are in the rows already. The learning rate is that of stars
/// `before` on, of `all`.
struct StarRange {
  std::uint64_t count = 0;
  std::uint64_t before = 0;
  std::uint64_t all = 0;
  std::uint64_t done = 0;
};

/// Collective. `stars`: of this rank's slice. The clock counts the stars around this rank's nodes.
DistributedCosts train_stars_deterministically(const DeterministicJob& job, const embeddings::StarSampler& stars,
                                               const embeddings::SkipGramOptions& skipgram, const StarRange& range);

}  // namespace knotwork::worker
