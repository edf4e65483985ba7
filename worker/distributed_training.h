// Training on several ranks, batch by batch: walks are made (walkers travel by MPI), the rows they need from other
// ranks are pulled, this rank's threads train the batch, and the changes of those rows are pushed to their owners.
//
// All ranks make the same number of batches, since making walks is collective. Between two batches a remote row is as
// old as its pull; own rows are changed in place all the time, by this rank's threads and by what others push.
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
#include "worker/negative_pool.h"
#include "worker/row_batch.h"
#include "worker/training.h"
#include "worker/training_clock.h"

namespace knotwork::worker {

/// The two roles that rows play in a model; both are the same table in LINE's first order.
struct RowBatches {
  RowBatch& inputs;
  RowBatch& outputs;
};

/// How the work of all ranks is cut into batches that every rank makes.
struct BatchPlan {
  std::uint64_t batches = 0;     ///< the same on all ranks
  std::uint64_t batch_size = 0;  ///< at most so many items of this rank in a batch
};
/// Collective. `items`: what this rank has to do; `largest`: the most that any rank shall do between pull and push.
BatchPlan plan_batches(cluster::Communicator& communicator, std::uint64_t items, std::uint64_t largest);

/// Everything that training on several ranks works with; all members outlive the training.
struct DistributedJob {
  cluster::Communicator& communicator;
  const DistributedGraph& graph;
  const TrainingOptions& options;
  ps::Client& client;
  RowBatches rows;
  NegativePool& negatives;
  TrainingClock& clock;
  const ProgressCallback& progress;
};

/// Collective. All walks of all epochs, as train_walks_locally. `keep`: subsampling by global node of the whole graph,
/// or empty. The clock counts this rank's walks.
void train_walks_across_ranks(DistributedJob job, const embeddings::WalkEngine& engine, std::span<const float> keep);

/// Collective. Stars first_star .. first_star + star_count - 1 are this rank's. The clock counts them.
void train_stars_across_ranks(DistributedJob job, const embeddings::StarSampler& stars,
                              const embeddings::SkipGramOptions& skipgram, std::uint64_t first_star,
                              std::uint64_t star_count);

}  // namespace knotwork::worker
