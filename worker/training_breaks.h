// What a training loop and the snapshots of its job say to each other. A loop asks vote() between two pieces of work;
// if a snapshot is due it brings its own work to rest and says where it stands.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>

#include "ps/table.h"
#include "worker/frozen_rows.h"
#include "worker/snapshot_keeper.h"
#include "worker/walk_schedule.h"

namespace knotwork::worker {

/// How far a loop is on this rank; which fields count is for the loop's method.
struct TrainingPosition {
  /// Walks without --deterministic.
  WalkPosition walks;
  /// Units (stars; walks with --deterministic) that are behind, of those that the loop was given.
  std::uint64_t units = 0;
  /// Several hosts: number of the next batch, the same on all ranks.
  std::uint64_t batches = 0;
};

class TrainingBreaks {
 public:
  using Clock = std::chrono::steady_clock;
  TrainingBreaks() = default;
  TrainingBreaks(const TrainingBreaks&) = delete;
  TrainingBreaks& operator=(const TrainingBreaks&) = delete;
  virtual ~TrainingBreaks() = default;

  /// Time between two snapshots' beginnings: whoever looks by the clock should look more often.
  virtual std::chrono::milliseconds every() const = 0;

  /// See SnapshotKeeper::vote.
  virtual SnapshotKeeper::Vote vote(bool has_work) = 0;

  /// Collective: takes the snapshot that the vote was for. Nothing of this rank is at work since `resting_since`, and
  /// everything before `position` is in the rows. `go_on` is called as soon as work may go on; empty if this is the
  /// end.
  virtual void take(const TrainingPosition& position, Clock::time_point resting_since,
                    const std::function<void()>& go_on) = 0;

  /// Rows that a snapshot is still to read as they were when it was taken; null if there are none. Whoever changes rows
  /// without being asked to stand still tells it before.
  virtual std::shared_ptr<FrozenRows> frozen(ps::TableIndex /*table*/) const { return nullptr; }

  /// Votes and, if need be, takes a snapshot, for a loop that is at rest whenever it asks. Returns whether the loop is
  /// to go on.
  bool look(bool has_work, const std::function<TrainingPosition()>& position) {
    const SnapshotKeeper::Vote now = vote(has_work);
    const auto go_on = now.stop ? std::function<void()>() : [] {};
    if (now.snapshot) take(position(), Clock::now(), go_on);
    return !now.stop;
  }
};

}  // namespace knotwork::worker
