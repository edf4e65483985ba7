#include "worker/dense_weights.h"

#include <algorithm>
#include <chrono>

namespace knotwork::worker {

void AllReducedWeights::step(std::span<float> gradient) {
  if (communicator_.size() > 1) {
    const auto start = std::chrono::steady_clock::now();
    sums_.assign(gradient.begin(), gradient.end());
    communicator_.allreduce(sums_, cluster::Reduction::kSum);
    std::ranges::transform(sums_, gradient.begin(), [](double value) { return static_cast<float>(value); });
    traffic_.bytes += sums_.size() * sizeof(double);
    traffic_.seconds_waited += std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  }
  embeddings::gnn::adam_step(parameters_, gradient, adam_, state_);
}

}  // namespace knotwork::worker
