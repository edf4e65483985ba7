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

namespace knotwork::worker {

using embeddings::LocalTables;
using embeddings::WalkBatch;
using embeddings::WalkEngine;
using embeddings::WalkKey;
using embeddings::WalkStart;
using partition::Graph;

namespace {

constexpr auto kProgressInterval = std::chrono::milliseconds(500);
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

}  // namespace

void run_training_threads(unsigned threads, TrainingClock& clock, const ProgressCallback& progress,
                          const std::function<void(unsigned)>& body) {
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
  std::unique_lock lock(mutex);
  while (!ended.wait_for(lock, kProgressInterval, [&] { return running == 0; })) {
    lock.unlock();
    if (progress) progress(clock.progress());
    lock.lock();
  }
  lock.unlock();
  team.clear();
  if (failure) std::rethrow_exception(failure);
}

void train_walks_locally(const Graph& graph, const WalkEngine& engine, const LocalTables& tables,
                         const TrainingOptions& options, TrainingClock& clock, const ProgressCallback& progress) {
  const std::uint64_t nodes = graph.row_count();
  const std::uint64_t chunks_per_round = (nodes + kWalksPerChunk - 1) / kWalksPerChunk;
  const std::uint64_t rounds = std::uint64_t{options.epochs} * options.walks_per_node;
  std::atomic<std::uint64_t> next{0};
  run_training_threads(options.threads, clock, progress, [&](unsigned) {
    embeddings::SkipGramTrainer trainer(options.skipgram);
    WalkBatch batch;
    for (std::uint64_t chunk = next++; chunk < rounds * chunks_per_round; chunk = next++) {
      const auto walk = static_cast<std::uint32_t>(chunk / chunks_per_round);
      const std::uint64_t first = chunk % chunks_per_round * kWalksPerChunk;
      const std::uint64_t last = std::min(first + kWalksPerChunk, nodes);
      const embeddings::StartOrder order(options.seed, walk, static_cast<partition::GlobalNode>(nodes));
      train_chunk(graph, engine, tables, order, walk, first, last, clock.learning_rate(), trainer, batch);
      clock.add(last - first, trainer.take_counters());
    }
  });
}

void train_stars_locally(const embeddings::StarSampler& stars, std::uint64_t first_star, std::uint64_t star_count,
                         const LocalTables& tables, const TrainingOptions& options,
                         const embeddings::SkipGramOptions& skipgram, TrainingClock& clock,
                         const ProgressCallback& progress) {
  std::atomic<std::uint64_t> next{0};
  run_training_threads(options.threads, clock, progress, [&](unsigned) {
    embeddings::LineTrainer trainer(skipgram);
    for (std::uint64_t first = next.fetch_add(kStarsPerChunk); first < star_count;
         first = next.fetch_add(kStarsPerChunk)) {
      const std::uint64_t count = std::min(kStarsPerChunk, star_count - first);
      embeddings::train_stars(trainer, stars, first_star + first, count, tables, clock.learning_rate());
      clock.add(count, trainer.take_counters());
    }
  });
}

void train_ppr_pairs_locally(const embeddings::PprStarSampler& stars, std::uint64_t first_star,
                             std::uint64_t star_count, const LocalTables& tables, const TrainingOptions& options,
                             TrainingClock& clock, const ProgressCallback& progress) {
  std::atomic<std::uint64_t> next{0};
  run_training_threads(options.threads, clock, progress, [&](unsigned) {
    embeddings::LineTrainer trainer(options.skipgram);
    embeddings::PprStars drawn;
    for (std::uint64_t first = next.fetch_add(kPprStarsPerChunk); first < star_count;
         first = next.fetch_add(kPprStarsPerChunk)) {
      const std::uint64_t count = std::min(kPprStarsPerChunk, star_count - first);
      stars.draw(first_star + first, count, drawn);
      embeddings::train_ppr_stars(trainer, drawn, first_star + first, tables, clock.learning_rate());
      clock.add(count, trainer.take_counters());
    }
  });
}

}  // namespace knotwork::worker
