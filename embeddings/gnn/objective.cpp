#include "embeddings/gnn/objective.h"

#include <algorithm>
#include <cmath>

#include "embeddings/metrics.h"

namespace knotwork::embeddings::gnn {
namespace {

/// log(1 + e^x), without overflow.
double softplus(double x) {
  return std::max(x, 0.0) + std::log1p(std::exp(-std::fabs(x)));
}

double logistic(double x) {
  return 1 / (1 + std::exp(-x));
}

/// `scale` times the derivative is added to `by_row` unless that is empty.
double softmax_loss(std::span<const float> row, std::uint32_t label, double scale, std::span<float> by_row) {
  const double greatest = *std::ranges::max_element(row);
  double sum = 0;
  for (const float value : row) sum += std::exp(value - greatest);
  if (!by_row.empty()) {
    for (std::size_t c = 0; c < row.size(); ++c) {
      const double probability = std::exp(row[c] - greatest) / sum;
      by_row[c] += static_cast<float>(scale * (probability - (c == label ? 1 : 0)));
    }
  }
  return std::log(sum) + greatest - row[label];
}

double sigmoid_loss(std::span<const float> row, std::span<const std::uint32_t> labels, double scale,
                    std::span<float> by_row) {
  double loss = 0;
  for (std::size_t c = 0; c < row.size(); ++c) {
    const bool wanted = std::ranges::find(labels, c) != labels.end();
    loss += softplus(wanted ? -row[c] : row[c]);
    if (!by_row.empty()) by_row[c] += static_cast<float>(scale * (logistic(row[c]) - (wanted ? 1 : 0)));
  }
  return loss;
}

std::uint32_t greatest(std::span<const float> row) {
  return static_cast<std::uint32_t>(std::ranges::max_element(row) - row.begin());
}

double dot(std::span<const float> a, std::span<const float> b) {
  double sum = 0;
  for (std::size_t c = 0; c < a.size(); ++c) sum += static_cast<double>(a[c]) * b[c];
  return sum;
}

void add(std::span<float> to, double scale, std::span<const float> row) {
  const auto factor = static_cast<float>(scale);
  for (std::size_t c = 0; c < to.size(); ++c) to[c] += factor * row[c];
}

}  // namespace

double label_loss(std::span<const float> outputs, std::size_t columns, const RowLabels& labels, LabelLoss loss,
                  std::span<float> by_outputs, std::size_t count) {
  const auto rows = static_cast<double>(count == 0 ? labels.rows.size() : count);
  double sum = 0;
  for (std::size_t i = 0; i < labels.rows.size(); ++i) {
    const std::size_t at = labels.rows[i] * columns;
    const std::span<float> by_row = by_outputs.empty() ? by_outputs : by_outputs.subspan(at, columns);
    sum += loss == LabelLoss::kSoftmax
               ? softmax_loss(outputs.subspan(at, columns), labels.of(i).front(), 1 / rows, by_row)
               : sigmoid_loss(outputs.subspan(at, columns), labels.of(i), 1 / rows, by_row);
  }
  return rows > 0 ? sum / rows : 0;
}

LabelScores label_scores(std::span<const float> outputs, std::size_t columns, const RowLabels& labels, LabelLoss loss) {
  std::vector<LabelCounts> counts(columns);
  std::size_t right = 0;
  for (std::size_t i = 0; i < labels.rows.size(); ++i) {
    const std::span<const float> row = outputs.subspan(labels.rows[i] * columns, columns);
    const std::uint32_t best = greatest(row);
    bool all_right = true;
    for (std::uint32_t c = 0; c < columns; ++c) {
      const bool wanted = std::ranges::find(labels.of(i), c) != labels.of(i).end();
      const bool found = loss == LabelLoss::kSoftmax ? c == best : row[c] > 0;
      all_right = all_right && wanted == found;
      counts[c].true_positives += wanted && found ? 1 : 0;
      counts[c].false_positives += !wanted && found ? 1 : 0;
      counts[c].false_negatives += wanted && !found ? 1 : 0;
    }
    right += all_right ? 1 : 0;
  }
  const F1Scores f1 = f1_scores(counts);
  const double rows = std::max(1.0, static_cast<double>(labels.rows.size()));
  return {static_cast<double>(right) / rows, f1.micro, f1.macro};
}

void to_probabilities(std::span<float> outputs, std::size_t columns, LabelLoss loss) {
  for (std::size_t at = 0; at < outputs.size(); at += columns) {
    const std::span<float> row = outputs.subspan(at, columns);
    if (loss == LabelLoss::kSigmoid) {
      for (float& value : row) value = static_cast<float>(logistic(value));
      continue;
    }
    const double most = *std::ranges::max_element(row);
    double sum = 0;
    for (const float value : row) sum += std::exp(value - most);
    for (float& value : row) value = static_cast<float>(std::exp(value - most) / sum);
  }
}

double link_loss(std::span<const float> outputs, std::size_t columns, const LinkSample& sample,
                 std::span<float> by_outputs, std::size_t count) {
  const auto row = [&](std::uint32_t at) { return outputs.subspan(at * columns, columns); };
  const auto by_row = [&](std::uint32_t at) { return by_outputs.subspan(at * columns, columns); };
  const auto pairs = static_cast<double>(count == 0 ? sample.heads.size() : count);
  const double share =
      sample.negatives.empty() ? 0 : sample.negative_weight / static_cast<double>(sample.negatives.size());
  const bool derives = !by_outputs.empty();
  double sum = 0;
  for (std::size_t i = 0; i < sample.heads.size(); ++i) {
    const std::uint32_t head = sample.heads[i];
    const std::uint32_t tail = sample.tails[i];
    const double score = dot(row(head), row(tail));
    sum += softplus(-score);
    if (derives) {
      const double slope = (logistic(score) - 1) / pairs;
      add(by_row(head), slope, row(tail));
      add(by_row(tail), slope, row(head));
    }
    for (const std::uint32_t negative : sample.negatives) {
      const double far = dot(row(head), row(negative));
      sum += share * softplus(far);
      if (!derives) continue;
      const double slope = share * logistic(far) / pairs;
      add(by_row(head), slope, row(negative));
      add(by_row(negative), slope, row(head));
    }
  }
  return pairs > 0 ? sum / pairs : 0;
}

}  // namespace knotwork::embeddings::gnn
