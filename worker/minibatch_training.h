// Training a graph neural network in mini-batches of sampled neighbourhoods, on one rank or many.
//
// Every rank holds the weights of the network, and rows (features or learnable id embeddings) of its own nodes. A batch
// is shared: each rank does the seeds that it holds. How ranks share what they learn is a matter of consistency:
//
//   bsp         gradients of weights (dense_weights.h) and of id embeddings (row_gradients.h) are added up over all
//               ranks, which then make the same step: N ranks train the batches of one, and differ by rounding alone
//   asp, ssp:N  each rank pushes its gradients to the parameter server (served_weights.h), which makes a step with each
//               as it comes; ranks wait for nobody (asp) or for those that are N batches behind (ssp). They meet after
//               each epoch, before a snapshot, and where they must ask each other for neighbours
//
// While a batch is trained, the next one is sampled and its rows travel: on a thread of its own where nobody else needs
// to be asked for neighbours, before training where MPI is. Rows that change (id embeddings) are asked for when the
// step before is done.
//
// Snapshots are taken between two batches (worker/network_snapshots.h). Resumed on as many ranks and parts, a training
// gives the same bytes as one that was never stopped; on others, it differs by rounding, as it does without.
//
// Training on the full graph is the same with one batch of all seeds and a fan-out of kAllNeighbours.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "cluster/communicator.h"
#include "embeddings/embedding_file.h"
#include "embeddings/gnn/network.h"
#include "embeddings/gnn/objective.h"
#include "embeddings/gnn/weights.h"
#include "embeddings/neighbour_sampler.h"
#include "worker/consistency.h"
#include "worker/graph_distribution.h"
#include "worker/minibatch_data.h"
#include "worker/network_snapshots.h"
#include "worker/row_servers.h"

namespace knotwork::worker {

enum class MinibatchGoal : std::uint8_t {
  kLabels,  ///< label_loss over the seeds' labels
  kLinks,   ///< link_loss, of all nodes that have neighbours: a seed and one of its neighbours, against negatives that
            ///< all pairs of a batch share
};

struct MinibatchOptions {
  MinibatchGoal goal = MinibatchGoal::kLabels;
  embeddings::gnn::LabelLoss label_loss = embeddings::gnn::LabelLoss::kSoftmax;
  embeddings::gnn::AdamOptions adam;
  /// Of the network: classes, or dimensions of an embedding.
  std::uint32_t output_columns = 0;
  /// By layer of the network, from the output side: the most neighbours that a node draws.
  std::vector<std::uint32_t> fan_outs{10, 10};
  /// Seeds (kLinks: pairs) of all ranks in a batch.
  std::uint32_t batch = 1024;
  std::uint32_t epochs = 10;
  /// kLabels with validation nodes: epochs without a lower validation loss after which training ends; 0: never. The
  /// weights of the best epoch are kept in any case.
  std::uint32_t patience = 0;
  /// kLinks: negatives of a batch, and what they weigh together beside 1 for the pair.
  std::uint32_t negatives = 256;
  double negative_weight = 5;
  /// Columns of learnable id embeddings where there are no features.
  std::uint32_t id_columns = 128;
  /// Seeds of this rank in a batch where no gradient is needed; all neighbours are taken there.
  std::uint32_t inference_batch = 16384;
  /// Memory for features of other ranks' nodes that stay here, the hottest by data_tiering.h; 0: none.
  std::size_t cache_bytes = std::size_t{1} << 30;
  /// Without tiering the cache takes nodes of other ranks at random: to see what tiering is worth.
  bool tiers = true;
  /// How far ranks may be apart.
  Consistency consistency = kBulkSynchronous;
  RowServerOptions servers;
  unsigned threads = 1;
  std::uint64_t seed = 1;
};

/// How well labels are predicted.
struct MinibatchScores {
  embeddings::gnn::LabelScores labels;
  double loss = 0;
};

/// Of one epoch, the same on all ranks.
struct MinibatchEpoch {
  std::uint32_t epoch = 0;
  double loss = 0;
  double seconds = 0;  ///< training alone
  std::optional<MinibatchScores> validation;
  bool is_best = false;
};
using MinibatchProgress = std::function<void(const MinibatchEpoch&)>;

/// Of the whole training; sums over ranks. After a resume, traffic is that since then.
struct MinibatchReport {
  std::vector<MinibatchEpoch> epochs;
  std::uint32_t best_epoch = 0;
  double seconds = 0;       ///< training without validation, of the slowest rank
  std::uint64_t seeds = 0;  ///< trained, all epochs
  std::uint64_t arcs = 0;   ///< of all sampled blocks
  std::uint64_t input_rows = 0;
  std::uint64_t rows_cached = 0;  ///< rows of other ranks that batches used and the cache had
  std::uint64_t rows_pulled = 0;  ///< those it had not
  std::uint64_t row_bytes = 0;    ///< keys sent and rows received for batches
  std::uint64_t cache_rows = 0;   ///< held, and what filling the cache cost
  std::uint64_t cache_bytes = 0;
  std::uint64_t sample_bytes = 0;    ///< nodes and neighbours that travelled
  std::uint64_t gradient_bytes = 0;  ///< of id embeddings
  std::uint64_t weight_bytes = 0;    ///< of weights: what ranks give to all-reduces, or exchange with servers
  double wait_share = 0;             ///< of all ranks' time of training: that they stood still for weights
  bool stopped = false;              ///< with a snapshot, before the end
  bool last_snapshot_is_whole = false;

  /// Of other ranks' rows, those that the cache had; 1 if there were none.
  double hit_rate() const {
    const std::uint64_t remote = rows_cached + rows_pulled;
    return remote > 0 ? static_cast<double>(rows_cached) / static_cast<double>(remote) : 1.0;
  }
};

class MinibatchTrainer {
 public:
  /// Collective. `network`: of as many inputs as features have columns (options.id_columns without). Arguments must
  /// outlive the trainer. Throws partition::InputError if there is nothing to train on, and on fan-outs that are not
  /// one a block of the network.
  MinibatchTrainer(cluster::Communicator& communicator, const DistributedGraph& graph,
                   embeddings::gnn::Network& network, const MinibatchData& data, MinibatchOptions options);
  ~MinibatchTrainer();
  MinibatchTrainer(const MinibatchTrainer&) = delete;
  MinibatchTrainer& operator=(const MinibatchTrainer&) = delete;

  /// Collective. `progress` is called after each epoch; may be empty. Where snapshots go, and what training goes on
  /// from: null for nowhere and nothing.
  MinibatchReport train(const MinibatchProgress& progress, SnapshotKeeper* keeper = nullptr,
                        SnapshotReader* from = nullptr);

  /// The best epoch's; the same on all ranks.
  const embeddings::gnn::NetworkState& state() const;
  /// Goes on from there (inference of a saved model). The same on all ranks.
  void set_state(embeddings::gnn::NetworkState state);

  /// Collective: how well labels of `nodes` (this rank's) are predicted, over all ranks, from whole neighbourhoods.
  MinibatchScores score(std::span<const partition::GlobalNode> nodes);

  /// Collective: rows of all nodes from whole neighbourhoods, appended on rank 0 in the order of original nodes: the
  /// embedding, and the outputs (logits). Both null elsewhere; either may be null.
  void export_rows(embeddings::EmbeddingWriter* embedding, embeddings::EmbeddingWriter* outputs);

 private:
  class Run;
  std::unique_ptr<Run> run_;
};

}  // namespace knotwork::worker
