#include "worker/prediction_counts.h"

#include <algorithm>

namespace knotwork::worker {

using embeddings::gnn::LabelLoss;
using embeddings::gnn::LabelScores;

void PredictionCounts::add(std::span<const float> outputs, std::span<const std::uint32_t> labels) {
  const auto greatest = static_cast<std::size_t>(std::ranges::max_element(outputs) - outputs.begin());
  bool is_right = true;
  for (std::size_t c = 0; c < outputs.size(); ++c) {
    const bool is_true = std::ranges::find(labels, c) != labels.end();
    const bool is_predicted = loss_ == LabelLoss::kSoftmax ? c == greatest : outputs[c] > 0;
    classes_[c].true_positives += is_true && is_predicted ? 1 : 0;
    classes_[c].false_positives += !is_true && is_predicted ? 1 : 0;
    classes_[c].false_negatives += is_true && !is_predicted ? 1 : 0;
    is_right = is_right && is_true == is_predicted;
  }
  ++nodes_;
  right_ += is_right ? 1 : 0;
}

LabelScores PredictionCounts::scores(cluster::Communicator& communicator) const {
  std::vector<std::uint64_t> all{nodes_, right_};
  for (const embeddings::LabelCounts& counts : classes_) {
    all.insert(all.end(), {counts.true_positives, counts.false_positives, counts.false_negatives});
  }
  communicator.allreduce(all, cluster::Reduction::kSum);
  if (all[0] == 0) return {};
  std::vector<embeddings::LabelCounts> classes;
  for (std::size_t i = 2; i < all.size(); i += 3) {
    classes.push_back({.true_positives = all[i], .false_positives = all[i + 1], .false_negatives = all[i + 2]});
  }
  const embeddings::F1Scores f1 = embeddings::f1_scores(classes);
  return {static_cast<double>(all[1]) / static_cast<double>(all[0]), f1.micro, f1.macro};
}

}  // namespace knotwork::worker
