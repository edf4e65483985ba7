// Ctrl-C and SIGTERM: what lies half written is removed, then the process ends as if by the signal.
//
// A thread of its own waits for the signals, so cleaning up is ordinary code and works even while METIS computes.
#pragma once

#include <atomic>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

namespace knotwork::jobs {

/// Make one in main, before any other thread: the signals are blocked for threads that start later. Thread-safe.
class Interruption {
 public:
  Interruption();
  ~Interruption();
  Interruption(const Interruption&) = delete;
  Interruption& operator=(const Interruption&) = delete;

  /// A file or folder to remove if the process is interrupted; it need not exist.
  void watch(std::string path);
  /// Removes every watched path now.
  void remove_partial_files() noexcept;

 private:
  void wait_for_signal();

  std::mutex mutex_;
  std::vector<std::string> paths_;
  std::atomic<bool> done_ = false;
  std::thread thread_;
};

}  // namespace knotwork::jobs
