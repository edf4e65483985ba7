// Measures of a ranking and of a classification, by their textbook definitions, exact under ties.
//
//   AUC                P(s+ > s-) + P(s+ = s-) / 2 over all pairs of a positive and a negative (Hanley, McNeil 1982),
//                      by mean ranks.
//   average precision  sum over distinct scores, falling, of (recall step) * precision; equal scores are one step
//                      (as scikit-learn's average_precision_score).
//   rank               of a positive among all negatives: 1 + #{s- > s+} + #{s- = s+} / 2.
//   MRR, Hits@K        mean of 1 / rank; share of positives with rank <= K. Without ties Hits@K is that of OGB
//                      (Hu et al. 2020): the positive scores above the K-th best negative.
//   F1                 2 TP / (2 TP + FP + FN), 0 if that is 0 / 0; micro: over summed counts, macro: mean over all
//   labels.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace knotwork::embeddings {

/// Share of positives that rank among the first k.
struct HitsAt {
  std::uint32_t k = 0;
  double hits = 0;
};

struct RankingMetrics {
  double auc = 0;
  double average_precision = 0;
  double mrr = 0;
  std::vector<HitsAt> hits;
};

/// All measures from one sort: O(n log n) time, 2 copies of the scores. Throws std::invalid_argument if one of the
/// spans is empty or a score is NaN.
RankingMetrics ranking_metrics(std::span<const float> positives, std::span<const float> negatives,
                               std::span<const std::uint32_t> hits_at);

/// Counts of one label's outcomes over the test nodes.
struct LabelCounts {
  std::uint64_t true_positives = 0;
  std::uint64_t false_positives = 0;
  std::uint64_t false_negatives = 0;
};

struct F1Scores {
  double micro = 0;
  double macro = 0;
};

/// One entry a label; labels that occur nowhere count as 0 in the macro mean (as scikit-learn's f1_score).
F1Scores f1_scores(std::span<const LabelCounts> labels);

}  // namespace knotwork::embeddings
