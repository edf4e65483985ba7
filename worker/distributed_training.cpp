#include "worker/distributed_training.h"

#include <algorithm>
#include <memory>
#include <utility>

#include "embeddings/start_order.h"
#include "worker/walk_stretches.h"

namespace knotwork::worker {

using embeddings::PooledNegatives;
using embeddings::RowPointer;
using embeddings::WalkBatch;
using embeddings::WalkKey;
using embeddings::WalkStart;
using partition::GlobalNode;

namespace {

/// Nodes of the whole graph from which a rank's windows draw their negatives, and how many of them each batch renews.
/// More of the first: closer to independent draws; more of the second: the same, for more traffic.
constexpr std::uint32_t kNegativePool = 8192;
constexpr std::uint32_t kFreshNegatives = 512;
/// Batches whose walks are made at once: walkers of all of them cross between ranks in the same messages.
constexpr std::uint64_t kBatchesPerTrip = 4;
/// Batches underway at a time, if staleness allows: one is trained, others wait for their rows.
constexpr std::size_t kPipelineDepth = 4;

/// Calls the progress display about twice a second, from the thread that makes the batches.
class ProgressTicker {
 public:
  ProgressTicker(TrainingClock& clock, const ProgressCallback& callback) : clock_(clock), callback_(callback) {}
  void operator()() {
    if (!callback_ || clock_.seconds() - shown_ < 0.5) return;
    shown_ = clock_.seconds();
    callback_(clock_.progress());
  }

 private:
  TrainingClock& clock_;
  const ProgressCallback& callback_;
  double shown_ = 0;
};

/// Courier and pipeline of one training, and the batches' numbers.
class Conveyor {
 public:
  Conveyor(const DistributedJob& job, const Consistency& consistency, std::size_t largest_batch,
           std::size_t items_per_task, TrainItems train)
      : pool_(job.communicator, job.own_negatives, job.options.seed),
        courier_(job.client, job.model, job.clocks,
                 {.consistency = consistency,
                  .replica_bytes = job.options.replica_bytes,
                  .negative_pool = kNegativePool,
                  .timeout_ms = job.options.timeout_ms},
                 largest_batch),
        clock_(job.clock),
        ticker_(job.clock, job.progress),
        pipeline_({.threads = job.options.threads,
                   .depth = std::min<std::size_t>(kPipelineDepth, *consistency.staleness + 1),
                   .items_per_task = items_per_task},
                  courier_, std::move(train)) {}

  /// Collective. Numbers the batch, gives it negatives, and sends it on its way.
  void submit(std::unique_ptr<TrainingBatch> batch) {
    batch->number = next_number_++;
    if (batch->item_count() == 0) clock_.add(batch->work, {});
    batch->fresh_negatives =
        pool_.draw(batch->number == 0 ? kNegativePool : kFreshNegatives, static_cast<std::uint32_t>(batch->number));
    pipeline_.submit(std::move(batch), std::ref(ticker_));
  }

  /// Collective. Returns when the changes of all ranks are in their tables.
  DistributedCosts finish(cluster::Communicator& communicator) {
    pipeline_.finish(std::ref(ticker_));
    communicator.barrier();
    return {.rows = courier_.traffic(), .walkers = {}, .waited_seconds = pipeline_.waited_seconds()};
  }

 private:
  NegativePool pool_;
  RowCourier courier_;
  TrainingClock& clock_;
  ProgressTicker ticker_;
  BatchNumber next_number_ = 0;
  BatchPipeline pipeline_;  // last: its threads use the others
};

template <typename Trainer>
std::vector<Trainer> make_trainers(unsigned count, const embeddings::SkipGramOptions& options) {
  std::vector<Trainer> trainers;
  trainers.reserve(count);
  for (unsigned i = 0; i < count; ++i) trainers.emplace_back(options);
  return trainers;
}

/// This rank's starts of one trip, in the round's order.
void choose_starts(const DistributedGraph& graph, const embeddings::StartOrder& order, std::uint32_t walk,
                   std::uint64_t first, std::uint64_t last, std::vector<WalkStart>& starts) {
  starts.clear();
  for (std::uint64_t i = first; i < last; ++i) {
    starts.push_back({graph.slice.first_node() + order.at(static_cast<GlobalNode>(i)), walk});
  }
}

/// The walks of a trip, thinned out by subsampling if `keep` isn't empty.
void keep_walks(const DistributedGraph& graph, std::span<const WalkStart> starts, const WalkBatch& walks,
                std::span<const float> keep, std::uint64_t seed, StretchBatch& kept_walks) {
  kept_walks.clear();
  std::vector<GlobalNode> kept;
  for (std::size_t i = 0; i < starts.size(); ++i) {
    const WalkKey key{graph.slice.original(starts[i].node), starts[i].walk};
    std::span<const GlobalNode> path = walks.path(i);
    if (!keep.empty()) {
      embeddings::subsample_walk(path, key, keep, seed, kept);
      path = kept;
    }
    kept_walks.add(key, {.last_centre = static_cast<std::uint32_t>(path.size())}, path);
  }
}

/// `count` batches of about equally many centres; `work` is spread over them.
std::vector<std::unique_ptr<TrainingBatch>> batches_of(const StretchBatch& stretches, std::size_t count,
                                                       std::uint64_t work) {
  std::uint64_t centres = 0;
  for (std::size_t i = 0; i < stretches.size(); ++i) centres += stretches.centres(i);
  std::vector<std::unique_ptr<TrainingBatch>> batches(count);
  std::size_t next = 0;
  std::uint64_t done = 0;
  for (std::size_t b = 0; b < count; ++b) {
    batches[b] = std::make_unique<TrainingBatch>();
    TrainingBatch& batch = *batches[b];
    batch.work = work * (b + 1) / count - work * b / count;
    for (; next < stretches.size() && (b + 1 == count || done * count < centres * (b + 1)); ++next) {
      const embeddings::WalkStretch& stretch = stretches.stretches[next];
      const auto path = stretches.path(next);
      for (std::uint32_t i = 0; i < path.size(); ++i) {
        const std::uint32_t position = stretch.first_position + i;
        const bool is_centre = position >= stretch.first_centre && position < stretch.last_centre;
        batch.contexts.push_back(path[i]);
        batch.targets.push_back(is_centre ? path[i] : kNoTarget);
      }
      batch.keys.push_back(stretches.keys[next]);
      batch.stretches.push_back(stretch);
      batch.item_ends.push_back(static_cast<std::uint32_t>(batch.contexts.size()));
      done += stretches.centres(next);
    }
  }
  return batches;
}

embeddings::WalkRows rows_of_stretch(const TrainingBatch& batch, std::size_t item) {
  const std::size_t first = batch.item_begin(item);
  const std::size_t count = batch.item_size(item);
  return {.inputs = std::span(batch.context_rows.values).subspan(first, count),
          .outputs = std::span(batch.target_rows.values).subspan(first, count),
          .input_accumulators = batch.context_rows.accumulators_of(first, count),
          .output_accumulators = batch.target_rows.accumulators_of(first, count)};
}

std::unique_ptr<TrainingBatch> batch_of_stars(const embeddings::StarSampler& stars, std::uint64_t seed,
                                              std::uint64_t first, std::uint64_t count, std::uint32_t edges_per_star) {
  auto batch = std::make_unique<TrainingBatch>();
  batch->first_star = first;
  batch->work = count;
  batch->contexts.resize(count * edges_per_star);
  batch->targets.resize(count);
  for (std::uint64_t i = 0; i < count; ++i) {
    const auto neighbours = std::span(batch->contexts).subspan(i * edges_per_star, edges_per_star);
    batch->targets[i] = stars.draw(seed, first + i, neighbours);
    batch->item_ends.push_back(static_cast<std::uint32_t>((i + 1) * edges_per_star));
  }
  return batch;
}

}  // namespace

std::uint64_t batch_walks_of(const TrainingOptions& options, std::uint64_t node_count, int rank_count) {
  /// Uses of a row in one batch of all ranks, on average.
  constexpr std::uint64_t kMostUses = 8;
  const std::uint64_t positions = kMostUses * node_count / static_cast<std::uint64_t>(rank_count);
  return std::clamp<std::uint64_t>(positions / options.walk.length, 1, options.batch_walks);
}

Consistency consistency_of(const TrainingOptions& options, std::uint64_t batches_per_round) {
  Consistency consistency = options.consistency;
  if (!consistency.staleness) {
    // Half of a round: the larger a rank's part, the more seldom a row of another rank is used, and the less it changes
    // from batch to batch.
    constexpr std::uint64_t kLeast = 1;
    constexpr std::uint64_t kMost = 64;
    consistency.staleness = static_cast<std::uint32_t>(std::clamp(batches_per_round / 2, kLeast, kMost));
  }
  return consistency;
}

BatchPlan plan_batches(cluster::Communicator& communicator, std::uint64_t items, std::uint64_t largest) {
  const std::uint64_t most = communicator.allreduce(items, cluster::Reduction::kMax);
  const std::uint64_t batches = (most + largest - 1) / largest;
  return {batches, batches == 0 ? 0 : (items + batches - 1) / batches};
}

DistributedCosts train_walks_across_ranks(const DistributedJob& job, const embeddings::WalkEngine& engine,
                                          std::span<const float> keep) {
  const std::uint64_t nodes = job.graph.slice.row_count();
  const std::uint64_t batch_walks =
      batch_walks_of(job.options, job.graph.slice.summary().node_count, job.communicator.size());
  const BatchPlan plan = plan_batches(job.communicator, nodes, batch_walks);
  TravellingWalks walks(job.communicator, job.graph, engine, job.options.threads);
  auto trainers = make_trainers<embeddings::SkipGramTrainer>(job.options.threads, job.options.skipgram);
  const auto train = [&](unsigned thread, const TrainingBatch& batch, std::size_t first, std::size_t last) {
    const PooledNegatives negatives(batch.negatives);
    for (std::size_t i = first; i < last; ++i) {
      trainers[thread].train_stretch(rows_of_stretch(batch, i), batch.stretches[i], negatives, batch.keys[i],
                                     job.clock.learning_rate());
    }
    job.clock.add(batch.work_of(first, last), trainers[thread].take_counters());
  };
  Conveyor conveyor(job, consistency_of(job.options, plan.batches), 2 * batch_walks * job.options.walk.length, 4,
                    train);
  std::vector<WalkStart> starts;
  WalkBatch made;
  StretchBatch whole_walks;
  const StretchOptions sharing{.window = job.options.skipgram.window};
  std::uint64_t stretch_bytes = 0;
  for (std::uint32_t walk = 0; walk < job.options.epochs * job.options.walks_per_node; ++walk) {
    const embeddings::StartOrder order(job.options.seed, walk, static_cast<GlobalNode>(nodes));
    for (std::uint64_t trip = 0; trip < plan.batches; trip += kBatchesPerTrip) {
      const std::uint64_t batches = std::min(kBatchesPerTrip, plan.batches - trip);
      const std::uint64_t first = std::min(trip * plan.batch_size, nodes);
      choose_starts(job.graph, order, walk, first, std::min(first + batches * plan.batch_size, nodes), starts);
      walks.generate(starts, made);
      keep_walks(job.graph, starts, made, keep, job.options.seed, whole_walks);
      const StretchBatch own = share_out(job.communicator, whole_walks, job.graph.rank_bounds, sharing, stretch_bytes);
      for (auto& batch : batches_of(own, batches, starts.size())) conveyor.submit(std::move(batch));
    }
  }
  DistributedCosts costs = conveyor.finish(job.communicator);
  costs.walkers = walks.counters();
  costs.walkers.bytes_sent += stretch_bytes;
  return costs;
}

DistributedCosts train_stars_across_ranks(const DistributedJob& job, const embeddings::StarSampler& stars,
                                          const embeddings::SkipGramOptions& skipgram, std::uint64_t first_star,
                                          std::uint64_t star_count) {
  const std::uint64_t batch_walks =
      batch_walks_of(job.options, job.graph.slice.summary().node_count, job.communicator.size());
  const std::uint64_t stars_per_batch =
      std::max<std::uint64_t>(1, batch_walks * job.options.walk.length / skipgram.window);
  const BatchPlan plan = plan_batches(job.communicator, star_count, stars_per_batch);
  auto trainers = make_trainers<embeddings::LineTrainer>(job.options.threads, skipgram);
  const auto train = [&](unsigned thread, const TrainingBatch& batch, std::size_t first, std::size_t last) {
    const PooledNegatives negatives(batch.negatives);
    std::vector<RowPointer> contexts;
    for (std::size_t i = first; i < last; ++i) {
      contexts.clear();
      for (std::size_t at = batch.item_begin(i); at < batch.item_ends[i]; ++at)
        contexts.push_back(batch.context_rows.at(at));
      trainers[thread].train_star(contexts, batch.target_rows.at(i), negatives, batch.first_star + i,
                                  job.clock.learning_rate());
    }
    job.clock.add(batch.work_of(first, last), trainers[thread].take_counters());
  };
  const BatchPlan round = plan_batches(job.communicator, job.graph.slice.row_count(), batch_walks);
  Conveyor conveyor(job, consistency_of(job.options, round.batches), stars_per_batch * skipgram.window, 64, train);
  for (std::uint64_t i = 0; i < plan.batches; ++i) {
    const std::uint64_t first = std::min(i * plan.batch_size, star_count);
    const std::uint64_t count = std::min(plan.batch_size, star_count - first);
    conveyor.submit(batch_of_stars(stars, skipgram.seed, first_star + first, count, skipgram.window));
  }
  return conveyor.finish(job.communicator);
}

}  // namespace knotwork::worker
