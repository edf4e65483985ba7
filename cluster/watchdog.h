// A deadline for calls that can't be interrupted (MPI_Init, MPI_Finalize, MPI_Abort): when it passes, a thread does
// what the stuck one can't.
#pragma once

#include <chrono>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <thread>

namespace knotwork::cluster {

/// Calls `on_limit` once, from its own thread, if it still lives after `limit`. Time in which the whole process was
/// stopped doesn't count: whoever is stopped is not to blame others when it goes on.
class Watchdog {
 public:
  Watchdog(std::chrono::milliseconds limit, std::function<void()> on_limit);
  /// Calls it off.
  ~Watchdog();
  Watchdog(const Watchdog&) = delete;
  Watchdog& operator=(const Watchdog&) = delete;

 private:
  std::mutex mutex_;
  std::condition_variable called_off_;
  bool done_ = false;  // Guarded by mutex_.
  std::thread thread_;
};

}  // namespace knotwork::cluster
