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
/// Of the newest items in the moving mean of an item's time.
constexpr double kNewestWeight = 0.05;

}  // namespace

struct BatchPipeline::Travelling {
  explicit Travelling(std::unique_ptr<TrainingBatch> made) : batch(std::move(made)) {}
  std::unique_ptr<TrainingBatch> batch;
  std::size_t next_item = 0;      // guarded by the mutex
  std::size_t items_trained = 0;  // guarded by the mutex
  bool trained() const { return items_trained == batch->item_count(); }
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
  // First what training threads may be waiting for.
  if (settle_arrived()) return true;
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
  if (to_settle_ || started_.empty() || !courier_.has_arrived(*started_.front()->batch)) return false;
  const std::shared_ptr<Travelling> arrived = started_.front();
  started_.pop_front();
  if (courier_.finish_start(*arrived->batch)) {
    to_settle_ = arrived;
  } else {
    make_ready(arrived);
  }
  return true;
}

void BatchPipeline::make_ready(std::shared_ptr<Travelling> arrived) {
  {
    const std::lock_guard lock(mutex_);
    underway_.push_back(arrived);
    if (arrived->batch->item_count() > 0) ready_.push_back(std::move(arrived));
  }
  ready_changed_.notify_all();
}

bool BatchPipeline::settle_arrived() {
  if (!to_settle_) return false;
  {
    const std::lock_guard lock(mutex_);
    const bool training =
        std::any_of(underway_.begin(), underway_.end(), [](const auto& it) { return !it->trained(); });
    if (training) return false;
  }
  courier_.settle(*to_settle_->batch);
  make_ready(std::exchange(to_settle_, nullptr));
  return true;
}

bool BatchPipeline::release_trained() {
  std::shared_ptr<Travelling> oldest;
  {
    const std::lock_guard lock(mutex_);
    if (underway_.empty() || !underway_.front()->trained()) return false;
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

void BatchPipeline::wait_for_work() {
  std::unique_lock lock(mutex_);
  const auto something_was_trained = [&] { return !underway_.empty() && underway_.front()->trained(); };
  // Something may come from other ranks, which wakes nobody here.
  if (!made_.empty() || !started_.empty() || to_settle_) {
    const double interval = std::clamp(seconds_of_ready() * kPartBetweenLooks, kShortestInterval, kLongestInterval);
    changed_.wait_for(lock, std::chrono::duration<double>(interval), something_was_trained);
    return;
  }
  changed_.wait(lock, [&] {
    return stop_ || !made_.empty() || something_was_trained() || ((no_more_ || drains_) && in_pipeline_ == 0);
  });
}

/// How long training threads will need for what is ready, judged by what they trained last. With the mutex held.
double BatchPipeline::seconds_of_ready() const {
  std::size_t items = 0;
  for (const auto& it : ready_) items += it->batch->item_count() - it->next_item;
  return seconds_per_item_ * static_cast<double>(items) / options_.threads;
}

/// The oldest batch with an item left; null when there will be none.
std::shared_ptr<BatchPipeline::Travelling> BatchPipeline::next_ready(std::unique_lock<std::mutex>& lock) {
  const auto is_over = [&] { return stop_ || closed_ || (no_more_ && in_pipeline_ == 0); };
  if (ready_.empty() && !is_over()) {
    const auto begin = Clock::now();
    ready_changed_.wait(lock, [&] { return is_over() || !ready_.empty(); });
    // Neither the wait for the first batch nor that for the end is the network's fault alone.
    if (!ready_.empty() && ready_.front()->batch->number > 0) {
      const double seconds = std::chrono::duration<double>(Clock::now() - begin).count();
      waited_seconds_ += seconds;
      if (options_.waited != nullptr) options_.waited->fetch_add(seconds, std::memory_order_relaxed);
    }
  }
  if (is_over() || ready_.empty()) return nullptr;
  return ready_.front();
}

void BatchPipeline::run_trainer(unsigned thread) {
  try {
    std::unique_lock lock(mutex_);
    while (const std::shared_ptr<Travelling> current = next_ready(lock)) {
      const std::size_t first = current->next_item;
      const std::size_t last = std::min(first + options_.items_per_task, current->batch->item_count());
      current->next_item = last;
      if (last == current->batch->item_count()) ready_.pop_front();
      lock.unlock();
      const auto begin = Clock::now();
      train_(thread, *current->batch, first, last);
      const double seconds = std::chrono::duration<double>(Clock::now() - begin).count();
      lock.lock();
      seconds_per_item_ += kNewestWeight * (seconds / static_cast<double>(last - first) - seconds_per_item_);
      current->items_trained += last - first;
      if (current->trained()) changed_.notify_all();
    }
  } catch (...) {
    fail();
  }
}

}  // namespace knotwork::worker
