// Predictions of labels, counted: what accuracy and F1 are made of when outputs come batch by batch, on many ranks.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "cluster/communicator.h"
#include "embeddings/gnn/objective.h"
#include "embeddings/metrics.h"

namespace knotwork::worker {

class PredictionCounts {
 public:
  PredictionCounts(std::size_t classes, embeddings::gnn::LabelLoss loss) : loss_(loss), classes_(classes) {}

  /// One node: its outputs (logits) and labels. Softmax predicts the greatest output, sigmoid all above 0.
  void add(std::span<const float> outputs, std::span<const std::uint32_t> labels);
  /// Collective: the scores over the nodes of all ranks. Zeros if there are none.
  embeddings::gnn::LabelScores scores(cluster::Communicator& communicator) const;

 private:
  embeddings::gnn::LabelLoss loss_;
  std::uint64_t nodes_ = 0;
  std::uint64_t right_ = 0;  ///< without a mistake
  std::vector<embeddings::LabelCounts> classes_;
};

}  // namespace knotwork::worker
