// Options of walks, alike for `embed` and `walk`.
#pragma once

#include <cstdint>

#include "jobs/option_set.h"

namespace knotwork::jobs {

/// How walks are made.
struct WalkChoice {
  /// Walks from each node.
  std::uint32_t walks = 10;
  /// Nodes in a walk.
  std::uint32_t length = 80;
  /// node2vec's return and in-out parameters.
  double p = 1;
  double q = 1;
  /// Probability of jumping back to the start before a step.
  double restart = 0;
};

void declare(WalkChoice& choice, OptionSet& set);

}  // namespace knotwork::jobs
