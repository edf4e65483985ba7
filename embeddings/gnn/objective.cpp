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

// Sums in several lanes: the same for every run of one program.
float dot(std::span<const float> a, std::span<const float> b) {
  float sum = 0;
#pragma omp simd reduction(+ : sum)
  for (std::size_t c = 0; c < a.size(); ++c) sum += a[c] * b[c];
  return sum;
}

void add(std::span<float> to, double scale, std::span<const float> row) {
  const auto factor = static_cast<float>(scale);
#pragma omp simd
  for (std::size_t c = 0; c < to.size(); ++c) to[c] += factor * row[c];
}

// Pairs whose derivatives by negatives one thread adds up: a constant, so that sums do not depend on threads.
constexpr std::size_t kPairsOfPiece = 256;

/// Rows as the loss of links sees them, and what it finds.
struct LinkWork {
  std::span<const float> outputs;
  std::size_t columns;
  const LinkSample& sample;
  double pairs;
  bool derives;
  std::vector<double> losses;       // by piece
  std::vector<float> by_heads;      // by pair
  std::vector<float> by_scores;     // of pairs
  std::vector<float> by_negatives;  // by piece and negative

  std::span<const float> row(std::uint32_t at) const { return outputs.subspan(at * columns, columns); }
};

void derive_piece(LinkWork& work, std::size_t piece) {
  const LinkSample& sample = work.sample;
  const std::size_t negatives = sample.negatives.size();
  const double share = negatives == 0 ? 0 : sample.negative_weight / static_cast<double>(negatives);
  const std::size_t last = std::min(sample.heads.size(), (piece + 1) * kPairsOfPiece);
  for (std::size_t i = piece * kPairsOfPiece; i < last; ++i) {
    const std::span<const float> head = work.row(sample.heads[i]);
    const double score = dot(head, work.row(sample.tails[i]));
    work.losses[piece] += softplus(-score);
    std::span<float> by_head;
    if (work.derives) {
      by_head = std::span(work.by_heads).subspan(i * work.columns, work.columns);
      work.by_scores[i] = static_cast<float>((logistic(score) - 1) / work.pairs);
      add(by_head, work.by_scores[i], work.row(sample.tails[i]));
    }
    for (std::size_t n = 0; n < negatives; ++n) {
      const std::span<const float> negative = work.row(sample.negatives[n]);
      const double far = dot(head, negative);
      work.losses[piece] += share * softplus(far);
      if (!work.derives) continue;
      const double slope = share * logistic(far) / work.pairs;
      add(by_head, slope, negative);
      add(std::span(work.by_negatives).subspan((piece * negatives + n) * work.columns, work.columns), slope, head);
    }
  }
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
  const std::size_t pairs = sample.heads.size();
  const std::size_t negatives = sample.negatives.size();
  const std::size_t pieces = (pairs + kPairsOfPiece - 1) / kPairsOfPiece;
  LinkWork work{.outputs = outputs,
                .columns = columns,
                .sample = sample,
                .pairs = static_cast<double>(count == 0 ? pairs : count),
                .derives = !by_outputs.empty(),
                .losses = std::vector<double>(pieces)};
  if (work.derives) {
    work.by_heads.resize(pairs * columns);
    work.by_scores.resize(pairs);
    work.by_negatives.resize(pieces * negatives * columns);
  }
#pragma omp parallel for schedule(dynamic, 1)
  for (std::size_t piece = 0; piece < pieces; ++piece) derive_piece(work, piece);
  double sum = 0;
  for (const double loss : work.losses) sum += loss;
  if (work.derives) {
    const auto by_row = [&](std::uint32_t at) { return by_outputs.subspan(at * columns, columns); };
    for (std::size_t i = 0; i < pairs; ++i) {
      add(by_row(sample.heads[i]), 1, std::span(work.by_heads).subspan(i * columns, columns));
      add(by_row(sample.tails[i]), work.by_scores[i], work.row(sample.heads[i]));
    }
    for (std::size_t at = 0; at < pieces * negatives; ++at)
      add(by_row(sample.negatives[at % negatives]), 1, std::span(work.by_negatives).subspan(at * columns, columns));
  }
  return work.pairs > 0 ? sum / work.pairs : 0;
}

}  // namespace knotwork::embeddings::gnn
