#include "worker/deterministic_training.h"

#include <algorithm>
#include <cmath>
#include <optional>
#include <vector>

#ifdef _OPENMP
#include <omp.h>
#endif

#include "embeddings/start_order.h"
#include "worker/batch_rows.h"
#include "worker/exact_loss.h"
#include "worker/node_census.h"
#include "worker/private_rows.h"
#include "worker/travelling_walks.h"

namespace knotwork::worker {

using embeddings::RowPointer;
using embeddings::WalkKey;
using partition::GlobalNode;
using partition::OriginalNode;

namespace {

/// Walks that each rank makes at once, about: walkers of several batches cross between ranks in the same messages.
constexpr std::uint64_t kWalksPerTrip = 4096;
/// Rows that are asked for before they are copied.
constexpr std::size_t kRowsAhead = 4;
/// Positions of a batch: so many for each node of the graph, but at most (second) 128 walks of 80 nodes. The smaller a
/// batch, the closer to training one walk after the other; the larger, the less waiting for each other. Measured:
/// docs/benchmarks.md.
constexpr std::uint64_t kUsesInBatch = 2;
constexpr std::uint64_t kMostPositions = 10'240;
static_assert(kMostPositions <= kMostChanges);
/// Changes of a row in a batch that are added up in full. By walks: with 32, training on github diverges. A star
/// changes a row in one window, a walk in many.
constexpr std::uint32_t kFullChangesByWalks = 8;
constexpr std::uint32_t kFullChangesByStars = 32;

unsigned this_thread() {
#ifdef _OPENMP
  return static_cast<unsigned>(omp_get_thread_num());
#else
  return 0;
#endif
}

/// A walk or star and the nodes whose rows it uses; once the batch is complete, their slots instead.
struct Unit {
  /// Its place among all units of all epochs.
  std::uint64_t number = 0;
  /// Walks only.
  WalkKey key{};
  std::vector<std::uint32_t> contexts;
  std::vector<std::uint32_t> targets;
  std::vector<std::uint32_t> negatives;
};

/// Negatives that were drawn beforehand, in the order in which the trainer asks for them. It asks for one draw more
/// than it uses.
class PlannedNegatives {
 public:
  explicit PlannedNegatives(std::span<const RowPointer> rows) : rows_(rows) {}
  RowPointer row(std::uint32_t /*slot_bits*/, std::uint32_t /*coin*/) const {
    return rows_[std::min(next_++, rows_.size() - 1)];
  }
  void prefetch(std::uint32_t /*slot_bits*/) const {}

 private:
  std::span<const RowPointer> rows_;
  mutable std::size_t next_ = 0;
};

/// Copies of a unit's rows, in the order of its nodes.
struct UnitRows {
  std::vector<RowPointer> contexts;
  std::vector<RowPointer> targets;
  std::vector<RowPointer> negatives;
};

/// Loss sums are added by many threads, so they too must be exact.
embeddings::TrainingCounters with_exact_loss(embeddings::TrainingCounters counters) {
  counters.loss_sum = exact_loss(counters.loss_sum);
  return counters;
}

/// The rows of both roles, and the steps of a batch.
class BatchTraining {
 public:
  /// `most_rows`: rows that a unit may use. `all`: units of all epochs and blocks.
  BatchTraining(const DeterministicJob& job, std::size_t most_rows, std::uint32_t full, std::uint64_t all)
      : job_(job),
        all_(all),
        rate_(job.options.skipgram.learning_rate, job.options.skipgram.min_learning_rate),
        contexts_(job.communicator, job.client, job.input_table, job.own_inputs, full) {
    if (job.output_table != job.input_table) {
      outputs_.emplace(job.communicator, job.client, job.output_table, job.own_outputs, full);
    }
    for (unsigned thread = 0; thread < job.options.threads; ++thread) {
      copies_.emplace_back(most_rows, contexts_.dim(), contexts_.has_accumulators());
      rows_.emplace_back();
    }
  }

  /// Collective. plan(unit, i) fills unit i of `count`, on any thread; train(thread, unit, rows, rate) trains it and
  /// returns what it has done.
  template <typename Plan, typename Train>
  void run(std::size_t count, const Plan& plan, const Train& train) {
    const unsigned threads = job_.options.threads;
    units_.resize(std::max(units_.size(), count));
#pragma omp parallel for schedule(dynamic, 4) num_threads(threads)
    for (std::size_t i = 0; i < count; ++i) plan(units_[i], i);
    const double planned = job_.clock.seconds();
    find_rows(count);
    const double fetched = job_.clock.seconds();
#pragma omp parallel for schedule(dynamic) num_threads(threads)
    for (std::size_t i = 0; i < count; ++i) train_unit(units_[i], train);
    const double trained = job_.clock.seconds();
    contexts_.send_sums();
    if (outputs_) outputs_->send_sums();
    const double sent = job_.clock.seconds();
    contexts_.apply(threads, frozen(job_.input_table).get());
    if (outputs_) outputs_->apply(threads, frozen(job_.output_table).get());
    const double applied = job_.clock.seconds();
    job_.communicator.barrier();
    if (job_.communicator.size() > 1) {
      waited_ += threads * (fetched - planned + sent - trained + job_.clock.seconds() - applied);
    }
    show();
  }

  DistributedCosts costs() const {
    DistributedCosts costs{.rows = contexts_.traffic(), .walkers = {}, .waited_seconds = waited_};
    if (outputs_) costs.rows += outputs_->traffic();
    return costs;
  }

 private:
  BatchRows& outputs() {
    return outputs_ ? *outputs_ : contexts_;
  }

  /// What a snapshot that is being written has of the table.
  std::shared_ptr<FrozenRows> frozen(ps::TableIndex table) const {
    return job_.breaks == nullptr ? nullptr : job_.breaks->frozen(table);
  }

  void find_rows(std::size_t count) {
    contexts_.begin();
    if (outputs_) outputs_->begin();
    const auto find = [](BatchRows& rows, std::vector<std::uint32_t>& nodes) {
      for (std::uint32_t& node : nodes) node = rows.slot_of(node);
    };
    for (std::size_t i = 0; i < count; ++i) {
      find(contexts_, units_[i].contexts);
      find(outputs(), units_[i].targets);
      find(outputs(), units_[i].negatives);
    }
    contexts_.fetch();
    if (outputs_) outputs_->fetch();
  }

  template <typename Train>
  void train_unit(const Unit& unit, const Train& train) {
    const unsigned thread = this_thread();
    PrivateRows& copies = copies_[thread];
    UnitRows& rows = rows_[thread];
    const auto copy = [&](BatchRows& table, const std::vector<std::uint32_t>& slots, std::vector<RowPointer>& to) {
      to.clear();
      for (std::size_t i = 0; i < slots.size(); ++i) {
        if (i + kRowsAhead < slots.size()) table.prefetch(slots[i + kRowsAhead]);
        to.push_back(copies.copy(table, slots[i]));
      }
    };
    copies.begin();
    copy(contexts_, unit.contexts, rows.contexts);
    copy(outputs(), unit.targets, rows.targets);
    copy(outputs(), unit.negatives, rows.negatives);
    const double fraction = static_cast<double>(unit.number) / static_cast<double>(all_);
    const embeddings::TrainingCounters done = train(thread, unit, rows, rate_.at(fraction));
    copies.deliver();
    job_.clock.add_at(fraction, 1, with_exact_loss(done));
  }

  /// To those who watch.
  void show() {
    CourierMeter& courier = job_.meter.courier;
    const RowTraffic rows = costs().rows;
    ++courier.batches;
    courier.rows_pulled += rows.rows_pulled - metered_.rows.rows_pulled;
    courier.rows_pushed += rows.rows_pushed - metered_.rows.rows_pushed;
    courier.bytes_received += rows.bytes_received - metered_.rows.bytes_received;
    courier.bytes_sent += rows.bytes_sent - metered_.rows.bytes_sent;
    courier.uses += rows.uses - metered_.rows.uses;
    courier.remote_uses += rows.remote_uses - metered_.rows.remote_uses;
    job_.meter.waited_seconds += waited_ - metered_.waited_seconds;
    metered_ = costs();
    constexpr double kInterval = 0.5;
    if (!job_.progress || job_.clock.seconds() - shown_ < kInterval) return;
    shown_ = job_.clock.seconds();
    job_.progress(job_.clock.progress());
  }

  const DeterministicJob& job_;
  std::uint64_t all_;
  embeddings::LearningRate rate_;
  BatchRows contexts_;
  std::optional<BatchRows> outputs_;
  std::vector<PrivateRows> copies_;  // by thread, as the next
  std::vector<UnitRows> rows_;
  std::vector<Unit> units_;
  double waited_ = 0;
  DistributedCosts metered_;  // what those who watch have been told
  double shown_ = 0;
};

/// Words come in blocks of four.
std::size_t words_of(std::uint32_t negatives) {
  return (2 * std::size_t{negatives} + 3) / 4 * 4;
}

/// Appends the nodes that random words choose.
void add_negatives(const embeddings::NegativeSampler& sampler, const NodeCensus& census,
                   std::span<const std::uint32_t> words, std::uint32_t count, std::vector<std::uint32_t>& to) {
  for (std::uint32_t k = 0; k < count; ++k) to.push_back(census.global[sampler.sample(words[2 * k], words[2 * k + 1])]);
}

/// Trains one walk's copies.
class WalkTraining {
 public:
  WalkTraining(const embeddings::SkipGramOptions& options, std::uint32_t walk_length)
      : trainer_(options), walk_length_(walk_length) {}

  embeddings::TrainingCounters operator()(const Unit& unit, const UnitRows& rows, float rate) {
    pointers_of(rows.contexts, inputs_, input_accumulators_);
    pointers_of(rows.targets, outputs_, output_accumulators_);
    trainer_.count_from(unit.number * walk_length_);
    trainer_.train_walk({inputs_, outputs_, input_accumulators_, output_accumulators_},
                        PlannedNegatives(rows.negatives), unit.key, rate);
    return trainer_.take_counters();
  }

 private:
  static void pointers_of(const std::vector<RowPointer>& rows, std::vector<float*>& values,
                          std::vector<float*>& accumulators) {
    values.clear();
    accumulators.clear();
    for (const RowPointer& row : rows) {
      values.push_back(row.values);
      accumulators.push_back(row.accumulator);
    }
  }

  embeddings::SkipGramTrainer trainer_;
  std::uint32_t walk_length_;
  std::vector<float*> inputs_;
  std::vector<float*> outputs_;
  std::vector<float*> input_accumulators_;
  std::vector<float*> output_accumulators_;
};

/// Makes and trains the walks of all rounds.
class WalkRounds {
 public:
  WalkRounds(const DeterministicJob& job, const embeddings::WalkEngine& engine)
      : job_(job),
        census_(take_census(job.communicator, job.graph.slice, job.options.walk.weighted)),
        negatives_(census_.sampler(0.75)),
        walks_(job.communicator, job.graph, engine, job.options.threads),
        nodes_(job.graph.slice.summary().node_count),
        rounds_(job.options.epochs * job.options.walks_per_node),
        batch_(units_in_batch(nodes_, job.options.walk.length)),
        training_(job, most_rows(), kFullChangesByWalks, rounds_ * nodes_) {
    const embeddings::SkipGramOptions& skipgram = job.options.skipgram;
    if (skipgram.subsample > 0) keep_ = census_.keep_probabilities(skipgram.subsample);
    for (unsigned thread = 0; thread < job.options.threads; ++thread) {
      trainers_.emplace_back(skipgram, job.options.walk.length);
    }
  }

  /// All but the first `done` walks.
  DistributedCosts run(std::uint64_t done) {
    const auto ranks = static_cast<std::uint64_t>(job_.communicator.size());
    const std::uint64_t trip = (kWalksPerTrip * ranks + batch_ - 1) / batch_ * batch_;
    bool goes_on = true;
    for (auto walk = static_cast<std::uint32_t>(done / nodes_); goes_on && walk < rounds_; ++walk) {
      for (std::uint64_t first = done % nodes_; goes_on && first < nodes_; first += trip) {
        make_walks(walk, first, std::min(first + trip, nodes_));
        goes_on = train_trip(walk, first, std::min(first + trip, nodes_));
      }
      done = 0;
    }
    DistributedCosts costs = training_.costs();
    costs.walkers = walks_.counters();
    return costs;
  }

 private:
  std::size_t most_rows() const {
    const std::uint32_t length = job_.options.walk.length;
    const std::uint32_t draws = (length - 1) / job_.options.skipgram.windows_per_draw + 1;
    return 2 * std::size_t{length} + std::size_t{draws} * job_.options.skipgram.negatives;
  }

  /// This rank's walks among those of places first .. last - 1 of a round.
  void make_walks(std::uint32_t walk, std::uint64_t first, std::uint64_t last) {
    const embeddings::StartOrder order(job_.options.seed, walk, static_cast<OriginalNode>(nodes_));
    starts_.clear();
    places_.clear();
    for (std::uint64_t place = first; place < last; ++place) {
      const GlobalNode node = census_.global[order.at(static_cast<OriginalNode>(place))];
      if (!job_.graph.slice.holds(node)) continue;
      starts_.push_back({node, walk});
      places_.push_back(place);
    }
    walks_.generate(starts_, made_);
    job_.meter.walker_bytes = walks_.counters().bytes_sent;
  }

  /// Returns whether training is to go on.
  bool train_trip(std::uint32_t walk, std::uint64_t first, std::uint64_t last) {
    std::size_t next = 0;
    for (std::uint64_t place = first; place < last; place += batch_) {
      const auto position = [&] { return TrainingPosition{.walks = {}, .units = walk * nodes_ + place}; };
      if (job_.breaks != nullptr && !job_.breaks->look(true, position)) return false;
      const std::size_t begin = next;
      while (next < places_.size() && places_[next] < place + batch_) ++next;
      training_.run(
          next - begin, [&](Unit& unit, std::size_t i) { plan(unit, begin + i); },
          [&](unsigned thread, const Unit& unit, const UnitRows& rows, float rate) {
            return trainers_[thread](unit, rows, rate);
          });
    }
    return true;
  }

  void plan(Unit& unit, std::size_t i) const {
    const embeddings::SkipGramOptions& skipgram = job_.options.skipgram;
    const std::uint32_t walk = starts_[i].walk;
    unit.number = walk * nodes_ + places_[i];
    unit.key = {job_.graph.slice.original(starts_[i].node), walk};
    const std::span<const GlobalNode> path = made_.path(i);
    if (keep_.empty()) {
      unit.contexts.assign(path.begin(), path.end());
    } else {
      embeddings::subsample_walk(path, unit.key, keep_, job_.options.seed, unit.contexts);
    }
    if (unit.contexts.size() < 2) unit.contexts.clear();  // no window
    unit.targets = unit.contexts;
    unit.negatives.clear();
    std::vector<std::uint32_t> words(words_of(skipgram.negatives));
    for (std::uint32_t position = 0; position < unit.contexts.size(); position += skipgram.windows_per_draw) {
      embeddings::negative_words(job_.options.seed, unit.key, position / skipgram.windows_per_draw, words);
      add_negatives(negatives_, census_, words, skipgram.negatives, unit.negatives);
    }
  }

  const DeterministicJob& job_;
  NodeCensus census_;
  embeddings::NegativeSampler negatives_;
  TravellingWalks walks_;
  std::uint64_t nodes_;
  std::uint32_t rounds_;
  std::uint64_t batch_;
  std::vector<float> keep_;  // by global node, or empty
  BatchTraining training_;
  std::vector<WalkTraining> trainers_;
  std::vector<embeddings::WalkStart> starts_;
  std::vector<std::uint64_t> places_;  // of starts_
  embeddings::WalkBatch made_;
};

}  // namespace

std::uint64_t units_in_batch(std::uint64_t node_count, std::uint64_t positions) {
  return std::clamp<std::uint64_t>(kUsesInBatch * node_count / positions, 1,
                                   std::max<std::uint64_t>(1, kMostPositions / positions));
}

DistributedCosts train_walks_deterministically(const DeterministicJob& job, const embeddings::WalkEngine& engine,
                                               std::uint64_t done) {
  return WalkRounds(job, engine).run(done);
}

DistributedCosts train_stars_deterministically(const DeterministicJob& job, const embeddings::StarSampler& stars,
                                               const embeddings::SkipGramOptions& skipgram, const StarRange& range) {
  const NodeCensus census = take_census(job.communicator, job.graph.slice, job.options.walk.weighted);
  const embeddings::NegativeSampler negatives = census.sampler(0.75);
  const embeddings::NegativeSampler centres = census.sampler(1.0);
  const std::uint64_t batch = units_in_batch(census.global.size(), skipgram.window);
  BatchTraining training(job, 1 + std::size_t{skipgram.window} + skipgram.negatives, kFullChangesByStars, range.all);
  std::vector<embeddings::LineTrainer> trainers;
  for (unsigned thread = 0; thread < job.options.threads; ++thread) trainers.emplace_back(skipgram);
  std::vector<std::uint64_t> own_stars;
  std::vector<GlobalNode> own_centres;
  for (std::uint64_t first = range.done; first < range.count; first += batch) {
    const auto position = [&] { return TrainingPosition{.walks = {}, .units = first}; };
    if (job.breaks != nullptr && !job.breaks->look(true, position)) break;
    own_stars.clear();
    own_centres.clear();
    for (std::uint64_t star = first; star < std::min(first + batch, range.count); ++star) {
      const auto [slot_bits, coin] = embeddings::star_centre_words(skipgram.seed, star);
      const GlobalNode centre = census.global[centres.sample(slot_bits, coin)];
      if (!job.graph.slice.holds(centre)) continue;
      own_stars.push_back(star);
      own_centres.push_back(centre);
    }
    training.run(
        own_stars.size(),
        [&](Unit& unit, std::size_t i) {
          unit.number = range.before + own_stars[i];
          unit.key = {static_cast<std::uint32_t>(own_stars[i]), static_cast<std::uint32_t>(own_stars[i] >> 32)};
          unit.contexts.resize(skipgram.window);
          stars.draw_neighbours(skipgram.seed, own_stars[i], own_centres[i], unit.contexts);
          unit.targets.assign(1, own_centres[i]);
          unit.negatives.clear();
          std::vector<std::uint32_t> words(words_of(skipgram.negatives));
          embeddings::star_negative_words(skipgram.seed, own_stars[i], words);
          add_negatives(negatives, census, words, skipgram.negatives, unit.negatives);
        },
        [&](unsigned thread, const Unit& unit, const UnitRows& rows, float rate) {
          trainers[thread].count_from(unit.number);
          trainers[thread].train_star(rows.contexts, rows.targets.front(), PlannedNegatives(rows.negatives),
                                      unit.number - range.before, rate);
          return trainers[thread].take_counters();
        });
  }
  return training.costs();
}

}  // namespace knotwork::worker
