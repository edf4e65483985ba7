#include "worker/local_training.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <exception>
#include <mutex>
#include <thread>
#include <vector>

#include "embeddings/start_order.h"
#include "worker/thread_gate.h"

namespace knotwork::worker {

using embeddings::LocalTables;
using embeddings::WalkBatch;
using embeddings::WalkEngine;
using embeddings::WalkKey;
using embeddings::WalkStart;
using partition::Graph;

namespace {

constexpr std::chrono::milliseconds kProgressInterval(500);
/// Signals and snapshots that are due are looked for as often as progress is shown, or more often, down to this.
constexpr std::chrono::milliseconds kShortestLookInterval(10);
/// Walks that a thread makes and trains at a time: their paths stay in its L2 cache.
constexpr std::uint64_t kWalksPerChunk = 128;
constexpr std::uint64_t kStarsPerChunk = 1024;
constexpr std::uint64_t kPprStarsPerChunk = 64;

/// Walks `first` .. `last` - 1 of an epoch's round: one from each start node in the round's order.
void train_chunk(const Graph& graph, const WalkEngine& engine, const LocalTables& tables,
                 const embeddings::StartOrder& order, std::uint32_t walk, std::uint64_t first, std::uint64_t last,
                 float learning_rate, embeddings::SkipGramTrainer& trainer, WalkBatch& batch) {
  std::vector<WalkStart> starts;
  std::vector<WalkKey> keys;
  for (std::uint64_t i = first; i < last; ++i) {
    const partition::GlobalNode node = graph.first_node() + order.at(static_cast<partition::GlobalNode>(i));
    starts.push_back({node, walk});
    keys.push_back({graph.original(node), walk});
  }
  engine.generate(starts, batch);
  embeddings::train_walks(trainer, batch, keys, tables, learning_rate);
}

/// The same for walks that are listed.
void train_leftovers(const Graph& graph, const WalkEngine& engine, const LocalTables& tables,
                     std::span<const WalkStart> starts, float learning_rate, embeddings::SkipGramTrainer& trainer,
                     WalkBatch& batch) {
  std::vector<WalkKey> keys;
  for (const WalkStart& start : starts) keys.push_back({graph.original(start.node), start.walk});
  engine.generate(starts, batch);
  embeddings::train_walks(trainer, batch, keys, tables, learning_rate);
}

std::uint64_t chunks_of(std::uint64_t items, std::uint64_t size) {
  return (items + size - 1) / size;
}

/// A schedule's walks in chunks that threads take one after the other: those of the leftovers, then of each round.
class WalkChunks {
 public:
  explicit WalkChunks(const WalkSchedule& schedule)
      : schedule_(schedule),
        of_leftovers_(chunks_of(schedule.leftovers().size(), kWalksPerChunk)),
        of_round_(chunks_of(schedule.nodes(), kWalksPerChunk)) {}

  std::uint64_t count() const {
    return of_leftovers_ + std::uint64_t{schedule_.rounds() - schedule_.first_round()} * of_round_;
  }
  bool is_of_leftovers(std::uint64_t chunk) const { return chunk < of_leftovers_; }
  std::span<const WalkStart> leftovers(std::uint64_t chunk) const {
    const std::uint64_t first = chunk * kWalksPerChunk;
    return schedule_.leftovers().subspan(first, std::min(kWalksPerChunk, schedule_.leftovers().size() - first));
  }
  /// Where the chunk begins: what is behind when all before it are done. Also for one past the last.
  WalkPosition begin(std::uint64_t chunk) const {
    if (chunk < of_leftovers_) return {.leftovers = chunk * kWalksPerChunk, .round = schedule_.first_round()};
    const std::uint64_t number = chunk - of_leftovers_;
    const std::uint64_t rounds = of_round_ == 0 ? 0 : number / of_round_;
    return {.leftovers = schedule_.leftovers().size(),
            .round = schedule_.first_round() + static_cast<std::uint32_t>(rounds),
            .place = of_round_ == 0 ? 0 : number % of_round_ * kWalksPerChunk};
  }

 private:
  const WalkSchedule& schedule_;
  std::uint64_t of_leftovers_;
  std::uint64_t of_round_;
};

/// Threads that take numbered chunks until none is left, and stand still for snapshots.
class ChunkTeam {
 public:
  ChunkTeam(unsigned threads, std::uint64_t chunks, TrainingBreaks* breaks)
      : threads_(threads), chunks_(chunks), breaks_(breaks), gate_(threads) {}

  /// make() gives each thread its own function of a chunk's number. position(n): where training stands when chunks
  /// 0 .. n - 1 are done.
  template <typename Make, typename Position>
  void run(TrainingClock& clock, const ProgressCallback& progress, const Make& make, const Position& position) {
    std::function<bool(bool)> look;
    auto look_interval = kProgressInterval;
    if (breaks_ != nullptr) {
      look = [&](bool at_work) { return look_around(at_work, position); };
      look_interval = std::clamp(breaks_->every() / 2, kShortestLookInterval, kProgressInterval);
    }
    run_training_threads(
        threads_, clock, progress,
        [&](unsigned) {
          const Leaving leaving(gate_);
          auto train = make();
          while (gate_.pass()) {
            const std::uint64_t chunk = next_.fetch_add(1, std::memory_order_relaxed);
            if (chunk >= chunks_) return;
            train(chunk);
          }
        },
        look, look_interval);
  }

 private:
  struct Leaving {
    explicit Leaving(ThreadGate& gate_in) : gate(gate_in) {}
    ~Leaving() { gate.leave(); }
    Leaving(const Leaving&) = delete;
    Leaving& operator=(const Leaving&) = delete;
    ThreadGate& gate;
  };

  template <typename Position>
  bool look_around(bool at_work, const Position& position) {
    const SnapshotKeeper::Vote vote = breaks_->vote(at_work);
    if (vote.snapshot) {
      const auto since = TrainingBreaks::Clock::now();
      gate_.hold();
      const std::uint64_t done = std::min(next_.load(std::memory_order_relaxed), chunks_);
      const auto go_on = [this] { gate_.release(); };
      breaks_->take(position(done), since, vote.stop ? std::function<void()>() : go_on);
    }
    if (vote.stop) gate_.stop();
    return vote.has_work && !vote.stop;
  }

  unsigned threads_;
  std::uint64_t chunks_;
  TrainingBreaks* breaks_;
  ThreadGate gate_;
  std::atomic<std::uint64_t> next_{0};
};

}  // namespace

void run_training_threads(unsigned threads, TrainingClock& clock, const ProgressCallback& progress,
                          const std::function<void(unsigned)>& body, const std::function<bool(bool)>& look,
                          std::chrono::milliseconds look_interval) {
  std::mutex mutex;
  std::condition_variable ended;
  unsigned running = threads;
  std::exception_ptr failure;
  std::vector<std::jthread> team;
  for (unsigned thread = 0; thread < threads; ++thread) {
    team.emplace_back([&, thread] {
      std::exception_ptr mine;
      try {
        body(thread);
      } catch (...) {
        mine = std::current_exception();
      }
      const std::lock_guard lock(mutex);
      if (mine) failure = mine;
      --running;
      ended.notify_all();
    });
  }
  auto shown = std::chrono::steady_clock::now();
  for (bool goes_on = true; goes_on;) {
    std::unique_lock lock(mutex);
    const bool at_work = !ended.wait_for(lock, look_interval, [&] { return running == 0; });
    const bool failed = failure != nullptr;
    lock.unlock();
    if (at_work && progress && std::chrono::steady_clock::now() - shown >= kProgressInterval) {
      shown = std::chrono::steady_clock::now();
      progress(clock.progress());
    }
    // A thread that failed ends the job: others aren't to be waited for.
    goes_on = look && !failed ? look(at_work) : at_work;
  }
  team.clear();
  if (failure) std::rethrow_exception(failure);
}

void train_walks_locally(const Graph& graph, const WalkSchedule& schedule, const WalkEngine& engine,
                         const LocalTables& tables, const TrainingOptions& options, TrainingClock& clock,
                         const ProgressCallback& progress, TrainingBreaks* breaks) {
  const WalkChunks chunks(schedule);
  const auto make = [&] {
    return
        [&, trainer = embeddings::SkipGramTrainer(options.skipgram), batch = WalkBatch()](std::uint64_t chunk) mutable {
          const WalkPosition begin = chunks.begin(chunk);
          std::uint64_t walks = 0;
          if (chunks.is_of_leftovers(chunk)) {
            const std::span<const WalkStart> starts = chunks.leftovers(chunk);
            train_leftovers(graph, engine, tables, starts, clock.learning_rate(), trainer, batch);
            walks = starts.size();
          } else {
            const std::uint64_t last = std::min(begin.place + kWalksPerChunk, schedule.nodes());
            const embeddings::StartOrder order(options.seed, begin.round,
                                               static_cast<partition::GlobalNode>(schedule.nodes()));
            train_chunk(graph, engine, tables, order, begin.round, begin.place, last, clock.learning_rate(), trainer,
                        batch);
            walks = last - begin.place;
          }
          clock.add(walks, trainer.take_counters());
        };
  };
  ChunkTeam team(options.threads, chunks.count(), breaks);
  team.run(clock, progress, make, [&](std::uint64_t done) { return TrainingPosition{.walks = chunks.begin(done)}; });
}

void train_stars_locally(const embeddings::StarSampler& stars, StarSpan stars_left, const LocalTables& tables,
                         const TrainingOptions& options, const embeddings::SkipGramOptions& skipgram,
                         TrainingClock& clock, const ProgressCallback& progress, TrainingBreaks* breaks) {
  const auto make = [&] {
    return [&, trainer = embeddings::LineTrainer(skipgram)](std::uint64_t chunk) mutable {
      const std::uint64_t first = chunk * kStarsPerChunk;
      const std::uint64_t count = std::min(kStarsPerChunk, stars_left.count - first);
      embeddings::train_stars(trainer, stars, stars_left.first + first, count, tables, clock.learning_rate());
      clock.add(count, trainer.take_counters());
    };
  };
  ChunkTeam team(options.threads, chunks_of(stars_left.count, kStarsPerChunk), breaks);
  team.run(clock, progress, make, [&](std::uint64_t done) {
    return TrainingPosition{.walks = {}, .units = std::min(done * kStarsPerChunk, stars_left.count)};
  });
}

void train_ppr_pairs_locally(const embeddings::PprStarSampler& stars, std::span<const StarSpan> stars_left,
                             const LocalTables& tables, const TrainingOptions& options, TrainingClock& clock,
                             const ProgressCallback& progress, TrainingBreaks* breaks) {
  std::vector<StarSpan> chunks;
  for (const StarSpan& span : stars_left) {
    for (std::uint64_t first = 0; first < span.count; first += kPprStarsPerChunk) {
      chunks.push_back({span.first + first, std::min(kPprStarsPerChunk, span.count - first)});
    }
  }
  const auto make = [&] {
    return [&, trainer = embeddings::LineTrainer(options.skipgram),
            drawn = embeddings::PprStars()](std::uint64_t chunk) mutable {
      const auto [first, count] = chunks[chunk];
      stars.draw(first, count, drawn);
      embeddings::train_ppr_stars(trainer, drawn, first, tables, clock.learning_rate());
      clock.add(count, trainer.take_counters());
    };
  };
  ChunkTeam team(options.threads, chunks.size(), breaks);
  team.run(clock, progress, make, [&](std::uint64_t done) {
    std::uint64_t units = 0;
    for (std::uint64_t i = 0; i < done; ++i) units += chunks[i].count;
    return TrainingPosition{.walks = {}, .units = units};
  });
}

}  // namespace knotwork::worker
