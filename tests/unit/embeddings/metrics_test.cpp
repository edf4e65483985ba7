#include "embeddings/metrics.h"

#include <algorithm>
#include <cmath>
#include <stdexcept>
#include <vector>

#include <gtest/gtest.h>

#include "partition/random.h"

namespace knotwork::embeddings {
namespace {

/// Scores from few different values, so that ties are many; `shift` favours the positives.
std::vector<float> tied_scores(std::size_t count, std::uint32_t stream, std::uint32_t values, std::uint32_t shift) {
  std::vector<float> scores(count);
  for (std::uint32_t i = 0; i < count; ++i) {
    const auto block = random_block(3, partition::RandomPurpose::kGenerate, i, stream, 0);
    scores[i] = static_cast<float>(partition::bounded(block[0], values) + shift);
  }
  return scores;
}

/// The definitions, pair by pair.
RankingMetrics brute_force(const std::vector<float>& positives, const std::vector<float>& negatives, std::uint32_t k) {
  RankingMetrics result;
  result.hits = {{k, 0}};
  for (const float p : positives) {
    double rank = 1;
    for (const float n : negatives) {
      result.auc += p > n ? 1 : (p == n ? 0.5 : 0);
      rank += n > p ? 1 : (n == p ? 0.5 : 0);
    }
    result.mrr += 1 / rank;
    result.hits[0].hits += rank <= k ? 1 : 0;
    // Precision among everything that scores at least as high as p.
    const auto at_least = [p](float s) { return s >= p; };
    const auto good = static_cast<double>(std::ranges::count_if(positives, at_least));
    const auto bad = static_cast<double>(std::ranges::count_if(negatives, at_least));
    result.average_precision += good / (good + bad);
  }
  const auto count = static_cast<double>(positives.size());
  result.auc /= count * static_cast<double>(negatives.size());
  result.mrr /= count;
  result.hits[0].hits /= count;
  result.average_precision /= count;
  return result;
}

TEST(MetricsTest, agree_with_their_definitions_under_ties) {
  for (const std::uint32_t values : {2U, 7U, 1000U}) {
    const std::vector<float> positives = tied_scores(157, 1, values, values / 5);
    const std::vector<float> negatives = tied_scores(203, 2, values, 0);
    for (const std::uint32_t k : {1U, 20U, 100U}) {
      const std::vector<std::uint32_t> hits_at{k};
      const RankingMetrics fast = ranking_metrics(positives, negatives, hits_at);
      const RankingMetrics slow = brute_force(positives, negatives, k);
      EXPECT_NEAR(fast.auc, slow.auc, 1e-12);
      EXPECT_NEAR(fast.average_precision, slow.average_precision, 1e-12);
      EXPECT_NEAR(fast.mrr, slow.mrr, 1e-12);
      EXPECT_EQ(fast.hits[0].k, k);
      EXPECT_NEAR(fast.hits[0].hits, slow.hits[0].hits, 1e-12);
    }
  }
}

TEST(MetricsTest, a_constant_score_is_worth_nothing) {
  const std::vector<float> positives(40, 1.0F);
  const std::vector<float> negatives(40, 1.0F);
  const std::vector<std::uint32_t> hits_at{20, 21};
  const RankingMetrics metrics = ranking_metrics(positives, negatives, hits_at);
  EXPECT_DOUBLE_EQ(metrics.auc, 0.5);
  EXPECT_DOUBLE_EQ(metrics.average_precision, 0.5);
  EXPECT_DOUBLE_EQ(metrics.mrr, 1.0 / 21);
  EXPECT_DOUBLE_EQ(metrics.hits[0].hits, 0);
  EXPECT_DOUBLE_EQ(metrics.hits[1].hits, 1);
}

// scikit-learn 1.x: roc_auc_score and average_precision_score of these eight scores.
TEST(MetricsTest, agree_with_figures_worked_by_hand) {
  const std::vector<float> positives{0.9F, 0.8F, 0.4F};
  const std::vector<float> negatives{0.8F, 0.7F, 0.3F, 0.2F, 0.1F};
  const RankingMetrics metrics = ranking_metrics(positives, negatives, {});
  EXPECT_NEAR(metrics.auc, (5 + 4.5 + 3) / 15, 1e-12);
  EXPECT_NEAR(metrics.average_precision, (1.0 / 1 + 2.0 / 3 + 3.0 / 5) / 3, 1e-12);
  EXPECT_NEAR(metrics.mrr, (1 + 1 / 1.5 + 1.0 / 3) / 3, 1e-12);
}

TEST(MetricsTest, refuse_what_cannot_be_ranked) {
  const std::vector<float> some{1.0F};
  const std::vector<float> none;
  const std::vector<float> nan{std::nanf("")};
  EXPECT_THROW(ranking_metrics(none, some, {}), std::invalid_argument);
  EXPECT_THROW(ranking_metrics(some, none, {}), std::invalid_argument);
  EXPECT_THROW(ranking_metrics(some, nan, {}), std::invalid_argument);
}

TEST(F1Test, sums_for_micro_and_averages_all_labels_for_macro) {
  // Label 2 occurs nowhere: it counts as 0 in the macro mean and not at all in the micro sum.
  const std::vector<LabelCounts> counts{{8, 2, 4}, {1, 3, 0}, {0, 0, 0}};
  const F1Scores scores = f1_scores(counts);
  EXPECT_NEAR(scores.micro, 18.0 / (18 + 5 + 4), 1e-12);
  EXPECT_NEAR(scores.macro, (16.0 / 22 + 2.0 / 5 + 0) / 3, 1e-12);
}

}  // namespace
}  // namespace knotwork::embeddings
