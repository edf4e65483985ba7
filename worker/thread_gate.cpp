#include "worker/thread_gate.h"

namespace knotwork::worker {

bool ThreadGate::wait() {
  std::unique_lock lock(mutex_);
  --working_;
  changed_.notify_all();
  changed_.wait(lock, [&] { return state_.load(std::memory_order_relaxed) != State::kHeld; });
  ++working_;
  return state_.load(std::memory_order_relaxed) == State::kOpen;
}

void ThreadGate::leave() {
  const std::scoped_lock lock(mutex_);
  --working_;
  changed_.notify_all();
}

void ThreadGate::hold() {
  std::unique_lock lock(mutex_);
  state_.store(State::kHeld, std::memory_order_relaxed);
  changed_.wait(lock, [&] { return working_ == 0; });
}

void ThreadGate::set(State state) {
  const std::scoped_lock lock(mutex_);
  state_.store(state, std::memory_order_relaxed);
  changed_.notify_all();
}

}  // namespace knotwork::worker
