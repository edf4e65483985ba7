// How the learning rate falls: linearly with the share of all work that is done, as in word2vec. The share is global
// (all threads and ranks together), so the schedule does not depend on how the work was divided.
#pragma once

#include <algorithm>

namespace knotwork::embeddings {

/// Thread-safe (immutable).
class LearningRate {
 public:
  /// Falls from `initial` to `minimum`. Equal values give a constant rate.
  LearningRate(float initial, float minimum) : initial_(initial), minimum_(minimum) {}

  /// The rate when `progress` of the work is done: 0 .. 1; values outside are clamped.
  float at(double progress) const {
    const auto left = static_cast<float>(1.0 - std::clamp(progress, 0.0, 1.0));
    return minimum_ + (initial_ - minimum_) * left;
  }

 private:
  float initial_;
  float minimum_;
};

}  // namespace knotwork::embeddings
