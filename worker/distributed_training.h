// Training on several ranks: this thread makes batches of walks (walkers travel by MPI) and draws negatives, the
// courier's thread sees to their rows, training threads train them (batch_pipeline.h). Own rows are changed in place
// all the time, by this rank's threads and by what others push; those of other ranks are replicas (row_courier.h).
//
// All ranks make the same number of batches, since making walks is collective.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "cluster/communicator.h"
#include "embeddings/line.h"
#include "embeddings/negative_sampler.h"
#include "embeddings/skipgram.h"
#include "embeddings/walk.h"
#include "ps/client.h"
#include "worker/graph_distribution.h"
#include "worker/local_training.h"
#include "worker/negative_pool.h"
#include "worker/row_courier.h"
#include "worker/training.h"
#include "worker/training_breaks.h"
#include "worker/training_clock.h"
#include "worker/training_meter.h"
#include "worker/travelling_walks.h"

namespace knotwork::worker {

/// How the work of all ranks is cut into batches that every rank makes.
struct BatchPlan {
  std::uint64_t batches = 0;     ///< the same on all ranks
  std::uint64_t batch_size = 0;  ///< at most so many items of this rank in a batch
};
/// Collective. `items`: what this rank has to do; `largest`: the most that any rank shall do between pull and push.
BatchPlan plan_batches(cluster::Communicator& communicator, std::uint64_t items, std::uint64_t largest);

/// Walks in a batch of each rank: options.batch_walks, or fewer on a graph so small that all ranks together would
/// change a row many times before any hears of the others, and the sum of their changes would overshoot.
std::uint64_t batch_walks_of(const TrainingOptions& options, std::uint64_t node_count, int trainers);

/// The options' consistency with a staleness, chosen if none was given: the better the graph is cut and the larger it
/// is, the more seldom a row is used by a rank that doesn't own it, and the longer a replica is as good as new.
/// `remote_uses_a_batch`: how often a batch of all ranks does so, on average over all rows. `trainers`: ranks that
/// train.
Consistency consistency_of(const TrainingOptions& options, double remote_uses_a_batch, int trainers);

/// Everything that training on several ranks works with; all members outlive the training. A rank that only serves goes
/// through the same motions with no nodes, no walks and no pool of negatives.
struct DistributedJob {
  cluster::Communicator& communicator;
  const DistributedGraph& graph;
  const TrainingOptions& options;
  ps::Client& client;
  ModelRows model;
  ClockTable clocks;
  const embeddings::NegativeSampler& own_negatives;
  TrainingClock& clock;
  TrainingMeter& meter;
  const ProgressCallback& progress;
  /// Null: no snapshots.
  TrainingBreaks* breaks = nullptr;
  /// Number of the first batch: not 0 if a job is resumed.
  std::uint64_t first_batch = 0;

  /// Ranks that train.
  int trainers() const { return communicator.size() - static_cast<int>(options.server_ranks); }
  bool trains() const { return communicator.rank() < trainers(); }
};

/// What it cost to keep ranks together.
struct DistributedCosts {
  RowTraffic rows;
  TravelCounters walkers;
  /// Seconds that training threads had nothing to train, summed over them.
  double waited_seconds = 0;
};

/// Collective. The walks of `schedule`, as train_walks_locally; whole rounds begin with the same one on all ranks.
/// `keep`: subsampling by global node of the whole graph, or empty. The clock counts this rank's walks.
DistributedCosts train_walks_across_ranks(const DistributedJob& job, const WalkSchedule& schedule,
                                          const embeddings::WalkEngine& engine, std::span<const float> keep);

/// Collective. The stars are this rank's. The clock counts them.
DistributedCosts train_stars_across_ranks(const DistributedJob& job, const embeddings::StarSampler& stars,
                                          const embeddings::SkipGramOptions& skipgram, StarSpan stars_left);

}  // namespace knotwork::worker
