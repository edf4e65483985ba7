#include "worker/conveyor.h"

#include <algorithm>
#include <utility>

namespace knotwork::worker {

namespace {

/// Nodes of the whole graph from which a rank's windows draw their negatives: at most so many, and so many for each
/// node of a small graph. A node of a small pool is drawn hundreds of times in a row and pushed further away than it
/// ever would be: on github 8,192 lost what walks teach beyond degrees.
constexpr std::uint64_t kMostNegatives = 65'536;
constexpr std::uint64_t kNegativesPerNode = 4;
/// A batch renews one in so many.
constexpr std::uint64_t kPoolLifetime = 128;
/// The pool's rows are refreshed so often in a training, if their staleness allows. A small graph's training has few
/// batches, and a row of its pool is drawn often.
constexpr BatchNumber kPoolRefreshes = 4;
/// Replicas for the pool may take this part of the memory for all.
constexpr std::size_t kPoolPart = 4;
/// Batches underway at a time, if staleness allows: one is trained, others wait for their rows.
constexpr std::size_t kPipelineDepth = 8;
/// Trips whose batches may wait before that. All ranks make a trip together, so that one whose core is slow for a
/// moment would hold up the others with a queue of one trip.
constexpr std::size_t kTripsQueued = 2;

std::size_t affordable_pool(const DistributedJob& job) {
  const std::size_t bytes = ReplicaTable::bytes_per_replica(job.model.own_inputs.dim, true) * 2 * kPoolPart;
  const std::uint64_t nodes = std::min(kMostNegatives, kNegativesPerNode * job.model.node_count);
  return std::clamp<std::uint64_t>(job.options.replica_bytes / bytes, 1, nodes);
}

std::size_t chunk_size(const DistributedJob& job) {
  return job.trains() ? (affordable_pool(job) + kPoolLifetime - 1) / kPoolLifetime : 0;
}

/// A multiple of the chunk's size.
std::size_t pool_size(const DistributedJob& job) {
  const std::size_t chunk = chunk_size(job);
  return chunk == 0 ? 0 : affordable_pool(job) / chunk * chunk;
}

BatchNumber pool_staleness(const Consistency& consistency, BatchNumber all_batches) {
  const BatchNumber of_walks = *consistency.staleness;
  return of_walks == 0 ? 0 : std::max(of_walks, all_batches / kPoolRefreshes);
}

}  // namespace

double uses_of_stale_row(int trainers) {
  constexpr double kOfAllRanks = 128;
  constexpr double kFewest = 16;
  return std::max(kFewest, kOfAllRanks / trainers);
}

Conveyor::Conveyor(const DistributedJob& job, const ModelRows& model, const Consistency& consistency,
                   BatchNumber all_batches, std::size_t largest_batch, std::size_t items_per_task, TrainItems train,
                   BatchNumber first_number)
    : first_number_(first_number),
      pool_(job.communicator, job.own_negatives, job.options.seed),
      courier_(job.client, model, job.clocks,
               {.consistency = consistency,
                .touches = static_cast<std::uint32_t>(uses_of_stale_row(job.trainers())),
                .replica_bytes = job.options.replica_bytes,
                .negative_pool = pool_size(job),
                .negative_chunk = chunk_size(job),
                .pool_staleness = pool_staleness(consistency, all_batches),
                .timeout_ms = job.options.timeout_ms,
                .trainers = static_cast<std::uint32_t>(job.trainers()),
                .meter = &job.meter.courier},
               largest_batch),
      pool_size_(static_cast<std::uint32_t>(pool_size(job))),
      chunk_size_(static_cast<std::uint32_t>(chunk_size(job))),
      clock_(job.clock),
      ticker_(job.clock, job.progress),
      pipeline_({.threads = job.options.threads,
                 .depth = std::min<std::size_t>(kPipelineDepth, *consistency.staleness + 1),
                 .backlog = kTripsQueued * kBatchesPerTrip,
                 .items_per_task = items_per_task,
                 .waited = &job.meter.waited_seconds},
                courier_, std::move(train)) {}

void Conveyor::prepare(std::vector<std::unique_ptr<TrainingBatch>>& batches) {
  std::vector<std::uint32_t> fresh(batches.size(), chunk_size_);
  if (next_number_ == 0 && !fresh.empty()) fresh.front() = pool_size_;
  auto negatives = pool_.draw(fresh, static_cast<std::uint32_t>(first_number_ + next_number_));
  for (std::size_t i = 0; i < batches.size(); ++i) batches[i]->fresh_negatives = std::move(negatives[i]);
}

void Conveyor::submit(std::vector<std::unique_ptr<TrainingBatch>> batches) {
  for (std::unique_ptr<TrainingBatch>& batch : batches) {
    batch->number = next_number_++;
    if (batch->item_count() == 0) clock_.add(batch->work, {});
    pipeline_.submit(std::move(batch), std::ref(ticker_));
  }
}

DistributedCosts Conveyor::finish(cluster::Communicator& communicator) {
  pipeline_.finish(std::ref(ticker_));
  communicator.barrier();
  return {.rows = courier_.traffic(), .walkers = {}, .waited_seconds = pipeline_.waited_seconds()};
}

bool look_at_rest(const DistributedJob& job, std::optional<Conveyor>& conveyor,
                  const std::function<TrainingPosition(BatchNumber)>& position, const std::function<void()>& go_on) {
  const SnapshotKeeper::Vote vote = job.breaks != nullptr ? job.breaks->vote(true) : SnapshotKeeper::Vote{};
  if (vote.snapshot) {
    const auto resting_since = conveyor ? conveyor->drain() : TrainingBreaks::Clock::now();
    job.breaks->take(position(conveyor ? conveyor->batches() : job.first_batch), resting_since,
                     vote.stop ? std::function<void()>() : go_on);
  } else if (!vote.stop) {
    go_on();
  }
  return !vote.stop;
}

}  // namespace knotwork::worker
