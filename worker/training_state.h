// What a Trainer holds; for training.cpp, which trains, and training_figures.cpp, which tells how it fares.
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "embeddings/negative_sampler.h"
#include "ps/client.h"
#include "ps/shard.h"
#include "worker/deterministic_training.h"
#include "worker/distributed_training.h"
#include "worker/local_training.h"
#include "worker/row_servers.h"
#include "worker/snapshot_keeper.h"
#include "worker/snapshot_reader.h"
#include "worker/training.h"
#include "worker/training_breaks.h"
#include "worker/training_clock.h"
#include "worker/walk_schedule.h"

namespace knotwork::worker {

/// One table pair that is trained alone; its input table is a block of the published columns. LINE's first order has
/// one table in both roles.
struct TrainedBlock {
  ps::TableIndex inputs;
  ps::TableIndex outputs;
  ps::TableIndex clocks;
  embeddings::SkipGramOptions options;
  embeddings::DenseRows input_rows;  // all that this rank reaches in place
  embeddings::DenseRows output_rows;
};

struct Trainer::State {
  State(cluster::Communicator& communicator_in, const DistributedGraph& graph_in, TrainingOptions options_in)
      : communicator(communicator_in),
        graph(graph_in),
        options(std::move(options_in)),
        shares_rows(graph.whole && options.may_share_memory()),
        negatives(embeddings::NegativeSampler::or_none(embeddings::node_masses(reach(), 0.75, options.walk.weighted),
                                                       reach().first_node())) {}

  bool alone() const { return communicator.size() == 1; }
  /// Whether this rank keeps rows for others and trains nothing.
  bool serves_only() const {
    return communicator.rank() >= communicator.size() - static_cast<int>(options.server_ranks);
  }
  /// Whether every row of the job can be touched in place.
  bool has_all_rows() const { return alone() || shares_rows; }
  /// What this rank can walk on without asking others.
  const partition::Graph& reach() const { return has_all_rows() && graph.whole ? *graph.whole : graph.slice; }

  cluster::Communicator& communicator;
  const DistributedGraph& graph;
  TrainingOptions options;
  bool shares_rows;
  embeddings::NegativeSampler negatives;  // over reach()
  ps::Shard shard;
  std::vector<TrainedBlock> blocks;
  std::optional<RowServers> servers;
  std::unique_ptr<ps::Client> client;
  DistributedCosts costs;
  TrainingMeter meter;
  mutable std::mutex clock_mutex;
  std::unique_ptr<TrainingClock> running_clock;  // The pointer is guarded by clock_mutex.
  std::optional<double> trained_seconds;         // Guarded by clock_mutex; empty while training goes on.

  // What a snapshot said of the job that goes on here; as if nothing had been done otherwise.
  struct Resumed {
    bool is_resumed = false;
    TrainingClock::Reading clock;            // on rank 0 of all ranks before; elsewhere only the seconds
    std::vector<std::uint32_t> rounds_done;  // walks: by own row
    std::uint32_t first_round = 0;           // walks: rounds from it on are whole on all ranks
    std::uint64_t batches = 0;               // several hosts: made so far
    std::size_t block = 0;                   // the block that was trained
    std::uint64_t units = 0;                 // deterministic: behind, in that block; stars: of all ranks
    std::uint64_t star_offset = 0;           // LINE: numbers of stars that no rank has used in that block
    std::vector<StarSpan> stars_left;        // pairs by PageRank: this rank's
  };
  Resumed resumed;
  std::optional<WalkSchedule> schedule;
  std::vector<StarSpan> ppr_stars;  // this rank's
  std::size_t block_at_hand = 0;
  SnapshotKeeper* keeper = nullptr;
  bool stopped = false;

  void count_threads_on_rows();
  void add_blocks();
  void add_block(const std::string& name, const embeddings::SkipGramOptions& skipgram, bool one_table);
  std::pair<ps::TableIndex, embeddings::DenseRows> add_table(const std::string& name,
                                                             const embeddings::SkipGramOptions& skipgram);
  void connect();
  DistributedJob job(const TrainedBlock& block, TrainingClock& clock, const ProgressCallback& progress,
                     TrainingBreaks* breaks);
  DeterministicJob deterministic_job(const TrainedBlock& block, TrainingClock& clock, const ProgressCallback& progress,
                                     TrainingBreaks* breaks);
  void count(const DistributedCosts& more);
  /// What this rank is going to train: all there is, or what a snapshot left.
  void plan_work();
  class Breaks;
  /// Null without a keeper.
  std::unique_ptr<TrainingBreaks> breaks();
  SnapshotContent content_at(const TrainingPosition& position);
  std::vector<partition::GlobalNode> row_bounds();
  void restore(SnapshotReader& snapshot);
  void restore_positions(SnapshotReader& snapshot);
  std::uint32_t rounds() const { return options.epochs * options.walks_per_node; }
  /// Of the block at hand, this rank's stars that are left.
  StarSpan stars_left_of(std::size_t block, std::uint64_t own_stars) const;
  /// Work of this rank that was done before it began.
  std::uint64_t work_before();
  void train_walks(TrainingClock& clock, const ProgressCallback& progress, TrainingBreaks* breaks);
  void train_stars(TrainingClock& clock, const ProgressCallback& progress, TrainingBreaks* breaks);
  void train_ppr_pairs(TrainingClock& clock, const ProgressCallback& progress, TrainingBreaks* breaks);
  embeddings::LocalTables local_tables(const TrainedBlock& block, std::span<const float> keep);
  void pull_rows(const TrainedBlock& block, std::span<const ps::RowIndex> rows, std::span<float> values);
  std::vector<float> keep_probabilities() const;
  std::uint64_t stars_of_job() const;
  std::uint64_t stars_of_rank() const;
  std::uint64_t first_ppr_star(int rank) const;
  std::uint64_t work_of_rank() const;
  TrainingClock& start_clock(embeddings::LearningRate learning_rate);
  RankFigures figures() const;
  /// Of the first and the last twentieth of the work in which any loss was taken.
  struct Losses {
    std::uint64_t pairs = 0;
    double first = 0;
    double last = 0;
  };
  Losses losses_of_job(const TrainingClock& clock);
  TrainingReport report(const TrainingClock& clock);
  std::vector<partition::GlobalNode> nodes_in_output_order();
};

}  // namespace knotwork::worker
