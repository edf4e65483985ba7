#include "worker/distributed_training.h"

#include <algorithm>
#include <memory>
#include <optional>
#include <utility>

#include "embeddings/start_order.h"
#include "worker/conveyor.h"
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

/// Of the first trip, which training has to wait for. The next ones have twice as many each, so that training isn't
/// through with one trip's batches before the next trip is over.
constexpr std::uint64_t kBatchesOfFirstTrip = 4;

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

Consistency consistency_of(const TrainingOptions& options, double remote_uses_a_batch, int trainers) {
  Consistency consistency = options.consistency;
  if (!consistency.staleness) {
    constexpr double kMost = 256;
    consistency.staleness = static_cast<std::uint32_t>(
        std::clamp(uses_of_stale_row(trainers) / std::max(remote_uses_a_batch, 1e-9), 1.0, kMost));
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
      batches = std::min(trip_batches_, plan.batches - trip);
      trip_batches_ = std::min(2 * trip_batches_, kBatchesPerTrip);
      const std::uint64_t first = std::min(trip * plan.batch_size, items);
      const WalkPosition next = choose(first, std::min(first + batches * plan.batch_size, items));
      const StretchBatch own = travel();
      std::vector<std::unique_ptr<TrainingBatch>> made = batches_of(own, batches, starts_.size());
      // With the next batches at hand, so that a snapshot keeps training threads waiting no longer than it must.
      if (conveyor_) conveyor_->prepare(made);
      if (!look_around([&] {
            if (conveyor_) conveyor_->submit(std::move(made));
          })) {
        return false;
      }
      if (!conveyor_) {
        start(own, batches);
        conveyor_->prepare(made);
        conveyor_->submit(std::move(made));
      }
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
    conveyor_.emplace(job_, model_sharing(job_, whole_walks_.nodes, batch_positions),
                      consistency_of(job_.options, remote_uses_a_batch(job_, own.nodes, batches), job_.trainers()),
                      all_batches_, 2 * batch_positions, 4, train, job_.first_batch);
  }

  void finish() {
    if (!conveyor_) return;
    DistributedCosts costs = conveyor_->finish(job_.communicator);
    costs_.rows += costs.rows;
    costs_.waited_seconds += costs.waited_seconds;
  }

  bool look_around(const std::function<void()>& go_on) {
    return look_at_rest(
        job_, conveyor_, [&](BatchNumber batches) { return TrainingPosition{.walks = position_, .batches = batches}; },
        go_on);
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
  std::uint64_t trip_batches_ = kBatchesOfFirstTrip;  // of the next trip
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
    std::vector<std::unique_ptr<TrainingBatch>> made;
    for (std::uint64_t i = trip; i < std::min(trip + kBatchesPerTrip, plan.batches); ++i) {
      const std::uint64_t first = std::min(i * plan.batch_size, stars_left.count);
      const std::uint64_t count = std::min(plan.batch_size, stars_left.count - first);
      made.push_back(batch_of_stars(stars, skipgram.seed, stars_left.first + first, count, skipgram.window));
    }
    if (conveyor) conveyor->prepare(made);
    const auto position = [&](BatchNumber batches) {
      return TrainingPosition{
          .walks = {}, .units = std::min(trip * plan.batch_size, stars_left.count), .batches = batches};
    };
    const bool goes_on = look_at_rest(job, conveyor, position, [&] {
      if (conveyor) conveyor->submit(std::move(made));
    });
    if (!goes_on) break;
    if (conveyor) continue;
    const std::vector<GlobalNode>& contexts = made.front()->contexts;
    conveyor.emplace(job, model_sharing(job, contexts, batch_positions),
                     consistency_of(job.options, remote_uses_a_batch(job, contexts, 1), job.trainers()), plan.batches,
                     batch_positions, 64, train, job.first_batch);
    conveyor->prepare(made);
    conveyor->submit(std::move(made));
  }
  return conveyor ? conveyor->finish(job.communicator) : DistributedCosts{};
}

}  // namespace knotwork::worker
