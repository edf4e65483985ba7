// Waiting for something that can only be asked about (MPI requests): at once at first, so that short waits cost
// nothing, then ever more rarely, so that a rank that waits for minutes leaves its core to those who work.
#pragma once

#include <chrono>

namespace knotwork::cluster {

/// One wait. Not thread-safe: each waiting thread has its own.
class PoliteWait {
 public:
  using Clock = std::chrono::steady_clock;

  /// Spins for the first 20 µs, yields up to 2 ms, then sleeps a sixteenth of the time waited so far, at most 2 ms: a
  /// wait is 6 % longer than it must be at most, and one of seconds costs a core about 2 %. Yielding for so long is
  /// polite, too: whoever else wants the core gets it for whole slices, and no core falls idle between two short waits.
  void pause();
  Clock::duration waited() const { return Clock::now() - start_; }

 private:
  Clock::time_point start_ = Clock::now();
};

}  // namespace knotwork::cluster
