#include "worker/ordered_tasks.h"

#include <span>
#include <utility>

namespace knotwork::worker {

namespace {

/// Tasks begun before the one that the stream waits for, per thread: enough that none idles while one task takes long.
constexpr std::uint64_t kTasksAhead = 8;
constexpr int kTextTag = 21;

}  // namespace

OrderedTasks::OrderedTasks(unsigned threads, Share share, MakeText make)
    : share_(share), make_(std::move(make)), window_(kTasksAhead * threads), begun_(share.first), given_(share.first) {
  for (unsigned thread = 0; thread < threads; ++thread) {
    threads_.emplace_back([this, thread] { run(thread); });
  }
}

OrderedTasks::~OrderedTasks() {
  {
    const std::lock_guard lock(mutex_);
    stop_ = true;
  }
  changed_.notify_all();
  threads_.clear();
}

void OrderedTasks::run(unsigned thread) {
  std::unique_lock lock(mutex_);
  for (;;) {
    changed_.wait(lock, [this] { return stop_ || begun_ < given_ + window_ * share_.stride; });
    if (stop_ || begun_ >= share_.end) return;
    const std::uint64_t task = std::exchange(begun_, begun_ + share_.stride);
    lock.unlock();
    std::string text;
    std::exception_ptr failure;
    try {
      text = make_(thread, task);
    } catch (...) {
      failure = std::current_exception();
    }
    lock.lock();
    if (failure) {
      failure_ = failure;
      stop_ = true;
    }
    finished_.emplace(task, std::move(text));
    changed_.notify_all();
  }
}

std::string OrderedTasks::next() {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [this] { return failure_ || finished_.contains(given_); });
  if (failure_) std::rethrow_exception(failure_);
  std::string text = std::move(finished_.extract(given_).mapped());
  given_ += share_.stride;
  changed_.notify_all();
  return text;
}

void make_in_order(cluster::Communicator& communicator, unsigned threads, std::uint64_t count, const MakeText& make,
                   const std::function<void(std::string_view)>& take) {
  const auto rank = static_cast<std::uint64_t>(communicator.rank());
  const auto ranks = static_cast<std::uint64_t>(communicator.size());
  OrderedTasks own(threads, {.first = rank, .stride = ranks, .end = count}, make);
  for (std::uint64_t task = communicator.is_root() ? 0 : rank; task < count;
       task += communicator.is_root() ? 1 : ranks) {
    if (!communicator.is_root()) {
      const std::string text = own.next();
      communicator.send(std::as_bytes(std::span(text)), 0, kTextTag);
    } else if (task % ranks == 0) {
      take(own.next());
    } else {
      const cluster::Bytes bytes = communicator.receive(static_cast<cluster::Rank>(task % ranks), kTextTag);
      take({reinterpret_cast<const char*>(bytes.data()), bytes.size()});
    }
  }
}

}  // namespace knotwork::worker
