// Lets one thread bring many to a halt between two pieces of their work, and go on.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <mutex>

namespace knotwork::worker {

class ThreadGate {
 public:
  /// `threads`: how many will work; each says leave() when it ends.
  explicit ThreadGate(unsigned threads) : working_(threads) {}

  /// For a working thread, between two pieces of work; waits while the gate is held. False: it is to end. Costs a load.
  bool pass() {
    if (state_.load(std::memory_order_relaxed) == State::kOpen) [[likely]]
      return true;
    return wait();
  }
  /// A working thread ends.
  void leave();

  /// Returns when no thread is at work: all wait in pass() or have left. What they did is visible to the caller.
  void hold();
  /// They go on.
  void release() { set(State::kOpen); }
  /// They end, from their next pass() on.
  void stop() { set(State::kStopped); }

 private:
  enum class State : std::uint8_t { kOpen, kHeld, kStopped };
  bool wait();
  void set(State state);

  std::atomic<State> state_{State::kOpen};  // Written under mutex_.
  std::mutex mutex_;
  std::condition_variable changed_;
  unsigned working_;  // Guarded by mutex_.
};

}  // namespace knotwork::worker
