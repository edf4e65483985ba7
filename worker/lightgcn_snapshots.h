// What of LightGCN's training goes into a snapshot, and how it goes on from one (worker/snapshot_keeper.h,
// docs/formats.md).
//
// Every step changes every row, so setting rows aside as they change would be a copy of all in the end: the rows are
// copied at once, by all threads, while training stands still, and written from there. The copies stay for the next
// snapshot. Each rank copies and writes an equal run of the rows that all ranks share.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "cluster/communicator.h"
#include "embeddings/crew.h"
#include "embeddings/lightgcn.h"
#include "ps/table.h"
#include "worker/lightgcn.h"
#include "worker/snapshot_keeper.h"
#include "worker/snapshot_reader.h"

namespace knotwork::worker {

/// Where a training stands between two steps. What is said of losses and of the best epoch counts on rank 0.
struct LightGcnPosition {
  std::uint32_t epochs_done = 0;
  /// Of the epoch that was begun after these: steps done, and their losses and pairs.
  std::uint32_t steps_done = 0;
  double loss = 0;
  std::uint64_t pairs = 0;
  /// Of all epochs that are done.
  std::uint64_t pairs_before = 0;
  double seconds = 0;
  double judge_seconds = 0;
  double best_recall = -1;
  std::uint32_t best_epoch = 0;
  std::uint32_t without_gain = 0;
  std::vector<RankingPoint> curve;
};

/// For one training. Methods are collective where not said otherwise.
class LightGcnSnapshots {
 public:
  /// `best`: rows of the best epoch by global node, as far apart as the model's, in memory that all ranks share; may be
  /// empty. Null `saves.keeper`: no snapshots are taken; null `saves.from`: training begins anew. Throws
  /// std::bad_alloc.
  LightGcnSnapshots(cluster::Communicator& communicator, const LightGcnSaves& saves,
                    const embeddings::UserItemGraph& graph, std::uint32_t dim, embeddings::LightGcn& model,
                    std::span<float> best, embeddings::Crew& crew);
  /// What is being written isn't read any more. Not collective.
  ~LightGcnSnapshots();
  LightGcnSnapshots(const LightGcnSnapshots&) = delete;
  LightGcnSnapshots& operator=(const LightGcnSnapshots&) = delete;

  /// Puts the model back to where the snapshot has it; nothing without one. Throws partition::InputError.
  std::optional<LightGcnPosition> resume();
  /// Takes a snapshot if one is due; `position` is called then. Returns whether training is to go on.
  bool look(bool has_work, const std::function<LightGcnPosition()>& position);
  /// After training: waits for what is being written. Returns whether the last snapshot is whole.
  bool finish() { return saves_.keeper != nullptr && saves_.keeper->finish(); }
  /// Whether look() has ended training. Not collective.
  bool stopped() const { return stopped_; }

  /// Bytes of copies that a training with snapshots takes, on all ranks together.
  static std::uint64_t least_memory(std::uint64_t nodes, std::uint32_t dim, bool keeps_best);

 private:
  /// A table of the model, and this rank's part of it as a snapshot has it.
  struct Copied {
    std::span<float> rows;
    ps::Table copy;
  };
  void add(const char* name, std::span<float> rows);
  void take(const LightGcnPosition& position);
  template <typename Copy>
  void for_own_rows(const Copy& copy);

  cluster::Communicator& communicator_;
  LightGcnSaves saves_;
  const embeddings::UserItemGraph& graph_;
  std::uint32_t dim_;
  embeddings::LightGcn& model_;
  embeddings::Crew& crew_;
  embeddings::Crew::Range own_;
  std::vector<std::unique_ptr<Copied>> tables_;
  bool stopped_ = false;
};

}  // namespace knotwork::worker
