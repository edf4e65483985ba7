// Options of walks, declared alike for `embed` and `walk`.
#include "jobs/walk_choice.h"

#include <limits>

namespace knotwork::jobs {

void declare(WalkChoice& choice, OptionSet& set) {
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  set.group("Walks");
  set.add("walks", &choice.walks, "walks from each node").range(1, 1e6);
  set.add("length", &choice.length, "nodes in a walk").range(1, 1e6);
  set.add("p", &choice.p, "node2vec: return parameter, low values stay near").above(0, kInfinity);
  set.add("q", &choice.q, "node2vec: in-out parameter, low values go far").above(0, kInfinity);
  set.add("restart", &choice.restart, "probability of jumping back to the start before a step").range(0, 0.999999);
}

}  // namespace knotwork::jobs
