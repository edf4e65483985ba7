#include "worker/batch_pipeline.h"

#include <algorithm>
#include <chrono>
#include <utility>

namespace knotwork::worker {

namespace {

constexpr auto kIdleInterval = std::chrono::milliseconds(500);
/// The courier looks again for a batch that may not start yet, or for rows on their way, when training threads have
/// done such a part of what is ready for them, in these bounds. Each look takes a core away from them, and what it
/// holds in its cache.
constexpr double kPartBetweenLooks = 1.0 / 8;
constexpr double kShortestInterval = 200e-6;
constexpr double kLongestInterval = 4e-3;
/// Rows that a training thread settles at a time.
constexpr std::size_t kRowsPerTask = 128;
/// Of the newest items in the moving mean of an item's time.
constexpr double kNewestWeight = 0.05;

}  // namespace

struct BatchPipeline::Travelling {
  explicit Travelling(std::unique_ptr<TrainingBatch> made) : batch(std::move(made)) {}
  std::unique_ptr<TrainingBatch> batch;
  // Guarded by the mutex:
  std::size_t rows_to_settle = 0;
  std::size_t next_row = 0;
  std::size_t rows_settled = 0;
  std::size_t next_item = 0;
  std::size_t items_trained = 0;
  bool settling_finished = false;  // by the courier
  bool settled() const { return rows_settled == rows_to_settle; }
  bool trained() const { return settled() && items_trained == batch->item_count(); }
  bool wants_finish() const { return rows_to_settle > 0 && settled() && !settling_finished; }
  bool all_taken() const { return next_row == rows_to_settle && next_item == batch->item_count(); }
};

BatchPipeline::BatchPipeline(const PipelineOptions& options, BatchCourier& courier, TrainItems train)
    : options_(options), courier_(courier), train_(std::move(train)) {
  threads_.emplace_back([this] { run_courier(); });
  for (unsigned thread = 0; thread < options_.threads; ++thread) {
    threads_.emplace_back([this, thread] { run_trainer(thread); });
  }
}

BatchPipeline::~BatchPipeline() {
  {
    const std::lock_guard lock(mutex_);
    stop_ = true;
  }
  changed_.notify_all();
  ready_changed_.notify_all();
}

void BatchPipeline::fail() {
  {
    const std::lock_guard lock(mutex_);
    if (!failure_) failure_ = std::current_exception();
    stop_ = true;
  }
  changed_.notify_all();
  ready_changed_.notify_all();
}

template <typename Done>
void BatchPipeline::wait_until(const std::function<void()>& idle, Done&& done) {
  std::unique_lock lock(mutex_);
  while (!changed_.wait_for(lock, kIdleInterval, [&] { return stop_ || done(); })) {
    lock.unlock();
    idle();
    lock.lock();
  }
  if (failure_) std::rethrow_exception(failure_);
}

void BatchPipeline::submit(std::unique_ptr<TrainingBatch> batch, const std::function<void()>& idle) {
  wait_until(idle, [&] { return in_pipeline_ < options_.depth + options_.backlog; });
  {
    const std::lock_guard lock(mutex_);
    ++in_pipeline_;
    made_.push_back(std::make_shared<Travelling>(std::move(batch)));
  }
  changed_.notify_all();
  idle();
}

BatchPipeline::Clock::time_point BatchPipeline::drain(const std::function<void()>& idle) {
  {
    const std::lock_guard lock(mutex_);
    drains_ = true;
    last_released_ = Clock::now();
  }
  changed_.notify_all();
  wait_until(idle, [&] { return !drains_; });
  const std::lock_guard lock(mutex_);
  return last_released_;
}

void BatchPipeline::finish(const std::function<void()>& idle) {
  {
    const std::lock_guard lock(mutex_);
    no_more_ = true;
  }
  changed_.notify_all();
  wait_until(idle, [&] { return closed_; });
}

double BatchPipeline::waited_seconds() const {
  const std::lock_guard lock(mutex_);
  return waited_seconds_;
}

void BatchPipeline::run_courier() {
  try {
    while (courier_step()) {
    }
    Idleness now = idleness();
    for (; now == Idleness::kWaiting || now == Idleness::kDrained; now = idleness()) {
      if (now == Idleness::kWaiting) {
        wait_for_work();
      } else {
        courier_.flush();
        const std::lock_guard lock(mutex_);
        drains_ = false;
        changed_.notify_all();
      }
      while (courier_step()) {
      }
    }
    if (now == Idleness::kStopped) return;
    courier_.flush();
    const std::lock_guard lock(mutex_);
    closed_ = true;
  } catch (...) {
    fail();
  }
  changed_.notify_all();
  ready_changed_.notify_all();
}

/// Why the courier has nothing to do.
BatchPipeline::Idleness BatchPipeline::idleness() const {
  const std::lock_guard lock(mutex_);
  if (stop_) return Idleness::kStopped;
  if (in_pipeline_ > 0) return Idleness::kWaiting;
  if (drains_) return Idleness::kDrained;
  return no_more_ ? Idleness::kOver : Idleness::kWaiting;
}

/// Does one thing that can be done; false if there is none.
bool BatchPipeline::courier_step() {
  if (finish_settled()) return true;
  if (release_trained()) return true;
  std::shared_ptr<Travelling> next;
  {
    const std::lock_guard lock(mutex_);
    if (stop_) return false;
    if (!made_.empty() && in_pipeline_ - made_.size() < options_.depth) next = made_.front();
  }
  if (next && courier_.may_start(*next->batch)) {
    courier_.start(*next->batch);
    started_.push_back(next);
    const std::lock_guard lock(mutex_);
    made_.pop_front();
    return true;
  }
  if (started_.empty() || !courier_.has_arrived(*started_.front()->batch)) return false;
  const std::shared_ptr<Travelling> arrived = started_.front();
  started_.pop_front();
  make_ready(arrived, courier_.finish_start(*arrived->batch));
  return true;
}

void BatchPipeline::make_ready(std::shared_ptr<Travelling> arrived, std::size_t rows_to_settle) {
  {
    const std::lock_guard lock(mutex_);
    arrived->rows_to_settle = rows_to_settle;
    underway_.push_back(arrived);
    if (!arrived->all_taken()) ready_.push_back(std::move(arrived));
  }
  ready_changed_.notify_all();
}

bool BatchPipeline::finish_settled() {
  std::shared_ptr<Travelling> settled;
  {
    const std::lock_guard lock(mutex_);
    const auto found =
        std::find_if(underway_.begin(), underway_.end(), [](const auto& it) { return it->wants_finish(); });
    if (found == underway_.end()) return false;
    settled = *found;
    settled->settling_finished = true;
  }
  courier_.finish_settling(*settled->batch);
  return true;
}

bool BatchPipeline::release_trained() {
  std::shared_ptr<Travelling> oldest;
  {
    const std::lock_guard lock(mutex_);
    if (underway_.empty() || !underway_.front()->trained() || underway_.front()->wants_finish()) return false;
    oldest = underway_.front();
    underway_.pop_front();
  }
  courier_.release(*oldest->batch);
  {
    const std::lock_guard lock(mutex_);
    --in_pipeline_;
    last_released_ = Clock::now();
  }
  changed_.notify_all();
  return true;
}

/// With the mutex held.
bool BatchPipeline::something_was_done() const {
  return !underway_.empty() && (underway_.front()->trained() || underway_.front()->wants_finish());
}

void BatchPipeline::wait_for_work() {
  std::unique_lock lock(mutex_);
  // Something may come from other ranks, which wakes nobody here.
  if (!made_.empty() || !started_.empty()) {
    const double interval = std::clamp(seconds_of_ready() * kPartBetweenLooks, kShortestInterval, kLongestInterval);
    changed_.wait_for(lock, std::chrono::duration<double>(interval), [&] { return something_was_done(); });
    return;
  }
  changed_.wait(lock, [&] {
    return stop_ || !made_.empty() || something_was_done() || ((no_more_ || drains_) && in_pipeline_ == 0);
  });
}

/// How long training threads will need for what is ready, judged by what they trained last. With the mutex held.
double BatchPipeline::seconds_of_ready() const {
  std::size_t items = 0;
  for (const auto& it : ready_) items += it->batch->item_count() - it->next_item;
  return seconds_per_item_ * static_cast<double>(items) / options_.threads;
}

/// What comes next; none when there will be nothing more.
std::optional<BatchPipeline::Task> BatchPipeline::next_task(std::unique_lock<std::mutex>& lock) {
  const auto is_over = [&] { return stop_ || closed_ || (no_more_ && in_pipeline_ == 0); };
  std::optional<Task> task = take_task();
  if (!task && !is_over()) {
    const auto begin = Clock::now();
    ready_changed_.wait(lock, [&] { return is_over() || (task = take_task()); });
    // Neither the wait for the first batch nor that for the end is the network's fault alone.
    if (task && task->batch->batch->number > 0) {
      const double seconds = std::chrono::duration<double>(Clock::now() - begin).count();
      waited_seconds_ += seconds;
      if (options_.waited != nullptr) options_.waited->fetch_add(seconds, std::memory_order_relaxed);
    }
  }
  if (stop_ || closed_) return std::nullopt;
  return task;
}

/// Something of the oldest batch that isn't taken yet; none while that must wait for other threads. With the mutex
/// held.
std::optional<BatchPipeline::Task> BatchPipeline::take_task() {
  if (ready_.empty()) return std::nullopt;
  Task task{.batch = ready_.front()};
  Travelling& oldest = *task.batch;
  if (oldest.next_row < oldest.rows_to_settle) {
    for (const auto& before : underway_) {
      if (before == task.batch) break;
      if (!before->trained()) return std::nullopt;
    }
    task.settles = true;
    task.first = oldest.next_row;
    task.last = oldest.next_row = std::min(task.first + kRowsPerTask, oldest.rows_to_settle);
  } else {
    if (!oldest.settled()) return std::nullopt;
    task.first = oldest.next_item;
    task.last = oldest.next_item = std::min(task.first + options_.items_per_task, oldest.batch->item_count());
  }
  if (oldest.all_taken()) ready_.pop_front();
  return task;
}

/// With the mutex held.
void BatchPipeline::finish_task(const Task& task, double seconds) {
  Travelling& batch = *task.batch;
  const std::size_t count = task.last - task.first;
  if (task.settles) {
    batch.rows_settled += count;
    if (!batch.settled()) return;
  } else {
    seconds_per_item_ += kNewestWeight * (seconds / static_cast<double>(count) - seconds_per_item_);
    batch.items_trained += count;
    if (!batch.trained()) return;
  }
  changed_.notify_all();
  ready_changed_.notify_all();
}

void BatchPipeline::run_trainer(unsigned thread) {
  try {
    std::unique_lock lock(mutex_);
    while (const std::optional<Task> task = next_task(lock)) {
      lock.unlock();
      const auto begin = Clock::now();
      TrainingBatch& batch = *task->batch->batch;
      if (task->settles) {
        courier_.settle(batch, task->first, task->last);
      } else {
        train_(thread, batch, task->first, task->last);
      }
      const double seconds = std::chrono::duration<double>(Clock::now() - begin).count();
      lock.lock();
      finish_task(*task, seconds);
    }
  } catch (...) {
    fail();
  }
}

}  // namespace knotwork::worker
