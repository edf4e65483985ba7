// Batches on their way: made by the rank's communicating thread, given their rows by the courier's thread, trained by
// the training threads, and given back to the courier, each stage while the others work.
//
//   submit() -> [made] -> courier: rows arrive -> [ready] -> training threads -> [trained] -> courier: changes leave
//
// Training threads take single items of the oldest ready batch. Before, when the batch ahead has been trained, they
// take in those fresh rows of the batch that others may have been training until then: a fresh value that a training
// thread overwrites would later be sent back as a change, and undo what others did. The time that threads find nothing
// to do is measured: it is what a job loses to its network.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <exception>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>
#include <vector>

#include "worker/training_batch.h"

namespace knotwork::worker {

/// What the courier does with batches; all calls come from one thread, but those of settle().
class BatchCourier {
 public:
  BatchCourier() = default;
  BatchCourier(const BatchCourier&) = delete;
  BatchCourier& operator=(const BatchCourier&) = delete;
  virtual ~BatchCourier() = default;

  /// Whether start() may be called for this batch now; if not, it is asked again soon, and after each release().
  virtual bool may_start(const TrainingBatch& batch) = 0;
  /// Asks for the rows of the batch and sets its pointers.
  virtual void start(TrainingBatch& batch) = 0;
  /// Whether finish_start would return at once.
  virtual bool has_arrived(const TrainingBatch& batch) = 0;
  /// Waits until the rows of the oldest batch that was started and not yet arrived are there. Returns the number of
  /// rows among them that batches before may be training.
  virtual std::size_t finish_start(TrainingBatch& batch) = 0;
  /// Takes in rows first .. last - 1 of those. Called by training threads, several at a time, when all batches before
  /// have been trained, and before this one is; the courier's thread may be calling other functions.
  virtual void settle(TrainingBatch& batch, std::size_t first, std::size_t last) = 0;
  /// All rows have been settled. Called only if there are any, and before release().
  virtual void finish_settling(TrainingBatch& batch) = 0;
  /// A batch has been trained; batches come in order.
  virtual void release(TrainingBatch& batch) = 0;
  /// All batches were released: everything that changed goes out, and has arrived when this returns. Others may follow.
  virtual void flush() = 0;
};

struct PipelineOptions {
  unsigned threads = 1;
  /// Batches that may be underway at a time, from the courier's start to release.
  std::size_t depth = 4;
  /// Batches that may wait before that, so that who makes them can go on.
  std::size_t backlog = 0;
  /// Items that a training thread takes at a time.
  std::size_t items_per_task = 4;
  /// waited_seconds() is added to it while training goes on, if it isn't null; must outlive the pipeline.
  std::atomic<double>* waited = nullptr;
};

/// Trains items first .. last - 1 of the batch on training thread `thread`.
using TrainItems =
    std::function<void(unsigned thread, const TrainingBatch& batch, std::size_t first, std::size_t last)>;

class BatchPipeline {
 public:
  using Clock = std::chrono::steady_clock;

  /// Starts the threads. `courier` must outlive the pipeline.
  BatchPipeline(const PipelineOptions& options, BatchCourier& courier, TrainItems train);
  /// Ends the threads; batches not yet trained are dropped (when an exception is on its way out).
  ~BatchPipeline();
  BatchPipeline(const BatchPipeline&) = delete;
  BatchPipeline& operator=(const BatchPipeline&) = delete;

  /// Hands a batch over; waits while `depth` are underway and `backlog` wait for that, and calls `idle` about twice a
  /// second meanwhile. Throws what another thread of the pipeline threw. For one thread.
  void submit(std::unique_ptr<TrainingBatch> batch, const std::function<void()>& idle);
  /// Waits until all batches are trained and their changes are where they belong; others may follow. Returns when the
  /// last of them was trained. Throws as submit() does.
  Clock::time_point drain(const std::function<void()>& idle);
  /// The same, after which none follow.
  void finish(const std::function<void()>& idle);

  /// Seconds that training threads found nothing to train between the first batch and the last, summed over threads.
  double waited_seconds() const;

 private:
  struct Travelling;

  enum class Idleness { kWaiting, kDrained, kOver, kStopped };

  /// Rows to settle or items to train, first .. last - 1 of a batch.
  struct Task {
    std::shared_ptr<Travelling> batch;
    bool settles = false;
    std::size_t first = 0;
    std::size_t last = 0;
  };

  void run_courier();
  Idleness idleness() const;
  bool courier_step();
  bool finish_settled();
  bool release_trained();
  void make_ready(std::shared_ptr<Travelling> arrived, std::size_t rows_to_settle);
  void wait_for_work();
  bool something_was_done() const;
  double seconds_of_ready() const;
  void run_trainer(unsigned thread);
  std::optional<Task> next_task(std::unique_lock<std::mutex>& lock);
  std::optional<Task> take_task();
  void finish_task(const Task& task, double seconds);
  void fail();
  template <typename Done>
  void wait_until(const std::function<void()>& idle, Done&& done);

  PipelineOptions options_;
  BatchCourier& courier_;
  TrainItems train_;

  mutable std::mutex mutex_;
  std::condition_variable changed_;  // the courier's and the submitter's
  std::condition_variable ready_changed_;
  std::deque<std::shared_ptr<Travelling>> made_;
  std::deque<std::shared_ptr<Travelling>> started_;   // the courier's alone
  std::deque<std::shared_ptr<Travelling>> ready_;     // rows or items left to take
  std::deque<std::shared_ptr<Travelling>> underway_;  // handed out, oldest first, until released
  std::size_t in_pipeline_ = 0;
  bool drains_ = false;  // drain() waits
  bool no_more_ = false;
  bool closed_ = false;
  bool stop_ = false;
  std::exception_ptr failure_;
  Clock::time_point last_released_;
  double waited_seconds_ = 0;
  double seconds_per_item_ = 0;  // a moving mean
  std::vector<std::jthread> threads_;
};

}  // namespace knotwork::worker
