// Training node embeddings by skip-gram with negative sampling, on one rank or on many.
//
// One rank: every row is local, no socket is opened; threads take chunks of start nodes, make their walks and train
// them at once, Hogwild style. Several ranks of one host that share memory do the same, on one table. Several hosts:
// walkers travel by MPI, and rows of other ranks come from their parameter servers ahead of training. The walk is the
// prefetch list.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "cluster/communicator.h"
#include "embeddings/embedding_file.h"
#include "embeddings/line.h"
#include "embeddings/skipgram.h"
#include "embeddings/walk.h"
#include "worker/consistency.h"
#include "worker/graph_distribution.h"
#include "worker/rank_figures.h"
#include "worker/row_servers.h"

namespace knotwork::worker {

class SnapshotKeeper;
class SnapshotReader;

enum class Model : std::uint8_t {
  kWalks,  ///< DeepWalk, and node2vec if p or q is not 1
  kLine,
  kPprPairs,  ///< VERSE: pairs by personalized PageRank; all rows must be at hand (one rank, or shared memory)
};

struct TrainingOptions {
  Model model = Model::kWalks;
  embeddings::WalkOptions walk;
  embeddings::SkipGramOptions skipgram;
  embeddings::LineOrder line_order = embeddings::LineOrder::kBoth;
  /// Walks from each node in one epoch. LINE draws as many edge samples as such walks would have nodes.
  std::uint32_t walks_per_node = 10;
  std::uint32_t epochs = 1;
  /// Training threads of each rank; 0: one a core of this process' share.
  unsigned threads = 0;
  /// The same bytes for any number of ranks and threads and any parts (deterministic_training.h), at a lower speed.
  bool deterministic = false;
  /// Several ranks only: if all of them share memory (DistributedGraph::whole), every rank touches all rows in place
  /// and nothing of what follows is needed. With ssp, bsp and deterministic rows travel all the same, since batches
  /// have a meaning there.
  bool shares_memory = true;
  /// Several ranks only: so many, the last ones, keep the tables' rows and train nothing; 0: every rank keeps those of
  /// its own nodes. The graph must have been scattered for as many.
  std::uint32_t server_ranks = 0;
  /// Several ranks only: walks in a batch of each rank. Messages and looks at replicas are for each batch, so small
  /// ones make training threads wait for the others of their core.
  std::uint32_t batch_walks = 1024;
  /// Several ranks only: how old rows of other ranks may be, in batches.
  Consistency consistency;
  /// Several ranks only: memory for copies of other ranks' rows, on each rank.
  std::size_t replica_bytes = std::size_t{1} << 30;
  /// Several ranks only: how long to wait for another rank's server.
  std::uint32_t timeout_ms = 30'000;
  /// Several ranks only: how rows travel between them.
  RowServerOptions servers;
  std::uint64_t seed = 1;

  /// Whether ranks may touch each other's rows in place.
  bool may_share_memory() const { return shares_memory && !consistency.bounded && !deterministic && server_ranks == 0; }
};

/// What a progress display shows; sums over all threads of this rank.
struct TrainingProgress {
  double fraction = 0;  ///< of all epochs, 0 .. 1
  double seconds = 0;   ///< since training began
  std::uint64_t words = 0;
  std::uint64_t pairs = 0;
  double loss = 0;  ///< mean per pair over the last interval, as embeddings/skipgram.h defines it
  double learning_rate = 0;
};

/// Called about twice a second from one thread of this rank.
using ProgressCallback = std::function<void(const TrainingProgress&)>;

/// Figures of a finished training, summed over all ranks (the same on every rank).
struct TrainingReport {
  std::uint64_t words = 0;  ///< centre positions trained
  std::uint64_t pairs = 0;  ///< (centre, context) pairs trained, each against its negatives too
  double seconds = 0;       ///< walks and training, wall time
  /// Pairs that the losses below come from; 0 if training was too short to take any: they are 0 then.
  std::uint64_t loss_pairs = 0;
  double loss_first = 0;  ///< mean per pair over the first twentieth of the work of which any was taken
  double loss = 0;        ///< mean per pair over the last such twentieth
  std::uint64_t rows_pulled = 0;
  std::uint64_t rows_pushed = 0;
  std::uint64_t bytes_received = 0;  ///< row and key bytes that came over sockets
  std::uint64_t bytes_sent = 0;
  std::uint64_t row_uses = 0;  ///< rows that walks needed, each time; counted with several ranks only
  double remote_share = 0;     ///< of those, rows of other ranks
  double wait_share = 0;       ///< of the training threads' time, that in which they had nothing to train
  std::uint64_t walkers_sent = 0;
  std::uint64_t walker_bytes = 0;
  std::uint64_t batches = 0;           ///< of all ranks
  std::uint64_t replicas = 0;          ///< held at the end
  std::uint64_t replicas_evicted = 0;  ///< that had to go for others
  std::uint64_t staleness_max = 0;     ///< batches: age of the oldest replica that any batch used
  bool shares_memory = false;          ///< all ranks touched all rows in place
  bool stopped = false;                ///< ended early, with a snapshot, because it was asked to
  bool last_snapshot_is_whole = false;
};

/// A model whose rows are spread over the ranks of a job: each rank's shard holds the rows of its own nodes.
class Trainer {
 public:
  /// Collective. Makes the shard, starts its server if there are several ranks, and initialises the rows.
  /// `graph`, `communicator` must outlive the trainer.
  Trainer(cluster::Communicator& communicator, const DistributedGraph& graph, TrainingOptions options);
  ~Trainer();
  Trainer(const Trainer&) = delete;
  Trainer& operator=(const Trainer&) = delete;

  /// Collective, before train(): goes on where the job of the snapshot was, on whatever ranks. Throws
  /// partition::InputError if the snapshot is of another model; that options agree is for the caller to see to.
  void restore(SnapshotReader& snapshot);

  /// Collective. Trains all epochs. `progress` may be empty. `keeper`: takes snapshots meanwhile, and may end the
  /// training before its time.
  TrainingReport train(const ProgressCallback& progress, SnapshotKeeper* keeper = nullptr);

  /// Columns of the published embedding.
  std::uint32_t dim() const;

  /// How this rank fares. Any thread, at any time.
  RankFigures figures() const;
  /// What rank 0 knows of all ranks, about a second old. Elsewhere the sums are this rank's alone, and what rank 0 says
  /// of the slowest. Any thread, at any time.
  JobFigures job_figures() const;
  /// This rank's traffic in rows; `hot_rows`: so many of its server's hottest. Any thread, at any time.
  RowServiceFigures row_service(std::size_t hot_rows) const;

  /// Collective: rank 0 pulls every row, in the order of original nodes, and appends it to `writer` (null elsewhere).
  void export_rows(embeddings::EmbeddingWriter* writer);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace knotwork::worker
