#include "cluster/polite_wait.h"

#include <algorithm>
#include <thread>

namespace knotwork::cluster {

void PoliteWait::pause() {
  using std::chrono::microseconds;
  constexpr microseconds kSpin(20);
  constexpr microseconds kYield(2000);
  constexpr microseconds kLongestSleep(2000);
  const Clock::duration so_far = waited();
  if (so_far < kSpin) return;  // What is asked about costs about a microsecond itself.
  if (so_far < kYield) return std::this_thread::yield();
  std::this_thread::sleep_for(std::min<Clock::duration>(so_far / 16, kLongestSleep));
}

}  // namespace knotwork::cluster
