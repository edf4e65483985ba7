// Courier and pipeline of one training across ranks: batches come in with their walks or stars, get negatives and
// numbers, and leave trained, with their changes at the rows' owners.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "worker/batch_pipeline.h"
#include "worker/distributed_training.h"
#include "worker/negative_pool.h"
#include "worker/row_courier.h"

namespace knotwork::worker {

/// Batches whose walks are made at once: walkers of all of them cross between ranks in the same messages. A walk that
/// crosses twenty times takes as many rounds of messages, each of some milliseconds where training threads hold the
/// cores: these must be few beside the time that the batches train.
inline constexpr std::uint64_t kBatchesPerTrip = 16;

/// Uses of a row by a rank that doesn't own it between two refreshes, on average over all rows, where staleness is not
/// given: what quality bears (docs/architecture.md, "Replicas meet"). The fewer ranks learn beside each other, the
/// more.
double uses_of_stale_row(int trainers);

/// Calls the progress display about twice a second, from the thread that makes the batches.
class ProgressTicker {
 public:
  ProgressTicker(TrainingClock& clock, const ProgressCallback& callback) : clock_(clock), callback_(callback) {}
  void operator()() {
    if (!callback_ || clock_.seconds() - shown_ < 0.5) return;
    shown_ = clock_.seconds();
    callback_(clock_.progress());
  }

 private:
  TrainingClock& clock_;
  const ProgressCallback& callback_;
  double shown_ = 0;
};

/// Courier and pipeline of one training, and the batches' numbers.
class Conveyor {
 public:
  /// `all_batches`: of this rank, from the first to the last. `first_number`: of its first batch in the job; a resumed
  /// job begins anew.
  Conveyor(const DistributedJob& job, const ModelRows& model, const Consistency& consistency, BatchNumber all_batches,
           std::size_t largest_batch, std::size_t items_per_task, TrainItems train, BatchNumber first_number);

  /// Collective. Gives the batches that are to be submitted next their negatives. All ranks pass as many.
  void prepare(std::vector<std::unique_ptr<TrainingBatch>>& batches);

  /// Numbers batches that are prepared and sends them on their way.
  void submit(std::vector<std::unique_ptr<TrainingBatch>> batches);

  /// Batches of the job that were submitted.
  BatchNumber batches() const { return first_number_ + next_number_; }

  /// Returns when this rank's changes are in their tables: the moment when it had trained what was submitted. Others
  /// may follow; replicas stay.
  BatchPipeline::Clock::time_point drain() { return pipeline_.drain(std::ref(ticker_)); }

  /// Collective. Returns when the changes of all ranks are in their tables.
  DistributedCosts finish(cluster::Communicator& communicator);

 private:
  BatchNumber first_number_;  // of the job; the conveyor counts its own from 0
  NegativePool pool_;
  RowCourier courier_;
  std::uint32_t pool_size_;
  std::uint32_t chunk_size_;
  TrainingClock& clock_;
  ProgressTicker ticker_;
  BatchNumber next_number_ = 0;
  BatchPipeline pipeline_;  // last: its threads use the others
};

/// Collective. Votes and, if need be, takes a snapshot: everything that this rank has submitted is trained then, and
/// its changes are with the rows' owners. Returns whether training is to go on, and calls `go_on` if so: as soon as
/// this rank may, which is before others are where it is. `position`: of the batches of the job so far.
bool look_at_rest(const DistributedJob& job, std::optional<Conveyor>& conveyor,
                  const std::function<TrainingPosition(BatchNumber)>& position, const std::function<void()>& go_on);

}  // namespace knotwork::worker
