// What of a network's training goes into a snapshot, and how it goes on from one (worker/snapshot_keeper.h,
// docs/formats.md). For the full graph on one rank and for batches on many: the parts are the same.
//
// Snapshots are taken between two steps, when weights are the same on all ranks: rank 0 writes them, with Adam's
// moments, the best model so far and the learning curve. Learnt rows of nodes are a table that every rank writes its
// part of while training goes on, each row as it was when training stood still (worker/frozen_rows.h). Random numbers
// are functions of seed, epoch and batch, and need no state.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <limits>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "cluster/communicator.h"
#include "embeddings/gnn/objective.h"
#include "embeddings/gnn/weights.h"
#include "partition/ids.h"
#include "ps/table.h"
#include "worker/frozen_rows.h"
#include "worker/snapshot_keeper.h"
#include "worker/snapshot_reader.h"

namespace knotwork::worker {

/// Of one epoch of the learning curve.
struct NetworkPoint {
  /// From 1.
  std::uint32_t epoch = 0;
  bool is_validated = false;
  bool is_best = false;
  double loss = 0;
  double seconds = 0;
  double valid_loss = 0;
  embeddings::gnn::LabelScores valid;
};

/// The model with the lowest validation loss so far.
struct BestNetwork {
  /// From 1; 0: none yet.
  std::uint32_t epoch = 0;
  double loss = std::numeric_limits<double>::infinity();
  std::vector<float> weights;

  /// True if the model of this epoch is better than all before; it is kept then.
  bool offer(std::uint32_t of_epoch, double valid_loss, const std::vector<float>& model);
};

/// Where a training stands between two steps.
struct NetworkPosition {
  std::uint32_t epochs_done = 0;
  /// Of the epoch that was begun after these: batches done, and this rank's losses of them.
  std::uint32_t batches_done = 0;
  double loss_sum = 0;
  double seconds = 0;
  embeddings::gnn::NetworkState state;
  BestNetwork best;
  std::vector<NetworkPoint> curve;
};

/// For one training. Methods are collective where not said otherwise.
class NetworkSnapshots {
 public:
  /// This rank's nodes, and where ranks' nodes begin and end when all are put one behind the other. Both must outlive
  /// the training.
  struct Place {
    std::span<const partition::OriginalNode> nodes;
    std::vector<partition::GlobalNode> bounds;
  };
  /// Null `keeper`: no snapshots are taken; null `from`: training begins anew. Not collective.
  NetworkSnapshots(cluster::Communicator& communicator, SnapshotKeeper* keeper, SnapshotReader* from, Place place)
      : communicator_(communicator), keeper_(keeper), from_(from), place_(std::move(place)) {}
  /// However training ends: what it leaves isn't read any more. Not collective.
  ~NetworkSnapshots();
  NetworkSnapshots(const NetworkSnapshots&) = delete;
  NetworkSnapshots& operator=(const NetworkSnapshots&) = delete;

  /// Before training: nodes' learnt rows, this rank's of them. Must outlive the training. `changes_are_told`: whoever
  /// changes rows asks frozen() before; else a snapshot has each row as it is when it is copied (asp). Not collective.
  void add_rows(ps::Table& rows, bool changes_are_told = true) {
    rows_ = &rows;
    changes_are_told_ = changes_are_told;
  }
  /// Before training: ranks are not to wait for each other at every look(). They vote after as many looks as take the
  /// slowest about kVoteSeconds (a quarter of the time between two snapshots if that is less; mpirun kills a second
  /// after it asks to stop), but kLooksToAVote at least, so that slow batches don't make it bsp.
  void vote_seldom() { looks_to_a_vote_ = least_looks_ = kLooksToAVote; }
  static constexpr double kVoteSeconds = 0.5;
  static constexpr std::uint64_t kLooksToAVote = 8;
  /// What the snapshot says, and the rows filled; nothing without one. `loss_sum` is on rank 0 that of all ranks.
  /// Throws partition::InputError if the network has another number of weights.
  std::optional<NetworkPosition> resume(std::size_t weights);

  /// Takes a snapshot if one is due; `position` is called then. Returns whether training is to go on. Every rank calls
  /// it as often.
  bool look(bool has_work, const std::function<NetworkPosition()>& position);
  /// Rows that a snapshot is still to read as they were; null if there are none. Whoever changes rows tells it before.
  /// Not collective.
  std::shared_ptr<FrozenRows> frozen() const { return frozen_.lock(); }

  /// After training: waits for what is being written. Returns whether the last snapshot is whole.
  bool finish() { return keeper_ != nullptr && keeper_->finish(); }
  /// Whether look() has ended training. Not collective.
  bool stopped() const { return stopped_; }

 private:
  void take(const NetworkPosition& position, bool is_end);
  void plan_next_vote();

  cluster::Communicator& communicator_;
  SnapshotKeeper* keeper_;
  SnapshotReader* from_;
  Place place_;
  ps::Table* rows_ = nullptr;
  bool changes_are_told_ = true;
  std::uint64_t looks_ = 0;            // Since the last vote.
  std::uint64_t looks_to_a_vote_ = 1;  // The next is at this one.
  std::uint64_t least_looks_ = 1;
  std::chrono::steady_clock::time_point last_vote_ = std::chrono::steady_clock::now();
  std::weak_ptr<FrozenRows> frozen_;  // The snapshot that is being written keeps it.
  bool stopped_ = false;
};

}  // namespace knotwork::worker
