// Ctrl-C and SIGTERM: what lies half written is removed, then the process ends as if by the signal. SIGTERM and SIGUSR1
// may be taken as warnings instead, by those who can save what they have.
//
// A thread of its own waits for the signals, so cleaning up is ordinary code and works even while METIS computes.
#pragma once

#include <atomic>
#include <functional>
#include <mutex>
#include <optional>
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

  /// To be called after libraries that handle the signals themselves for a while: METIS does, and MPI_Init's drivers;
  /// they put handlers back for a single use only.
  void take_signals_back();

  /// Who is asked when a signal has come: an exit code says that all has been said; nothing leaves the last word
  /// ("interrupted", 128 + signal) to this class, which also has it if nobody is to be asked (empty).
  void ask(std::function<std::optional<int>(int signal)> answer);

  /// From now on SIGUSR1 and the first SIGTERM are warnings: `warned` is called, from another thread, and the process
  /// goes on; a second SIGTERM ends it. Empty: SIGTERM ends it, as before, and SIGUSR1 comes too late for anything;
  /// when the call returns, the function before is not in use any more.
  void on_warning(std::function<void(int signal)> warned);

 private:
  void wait_for_signal();
  bool is_warning(int signal);

  std::mutex mutex_;
  std::vector<std::string> paths_;  // Guarded by mutex_.
  std::mutex answer_mutex_;
  std::function<std::optional<int>(int)> answer_;  // Guarded by answer_mutex_.
  std::mutex warning_mutex_;
  std::function<void(int)> warned_;  // Guarded by warning_mutex_.
  bool had_term_ = false;            // the same
  bool takes_warnings_ = false;      // the same: on_warning was called
  std::atomic<bool> done_ = false;
  std::thread thread_;
};

}  // namespace knotwork::jobs
