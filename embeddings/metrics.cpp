// One sort of the negatives serves all ranks; a merge with the sorted positives serves AUC and average precision.
#include "embeddings/metrics.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <stdexcept>

namespace knotwork::embeddings {
namespace {

std::vector<float> sorted_falling(std::span<const float> scores) {
  if (scores.empty()) throw std::invalid_argument("ranking_metrics: no scores");
  std::vector<float> sorted(scores.begin(), scores.end());
  if (std::ranges::any_of(sorted, [](float s) { return std::isnan(s); })) {
    throw std::invalid_argument("ranking_metrics: a score is not a number");
  }
  std::ranges::sort(sorted, std::greater<>());
  return sorted;
}

/// One group of equal scores in falling order.
struct ScoreGroup {
  std::size_t negatives_above;
  std::size_t positives;
  std::size_t negatives;
};

/// Calls `visit` with each group of equal scores, best first.
template <typename Visit>
void for_each_group(const std::vector<float>& positives, const std::vector<float>& negatives, Visit visit) {
  std::size_t p = 0;
  std::size_t n = 0;
  while (p < positives.size() || n < negatives.size()) {
    const bool positive_first = n == negatives.size() || (p < positives.size() && positives[p] >= negatives[n]);
    const float score = positive_first ? positives[p] : negatives[n];
    const ScoreGroup start{n, p, n};
    while (p < positives.size() && positives[p] == score) ++p;
    while (n < negatives.size() && negatives[n] == score) ++n;
    visit(ScoreGroup{start.negatives_above, p - start.positives, n - start.negatives});
  }
}

double f1(std::uint64_t true_positives, std::uint64_t false_positives, std::uint64_t false_negatives) {
  const std::uint64_t denominator = 2 * true_positives + false_positives + false_negatives;
  return denominator == 0 ? 0 : 2.0 * static_cast<double>(true_positives) / static_cast<double>(denominator);
}

}  // namespace

RankingMetrics ranking_metrics(std::span<const float> positives, std::span<const float> negatives,
                               std::span<const std::uint32_t> hits_at) {
  const std::vector<float> positive = sorted_falling(positives);
  const std::vector<float> negative = sorted_falling(negatives);
  const auto positive_count = static_cast<double>(positive.size());
  const auto negative_count = static_cast<double>(negative.size());

  double pairs_won = 0;  // pairs of a positive and a negative in the right order, ties half
  double precision_sum = 0;
  double reciprocal_sum = 0;
  std::size_t positives_seen = 0;
  std::vector<std::size_t> hits(hits_at.size(), 0);
  for_each_group(positive, negative, [&](const ScoreGroup& group) {
    if (group.positives == 0) return;
    const auto members = static_cast<double>(group.positives);
    const double beaten_by = static_cast<double>(group.negatives_above) + 0.5 * static_cast<double>(group.negatives);
    pairs_won += members * (negative_count - beaten_by);
    reciprocal_sum += members / (1.0 + beaten_by);
    positives_seen += group.positives;
    const std::size_t predicted = positives_seen + group.negatives_above + group.negatives;
    precision_sum += members * static_cast<double>(positives_seen) / static_cast<double>(predicted);
    for (std::size_t i = 0; i < hits.size(); ++i) {
      if (1.0 + beaten_by <= hits_at[i]) hits[i] += group.positives;
    }
  });

  RankingMetrics metrics;
  metrics.auc = pairs_won / (positive_count * negative_count);
  metrics.average_precision = precision_sum / positive_count;
  metrics.mrr = reciprocal_sum / positive_count;
  for (std::size_t i = 0; i < hits.size(); ++i) {
    metrics.hits.push_back({hits_at[i], static_cast<double>(hits[i]) / positive_count});
  }
  return metrics;
}

F1Scores f1_scores(std::span<const LabelCounts> labels) {
  LabelCounts sum;
  F1Scores scores;
  for (const LabelCounts& label : labels) {
    sum.true_positives += label.true_positives;
    sum.false_positives += label.false_positives;
    sum.false_negatives += label.false_negatives;
    scores.macro += f1(label.true_positives, label.false_positives, label.false_negatives);
  }
  scores.micro = f1(sum.true_positives, sum.false_positives, sum.false_negatives);
  if (!labels.empty()) scores.macro /= static_cast<double>(labels.size());
  return scores;
}

}  // namespace knotwork::embeddings
