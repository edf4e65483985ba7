// The loop around LightGCN (embeddings/lightgcn.h): epochs, judging on the way, the best epoch kept.
//
// With a SnapshotKeeper, snapshots are taken between two steps (worker/lightgcn_snapshots.h). A resumed training gives
// the same bytes as one that was never stopped, on any number of ranks and threads.
//
// Several ranks work on one copy of graph and tables in memory that they share, and get the same bytes as one.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <vector>

#include "cluster/communicator.h"
#include "embeddings/lightgcn.h"
#include "embeddings/ranking_lists.h"
#include "partition/graph.h"
#include "partition/huge_array.h"
#include "worker/snapshot_keeper.h"
#include "worker/snapshot_reader.h"

namespace knotwork::worker {

/// A point of the learning curve.
struct RankingPoint {
  std::uint32_t epoch = 0;
  double loss = 0;
  double seconds = 0;
  /// Without judging: empty.
  std::optional<embeddings::RankingScores> scores;
};

struct LightGcnTraining {
  embeddings::LightGcnOptions model;
  unsigned threads = 1;
  /// Epochs from one judging to the next; the last epoch is always judged.
  std::uint32_t evaluate_every = 5;
  /// The epoch with the best recall is kept, and training ends after so many judgings without a better one (0: never).
  bool keeps_best = false;
  std::uint32_t patience = 0;
  /// K of recall@K.
  std::size_t k = 20;
};

/// Where snapshots go, and what training goes on from; null: nowhere, from nothing.
struct LightGcnSaves {
  SnapshotKeeper* keeper = nullptr;
  SnapshotReader* from = nullptr;
};

struct LightGcnReport {
  /// One an epoch.
  std::vector<RankingPoint> curve;
  /// Whose rows are the result.
  std::uint32_t epoch = 0;
  std::uint64_t pairs = 0;
  double seconds = 0;
  double judge_seconds = 0;
  /// Root only: F in the order of original nodes, `dim` floats a row.
  partition::HugeArray<float> rows;
  /// Training was stopped with a snapshot: there are no rows. Whether that snapshot is whole.
  bool stopped = false;
  bool last_snapshot_is_whole = false;
};

/// Share of all epochs that is done, and the last point, with scores if it was just judged. On the root, from the
/// calling thread.
using LightGcnProgress = std::function<void(double done, const RankingPoint& last)>;

/// Collective. `graph`: the whole graph, on every rank the same memory or, with one rank, any. `judged`: root only;
/// what the curve is taken on, may be null. Throws partition::InputError as embeddings::LightGcn, and if training
/// diverges.
LightGcnReport train_lightgcn(cluster::Communicator& communicator, const partition::Graph& graph,
                              partition::OriginalNode user_count, const LightGcnTraining& options,
                              const embeddings::RankingLists* judged, const LightGcnProgress& progress,
                              const LightGcnSaves& saves = {});

}  // namespace knotwork::worker
