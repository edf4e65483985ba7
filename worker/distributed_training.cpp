#include "worker/distributed_training.h"

#include <algorithm>
#include <memory>
#include <optional>
#include <utility>

#include "embeddings/start_order.h"
#include "worker/frequent_nodes.h"
#include "worker/walk_stretches.h"

namespace knotwork::worker {

using embeddings::PooledNegatives;
using embeddings::RowPointer;
using embeddings::WalkBatch;
using embeddings::WalkKey;
using embeddings::WalkStart;
using partition::GlobalNode;

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
/// Batches whose walks are made at once: walkers of all of them cross between ranks in the same messages. A walk that
/// crosses twenty times takes as many rounds of messages, each of some milliseconds where training threads hold the
/// cores: these must be few beside the time that the batches train.
constexpr std::uint64_t kBatchesPerTrip = 16;
/// Of the first trip, which training has to wait for.
constexpr std::uint64_t kBatchesOfFirstTrip = 4;
/// Batches underway at a time, if staleness allows: one is trained, others wait for their rows.
constexpr std::size_t kPipelineDepth = 8;

/// Uses of a row by a rank that doesn't own it between two refreshes, on average over all rows, where staleness is not
/// given: what quality bears (docs/architecture.md, "Replicas meet"). The fewer ranks learn beside each other, the
/// more.
double uses_of_stale_row(int trainers) {
  constexpr double kOfAllRanks = 64;
  constexpr double kFewest = 16;
  return std::max(kFewest, kOfAllRanks / trainers);
}

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
  /// `all_batches`: of this rank, from the first to the last. `first_number`: of its first batch in the job; a resumed
  /// job begins anew.
  Conveyor(const DistributedJob& job, const ModelRows& model, const Consistency& consistency, BatchNumber all_batches,
           std::size_t largest_batch, std::size_t items_per_task, TrainItems train, BatchNumber first_number)
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
                   .backlog = kBatchesPerTrip,
                   .items_per_task = items_per_task,
                   .waited = &job.meter.waited_seconds},
                  courier_, std::move(train)) {}

  /// Collective. Numbers the batches, gives them negatives, and sends them on their way. All ranks pass as many.
  void submit(std::vector<std::unique_ptr<TrainingBatch>> batches) {
    std::vector<std::uint32_t> fresh(batches.size(), chunk_size_);
    if (next_number_ == 0 && !fresh.empty()) fresh.front() = pool_size_;
    auto negatives = pool_.draw(fresh, static_cast<std::uint32_t>(first_number_ + next_number_));
    for (std::size_t i = 0; i < batches.size(); ++i) {
      std::unique_ptr<TrainingBatch>& batch = batches[i];
      batch->number = next_number_++;
      if (batch->item_count() == 0) clock_.add(batch->work, {});
      batch->fresh_negatives = std::move(negatives[i]);
      pipeline_.submit(std::move(batch), std::ref(ticker_));
    }
  }

  /// Batches of the job that were submitted.
  BatchNumber batches() const { return first_number_ + next_number_; }

  /// Collective. Returns when the changes of all ranks are in their tables: the moment when this rank had trained what
  /// was submitted. Other batches may follow; replicas stay.
  BatchPipeline::Clock::time_point drain(cluster::Communicator& communicator) {
    const auto trained = pipeline_.drain(std::ref(ticker_));
    communicator.barrier();
    return trained;
  }

  /// Collective. Returns when the changes of all ranks are in their tables.
  DistributedCosts finish(cluster::Communicator& communicator) {
    pipeline_.finish(std::ref(ticker_));
    communicator.barrier();
    return {.rows = courier_.traffic(), .walkers = {}, .waited_seconds = pipeline_.waited_seconds()};
  }

 private:
  /// A multiple of the chunk's size.
  static std::size_t pool_size(const DistributedJob& job) {
    const std::size_t chunk = chunk_size(job);
    return chunk == 0 ? 0 : affordable_pool(job) / chunk * chunk;
  }
  static std::size_t chunk_size(const DistributedJob& job) {
    return job.trains() ? (affordable_pool(job) + kPoolLifetime - 1) / kPoolLifetime : 0;
  }
  static BatchNumber pool_staleness(const Consistency& consistency, BatchNumber all_batches) {
    const BatchNumber of_walks = *consistency.staleness;
    return of_walks == 0 ? 0 : std::max(of_walks, all_batches / kPoolRefreshes);
  }
  static std::size_t affordable_pool(const DistributedJob& job) {
    const std::size_t bytes = ReplicaTable::bytes_per_replica(job.model.own_inputs.dim, true) * 2 * kPoolPart;
    const std::uint64_t nodes = std::min(kMostNegatives, kNegativesPerNode * job.model.node_count);
    return std::clamp<std::uint64_t>(job.options.replica_bytes / bytes, 1, nodes);
  }

  BatchNumber first_number_;  // of the job; the conveyor counts its own from 0
  NegativePool pool_;
  RowCourier courier_;
  std::uint32_t pool_size_;
  std::uint32_t chunk_size_;
  TrainingClock& clock_;
  ProgressTicker ticker_;
  BatchNumber next_number_ = 0;
  BatchPipeline pipeline_;  // last: its threads use the others
};

/// Collective. Votes and, if need be, takes a snapshot: everything that was submitted is trained then, and its changes
/// are with the rows' owners. Returns whether training is to go on. `position`: of the batches of the job so far.
bool look_at_rest(const DistributedJob& job, std::optional<Conveyor>& conveyor,
                  const std::function<TrainingPosition(BatchNumber)>& position) {
  if (job.breaks == nullptr) return true;
  const SnapshotKeeper::Vote vote = job.breaks->vote(true);
  if (!vote.snapshot) return !vote.stop;
  const auto resting_since = conveyor ? conveyor->drain(job.communicator) : TrainingBreaks::Clock::now();
  const auto go_on = vote.stop ? std::function<void()>() : [] {};
  job.breaks->take(position(conveyor ? conveyor->batches() : job.first_batch), resting_since, go_on);
  return !vote.stop;
}

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
    batch.contexts.reserve(stretches.nodes.size() / count);
    for (; next < stretches.size() && (b + 1 == count || done * count < centres * (b + 1)); ++next) {
      const auto path = stretches.path(next);
      batch.contexts.insert(batch.contexts.end(), path.begin(), path.end());
      batch.keys.push_back(stretches.keys[next]);
      batch.stretches.push_back(stretches.stretches[next]);
      batch.item_ends.push_back(static_cast<std::uint32_t>(batch.contexts.size()));
      done += stretches.centres(next);
    }
  }
  return batches;
}

/// Collective. How often a batch of all ranks uses a row that is another rank's, on average over all rows, judged by
/// `positions` of `batches` batches of this rank.
double remote_uses_a_batch(const DistributedJob& job, std::span<const GlobalNode> positions, std::uint64_t batches) {
  const auto remote = std::count_if(positions.begin(), positions.end(),
                                    [&](GlobalNode node) { return !job.graph.own_rows.contains(node); });
  const double all = job.communicator.allreduce(static_cast<double>(remote), cluster::Reduction::kSum);
  return all / (static_cast<double>(batches) * static_cast<double>(job.model.node_count));
}

/// Uses of a row in one batch before any rank hears of the others' that do not overshoot yet: the faster rows learn,
/// the fewer.
double uses_before_overshoot(const TrainingOptions& options) {
  constexpr double kMostUses = 8;
  constexpr double kLongestStep = kMostUses * 0.025;  // what was measured to be good, as a sum of learning rates
  if (options.skipgram.optimizer == embeddings::Optimizer::kAdagrad) return kMostUses;  // its steps soon shorten
  return std::clamp(kLongestStep / options.skipgram.learning_rate, 1.0, kMostUses);
}

/// Collective. The model's rows, with those shared that a batch of each rank alone uses more often than all ranks
/// should: after so many steps they have moved as far as the batch lets them.
ModelRows model_sharing(const DistributedJob& job, std::span<const GlobalNode> positions,
                        std::uint64_t batch_positions) {
  ModelRows model = job.model;
  const double least_share = uses_before_overshoot(job.options) / static_cast<double>(batch_positions);
  model.shared_nodes = frequent_nodes(job.communicator, positions, least_share);
  return model;
}

/// The rows of one stretch after the other, for one thread: addresses are looked up where they are used, rather than
/// for the whole batch beforehand, which would take them out to memory and back.
class StretchRows {
 public:
  embeddings::WalkRows of(const TrainingBatch& batch, std::size_t item) {
    const std::size_t first = batch.item_begin(item);
    const std::size_t count = batch.item_size(item);
    const bool with_accumulators = batch.context_rows.with_accumulators;
    inputs_.resize(count);
    outputs_.resize(count);
    input_accumulators_.resize(with_accumulators ? count : 0);
    output_accumulators_.resize(with_accumulators ? count : 0);
    for (std::size_t i = 0; i < count; ++i) {
      const RowPointer input = batch.context_row(first + i);
      const RowPointer output = batch.centre_row(first + i);
      inputs_[i] = input.values;
      outputs_[i] = output.values;
      if (!with_accumulators) continue;
      input_accumulators_[i] = input.accumulator;
      output_accumulators_[i] = output.accumulator;
    }
    return {inputs_, outputs_, input_accumulators_, output_accumulators_};
  }

 private:
  std::vector<float*> inputs_;
  std::vector<float*> outputs_;
  std::vector<float*> input_accumulators_;
  std::vector<float*> output_accumulators_;
};

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

std::uint64_t batch_walks_of(const TrainingOptions& options, std::uint64_t node_count, int trainers) {
  const double positions = uses_before_overshoot(options) * static_cast<double>(node_count) / trainers;
  return std::clamp<std::uint64_t>(static_cast<std::uint64_t>(positions / options.walk.length), 1, options.batch_walks);
}

Consistency consistency_of(const TrainingOptions& options, double remote_uses_a_batch, int trainers,
                           BatchNumber all_batches) {
  Consistency consistency = options.consistency;
  if (!consistency.staleness) {
    // In any case some times in a training.
    const double most = std::max(64.0, static_cast<double>(all_batches) / 8);
    consistency.staleness = static_cast<std::uint32_t>(
        std::clamp(uses_of_stale_row(trainers) / std::max(remote_uses_a_batch, 1e-9), 1.0, most));
  }
  return consistency;
}

BatchPlan plan_batches(cluster::Communicator& communicator, std::uint64_t items, std::uint64_t largest) {
  const std::uint64_t most = communicator.allreduce(items, cluster::Reduction::kMax);
  const std::uint64_t batches = (most + largest - 1) / largest;
  return {batches, batches == 0 ? 0 : (items + batches - 1) / batches};
}

namespace {

/// Makes and trains the walks of a schedule, trip by trip: a few batches whose walkers travel together.
class WalkTrips {
 public:
  WalkTrips(const DistributedJob& job, const WalkSchedule& schedule, const embeddings::WalkEngine& engine,
            std::span<const float> keep)
      : job_(job),
        schedule_(schedule),
        keep_(keep),
        batch_walks_(batch_walks_of(job.options, job.graph.slice.summary().node_count, job.trainers())),
        walks_(job.communicator, job.graph, engine, job.options.threads),
        trainers_(make_trainers<embeddings::SkipGramTrainer>(job.options.threads, job.options.skipgram)),
        rows_(job.options.threads),
        position_{.leftovers = 0, .round = schedule.first_round()} {}

  DistributedCosts run() {
    const BatchPlan of_leftovers = plan_batches(job_.communicator, schedule_.leftovers().size(), batch_walks_);
    const BatchPlan of_round = plan_batches(job_.communicator, schedule_.nodes(), batch_walks_);
    all_batches_ = of_leftovers.batches + (schedule_.rounds() - schedule_.first_round()) * of_round.batches;
    const bool goes_on =
        run_trips(of_leftovers, schedule_.leftovers().size(), [&](std::uint64_t first, std::uint64_t last) {
          const auto part = schedule_.leftovers().subspan(first, last - first);
          starts_.assign(part.begin(), part.end());
          return WalkPosition{.leftovers = last, .round = schedule_.first_round()};
        });
    for (std::uint32_t walk = schedule_.first_round(); goes_on && walk < schedule_.rounds(); ++walk) {
      const embeddings::StartOrder order(job_.options.seed, walk, static_cast<GlobalNode>(schedule_.nodes()));
      const bool next = run_trips(of_round, schedule_.nodes(), [&](std::uint64_t first, std::uint64_t last) {
        choose_starts(job_.graph, order, walk, first, last, starts_);
        return WalkPosition{.leftovers = schedule_.leftovers().size(), .round = walk, .place = last};
      });
      if (!next) break;
    }
    finish();
    costs_.walkers = walks_.counters();
    costs_.walkers.bytes_sent += stretch_bytes_;
    return costs_;
  }

 private:
  /// Returns whether training is to go on.
  template <typename Choose>
  bool run_trips(const BatchPlan& plan, std::uint64_t items, const Choose& choose) {
    std::uint64_t batches = 0;
    for (std::uint64_t trip = 0; trip < plan.batches; trip += batches) {
      batches = std::min(conveyor_ ? kBatchesPerTrip : kBatchesOfFirstTrip, plan.batches - trip);
      const std::uint64_t first = std::min(trip * plan.batch_size, items);
      const WalkPosition next = choose(first, std::min(first + batches * plan.batch_size, items));
      const StretchBatch own = travel();
      // With the next walks at hand, so that a snapshot keeps training threads waiting no longer than it must.
      if (!look_around()) return false;
      if (!conveyor_) start(own, batches);
      conveyor_->submit(batches_of(own, batches, starts_.size()));
      position_ = next;
    }
    return true;
  }

  /// Collective. The stretches that this rank trains of all ranks' walks of starts_.
  StretchBatch travel() {
    walks_.generate(starts_, made_);
    keep_walks(job_.graph, starts_, made_, keep_, job_.options.seed, whole_walks_);
    const StretchOptions sharing{.window = job_.options.skipgram.window};
    StretchBatch own = share_out(job_.communicator, whole_walks_, job_.graph.rank_bounds, sharing, stretch_bytes_);
    job_.meter.walker_bytes.store(walks_.counters().bytes_sent + stretch_bytes_, std::memory_order_relaxed);
    return own;
  }

  /// Made when the first walks say which nodes are frequent.
  void start(const StretchBatch& own, std::uint64_t batches) {
    const std::uint64_t batch_positions = batch_walks_ * job_.options.walk.length;
    const auto train = [this](unsigned thread, const TrainingBatch& batch, std::size_t first, std::size_t last) {
      const PooledNegatives negatives(batch.negatives);
      for (std::size_t i = first; i < last; ++i) {
        trainers_[thread].train_stretch(rows_[thread].of(batch, i), batch.stretches[i], negatives, batch.keys[i],
                                        job_.clock.learning_rate());
      }
      job_.clock.add(batch.work_of(first, last), trainers_[thread].take_counters());
    };
    conveyor_.emplace(
        job_, model_sharing(job_, whole_walks_.nodes, batch_positions),
        consistency_of(job_.options, remote_uses_a_batch(job_, own.nodes, batches), job_.trainers(), all_batches_),
        all_batches_, 2 * batch_positions, 4, train, job_.first_batch);
  }

  void finish() {
    if (!conveyor_) return;
    DistributedCosts costs = conveyor_->finish(job_.communicator);
    costs_.rows += costs.rows;
    costs_.waited_seconds += costs.waited_seconds;
  }

  bool look_around() {
    return look_at_rest(job_, conveyor_,
                        [&](BatchNumber batches) { return TrainingPosition{.walks = position_, .batches = batches}; });
  }

  const DistributedJob& job_;
  const WalkSchedule& schedule_;
  std::span<const float> keep_;
  std::uint64_t batch_walks_;
  TravellingWalks walks_;
  std::vector<embeddings::SkipGramTrainer> trainers_;
  std::vector<StretchRows> rows_;  // by thread
  std::optional<Conveyor> conveyor_;
  std::vector<WalkStart> starts_;
  WalkBatch made_;
  StretchBatch whole_walks_;
  WalkPosition position_;  // behind what was submitted
  std::uint64_t stretch_bytes_ = 0;
  BatchNumber all_batches_ = 0;
  DistributedCosts costs_;
};

}  // namespace

DistributedCosts train_walks_across_ranks(const DistributedJob& job, const WalkSchedule& schedule,
                                          const embeddings::WalkEngine& engine, std::span<const float> keep) {
  return WalkTrips(job, schedule, engine, keep).run();
}

DistributedCosts train_stars_across_ranks(const DistributedJob& job, const embeddings::StarSampler& stars,
                                          const embeddings::SkipGramOptions& skipgram, StarSpan stars_left) {
  const std::uint64_t batch_walks = batch_walks_of(job.options, job.graph.slice.summary().node_count, job.trainers());
  const std::uint64_t stars_per_batch =
      std::max<std::uint64_t>(1, batch_walks * job.options.walk.length / skipgram.window);
  const BatchPlan plan = plan_batches(job.communicator, stars_left.count, stars_per_batch);
  auto trainers = make_trainers<embeddings::LineTrainer>(job.options.threads, skipgram);
  const auto train = [&](unsigned thread, const TrainingBatch& batch, std::size_t first, std::size_t last) {
    const PooledNegatives negatives(batch.negatives);
    std::vector<RowPointer> contexts;
    for (std::size_t i = first; i < last; ++i) {
      contexts.clear();
      for (std::size_t at = batch.item_begin(i); at < batch.item_ends[i]; ++at)
        contexts.push_back(batch.context_row(at));
      trainers[thread].train_star(contexts, batch.target_row(i), negatives, batch.first_star + i,
                                  job.clock.learning_rate());
    }
    job.clock.add(batch.work_of(first, last), trainers[thread].take_counters());
  };
  const std::uint64_t batch_positions = stars_per_batch * skipgram.window;
  std::optional<Conveyor> conveyor;
  for (std::uint64_t trip = 0; trip < plan.batches; trip += kBatchesPerTrip) {
    const bool goes_on = look_at_rest(job, conveyor, [&](BatchNumber batches) {
      return TrainingPosition{
          .walks = {}, .units = std::min(trip * plan.batch_size, stars_left.count), .batches = batches};
    });
    if (!goes_on) break;
    std::vector<std::unique_ptr<TrainingBatch>> batches;
    for (std::uint64_t i = trip; i < std::min(trip + kBatchesPerTrip, plan.batches); ++i) {
      const std::uint64_t first = std::min(i * plan.batch_size, stars_left.count);
      const std::uint64_t count = std::min(plan.batch_size, stars_left.count - first);
      batches.push_back(batch_of_stars(stars, skipgram.seed, stars_left.first + first, count, skipgram.window));
    }
    if (!conveyor) {
      const std::vector<GlobalNode>& contexts = batches.front()->contexts;
      conveyor.emplace(job, model_sharing(job, contexts, batch_positions),
                       consistency_of(job.options, remote_uses_a_batch(job, contexts, 1), job.trainers(), plan.batches),
                       plan.batches, batch_positions, 64, train, job.first_batch);
    }
    conveyor->submit(std::move(batches));
  }
  return conveyor ? conveyor->finish(job.communicator) : DistributedCosts{};
}

}  // namespace knotwork::worker
