#include "cluster/watchdog.h"

#include <algorithm>
#include <utility>

namespace knotwork::cluster {

Watchdog::Watchdog(std::chrono::milliseconds limit, std::function<void()> on_limit)
    : thread_([this, limit, act = std::move(on_limit)] {
        std::chrono::milliseconds left = limit;
        std::unique_lock lock(mutex_);
        while (left.count() > 0) {
          const auto step = std::min(left, std::chrono::milliseconds(100));
          if (called_off_.wait_for(lock, step, [this] { return done_; })) return;
          left -= step;
        }
        lock.unlock();
        act();
      }) {}

Watchdog::~Watchdog() {
  {
    const std::scoped_lock lock(mutex_);
    done_ = true;
  }
  called_off_.notify_one();
  thread_.join();
}

}  // namespace knotwork::cluster
