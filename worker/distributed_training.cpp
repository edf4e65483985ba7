#include "worker/distributed_training.h"

#include <algorithm>
#include <chrono>

#ifdef _OPENMP
#include <omp.h>
#endif

#include "embeddings/start_order.h"
#include "worker/travelling_walks.h"

namespace knotwork::worker {

using embeddings::PooledNegatives;
using embeddings::RowPointer;
using embeddings::WalkBatch;
using embeddings::WalkKey;
using embeddings::WalkStart;
using partition::GlobalNode;

namespace {

/// Negatives that a rank draws from the whole graph for one batch; windows draw from them again. More: closer to
/// independent draws; fewer: fewer rows to pull.
constexpr std::uint32_t kNegativePoolSize = 4096;

std::size_t thread_number() {
#ifdef _OPENMP
  return static_cast<std::size_t>(omp_get_thread_num());
#else
  return 0;
#endif
}

/// Calls the progress display about twice a second, from the thread that makes the batches.
class ProgressTicker {
 public:
  ProgressTicker(TrainingClock& clock, const ProgressCallback& callback) : clock_(clock), callback_(callback) {}
  void tick() {
    if (!callback_ || clock_.seconds() - shown_ < 0.5) return;
    shown_ = clock_.seconds();
    callback_(clock_.progress());
  }

 private:
  TrainingClock& clock_;
  const ProgressCallback& callback_;
  double shown_ = 0;
};

/// Pulls the rows of one batch: inputs of `contexts`, outputs of `targets` and of the pool's nodes.
std::vector<RowPointer> fetch_rows(const RowBatches& rows, std::span<const GlobalNode> contexts,
                                   std::span<const GlobalNode> targets, std::span<const GlobalNode> pool_nodes) {
  std::vector<GlobalNode> outputs(targets.begin(), targets.end());
  outputs.insert(outputs.end(), pool_nodes.begin(), pool_nodes.end());
  if (&rows.inputs == &rows.outputs) {
    outputs.insert(outputs.end(), contexts.begin(), contexts.end());
  } else {
    rows.inputs.start_fetch(contexts);
  }
  rows.outputs.start_fetch(outputs);
  if (&rows.inputs != &rows.outputs) rows.inputs.wait();
  rows.outputs.wait();
  std::vector<RowPointer> pool;
  pool.reserve(pool_nodes.size());
  for (const GlobalNode node : pool_nodes) pool.push_back(rows.outputs.row(node));
  return pool;
}

void push_rows(const RowBatches& rows) {
  rows.outputs.push();
  if (&rows.inputs != &rows.outputs) rows.inputs.push();
}

/// The row pointers of one walk's positions.
struct WalkPointers {
  std::vector<float*> inputs, outputs, input_accumulators, output_accumulators;

  embeddings::WalkRows of(const RowBatches& rows, std::span<const GlobalNode> path) {
    inputs.clear(), outputs.clear(), input_accumulators.clear(), output_accumulators.clear();
    for (const GlobalNode node : path) {
      const RowPointer input = rows.inputs.row(node);
      const RowPointer output = rows.outputs.row(node);
      inputs.push_back(input.values);
      outputs.push_back(output.values);
      if (input.accumulator == nullptr) continue;
      input_accumulators.push_back(input.accumulator);
      output_accumulators.push_back(output.accumulator);
    }
    return {inputs, outputs, input_accumulators, output_accumulators};
  }
};

/// The state of one training thread.
struct WalkThread {
  explicit WalkThread(const embeddings::SkipGramOptions& options) : trainer(options) {}
  embeddings::SkipGramTrainer trainer;
  WalkPointers pointers;
  std::vector<GlobalNode> kept;
};

void train_walk_batch(const DistributedJob& job, const WalkBatch& batch, std::span<const WalkKey> keys,
                      std::span<const RowPointer> pool, std::span<const float> keep, std::vector<WalkThread>& threads) {
  const PooledNegatives negatives(pool);
  const float learning_rate = job.clock.learning_rate();
#pragma omp parallel for schedule(dynamic, 8) num_threads(job.options.threads)
  for (std::size_t i = 0; i < batch.size(); ++i) {
    WalkThread& thread = threads[thread_number()];
    std::span<const GlobalNode> path = batch.path(i);
    if (!keep.empty()) {
      embeddings::subsample_walk(path, keys[i], keep, job.options.seed, thread.kept);
      path = thread.kept;
    }
    thread.trainer.train_walk(thread.pointers.of(job.rows, path), negatives, keys[i], learning_rate);
  }
}

template <typename Thread>
std::vector<Thread> make_threads(unsigned count, const embeddings::SkipGramOptions& options) {
  std::vector<Thread> threads;
  threads.reserve(count);
  for (unsigned i = 0; i < count; ++i) threads.emplace_back(options);
  return threads;
}

template <typename Thread>
embeddings::TrainingCounters take_counters(std::vector<Thread>& threads) {
  embeddings::TrainingCounters sum;
  for (Thread& thread : threads) sum += thread.trainer.take_counters();
  return sum;
}

/// This rank's starts of one batch, in the round's order.
void choose_starts(const DistributedGraph& graph, const embeddings::StartOrder& order, std::uint32_t walk,
                   std::uint64_t first, std::uint64_t last, std::vector<WalkStart>& starts,
                   std::vector<WalkKey>& keys) {
  starts.clear();
  keys.clear();
  for (std::uint64_t i = first; i < last; ++i) {
    const GlobalNode node = graph.slice.first_node() + order.at(static_cast<GlobalNode>(i));
    starts.push_back({node, walk});
    keys.push_back({graph.slice.original(node), walk});
  }
}

std::vector<GlobalNode> nodes_of(const WalkBatch& batch) {
  std::vector<GlobalNode> nodes;
  for (std::size_t i = 0; i < batch.size(); ++i) {
    const auto path = batch.path(i);
    nodes.insert(nodes.end(), path.begin(), path.end());
  }
  return nodes;
}

/// The state of one training thread of LINE.
struct StarThread {
  explicit StarThread(const embeddings::SkipGramOptions& options) : trainer(options) {}
  embeddings::LineTrainer trainer;
  std::vector<RowPointer> contexts;
};

/// The stars of one batch: star i has centres[i] and the i-th run of `edges_per_star` neighbours.
struct StarBatch {
  std::uint64_t first_star = 0;
  std::uint32_t edges_per_star = 0;
  std::vector<GlobalNode> centres;
  std::vector<GlobalNode> neighbours;
};

StarBatch draw_stars(const embeddings::StarSampler& stars, std::uint64_t seed, std::uint64_t first, std::uint64_t count,
                     std::uint32_t edges_per_star) {
  StarBatch batch{first, edges_per_star, std::vector<GlobalNode>(count),
                  std::vector<GlobalNode>(count * edges_per_star)};
  for (std::uint64_t i = 0; i < count; ++i) {
    const auto row = std::span(batch.neighbours).subspan(i * edges_per_star, edges_per_star);
    batch.centres[i] = stars.draw(seed, first + i, row);
  }
  return batch;
}

void train_star_batch(const DistributedJob& job, const StarBatch& batch, std::span<const RowPointer> pool,
                      std::vector<StarThread>& threads) {
  const PooledNegatives negatives(pool);
  const float learning_rate = job.clock.learning_rate();
#pragma omp parallel for schedule(dynamic, 64) num_threads(job.options.threads)
  for (std::size_t i = 0; i < batch.centres.size(); ++i) {
    StarThread& thread = threads[thread_number()];
    thread.contexts.clear();
    for (std::uint32_t edge = 0; edge < batch.edges_per_star; ++edge) {
      thread.contexts.push_back(job.rows.inputs.row(batch.neighbours[i * batch.edges_per_star + edge]));
    }
    thread.trainer.train_star(thread.contexts, job.rows.outputs.row(batch.centres[i]), negatives, batch.first_star + i,
                              learning_rate);
  }
}

}  // namespace

BatchPlan plan_batches(cluster::Communicator& communicator, std::uint64_t items, std::uint64_t largest) {
  const std::uint64_t most = communicator.allreduce(items, cluster::Reduction::kMax);
  const std::uint64_t batches = (most + largest - 1) / largest;
  return {batches, batches == 0 ? 0 : (items + batches - 1) / batches};
}

void train_walks_across_ranks(DistributedJob job, const embeddings::WalkEngine& engine, std::span<const float> keep) {
  const std::uint64_t nodes = job.graph.slice.row_count();
  const BatchPlan plan = plan_batches(job.communicator, nodes, job.options.batch_walks);
  TravellingWalks walks(job.communicator, job.graph, engine, job.options.threads);
  auto threads = make_threads<WalkThread>(job.options.threads, job.options.skipgram);
  ProgressTicker ticker(job.clock, job.progress);
  std::vector<WalkStart> starts;
  std::vector<WalkKey> keys;
  WalkBatch batch;
  std::uint32_t batch_number = 0;
  for (std::uint32_t walk = 0; walk < job.options.epochs * job.options.walks_per_node; ++walk) {
    const embeddings::StartOrder order(job.options.seed, walk, static_cast<GlobalNode>(nodes));
    for (std::uint64_t i = 0; i < plan.batches; ++i) {
      const std::uint64_t first = std::min(i * plan.batch_size, nodes);
      choose_starts(job.graph, order, walk, first, std::min(first + plan.batch_size, nodes), starts, keys);
      walks.generate(starts, batch);
      const std::vector<GlobalNode> nodes_in_batch = nodes_of(batch);
      const std::vector<GlobalNode> pool_nodes = job.negatives.draw(kNegativePoolSize, batch_number++);
      const std::vector<RowPointer> pool = fetch_rows(job.rows, nodes_in_batch, nodes_in_batch, pool_nodes);
      train_walk_batch(job, batch, keys, pool, keep, threads);
      push_rows(job.rows);
      job.clock.add(starts.size(), take_counters(threads));
      ticker.tick();
    }
  }
  job.client.flush();
  job.communicator.barrier();
}

void train_stars_across_ranks(DistributedJob job, const embeddings::StarSampler& stars,
                              const embeddings::SkipGramOptions& skipgram, std::uint64_t first_star,
                              std::uint64_t star_count) {
  const std::uint64_t stars_per_batch = std::uint64_t{job.options.batch_walks} * job.options.walk.length;
  const BatchPlan plan = plan_batches(job.communicator, star_count, stars_per_batch);
  auto threads = make_threads<StarThread>(job.options.threads, skipgram);
  ProgressTicker ticker(job.clock, job.progress);
  for (std::uint64_t i = 0; i < plan.batches; ++i) {
    const std::uint64_t first = std::min(i * plan.batch_size, star_count);
    const std::uint64_t count = std::min(plan.batch_size, star_count - first);
    const StarBatch batch = draw_stars(stars, skipgram.seed, first_star + first, count, skipgram.window);
    const std::vector<GlobalNode> pool_nodes = job.negatives.draw(kNegativePoolSize, static_cast<std::uint32_t>(i));
    const std::vector<RowPointer> pool = fetch_rows(job.rows, batch.neighbours, batch.centres, pool_nodes);
    train_star_batch(job, batch, pool, threads);
    push_rows(job.rows);
    job.clock.add(count, take_counters(threads));
    ticker.tick();
  }
  job.client.flush();
  job.communicator.barrier();
}

}  // namespace knotwork::worker
