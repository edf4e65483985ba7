// What networks are trained for: losses over output rows and their derivatives, and how good outputs are.
//
//   softmax  one label a node:    L = 1/n sum_i -log softmax(z_i)[y_i]
//   sigmoid  any number of them:  L = 1/n sum_i sum_c -[y_ic log s(z_ic) + (1 - y_ic) log(1 - s(z_ic))]
//   links    unsupervised GraphSAGE (Hamilton, Ying, Leskovec, NIPS 2017, equation 1), with negatives that all pairs
//            of a step share:     L = 1/n sum_(u,v) [-log s(z_u z_v) - q/|S| sum_(w in S) log s(-z_u z_w)]
//
// where s is the logistic function. Plain loops in a fixed order, sums in double: the same bits on any machine's
// threads.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace knotwork::embeddings::gnn {

/// Labels of some rows. `rows` rise; label lists as in embeddings/classification.h.
struct RowLabels {
  std::vector<std::uint32_t> rows;
  std::vector<std::size_t> offsets{0};
  std::vector<std::uint32_t> labels;

  std::span<const std::uint32_t> of(std::size_t index) const {
    return {labels.data() + offsets[index], offsets[index + 1] - offsets[index]};
  }
};

enum class LabelLoss : std::uint8_t { kSoftmax, kSigmoid };

/// The mean loss over labels.rows. Adds 1/`count` of each row's derivative to by_outputs (as `outputs`) unless that is
/// empty; `count`: rows of all ranks, 0: labels.rows.size(). REQUIRES: one label a row for kSoftmax.
double label_loss(std::span<const float> outputs, std::size_t columns, const RowLabels& labels, LabelLoss loss,
                  std::span<float> by_outputs, std::size_t count = 0);

/// Share of labels.rows whose greatest output is the label (softmax); micro- and macro-F1 of outputs above 0 (sigmoid)
/// or of the greatest output (softmax).
struct LabelScores {
  double accuracy = 0;
  double micro_f1 = 0;
  double macro_f1 = 0;
};
LabelScores label_scores(std::span<const float> outputs, std::size_t columns, const RowLabels& labels, LabelLoss loss);

/// Probabilities instead of logits, in place.
void to_probabilities(std::span<float> outputs, std::size_t columns, LabelLoss loss);

/// Pairs of rows that should be near, and rows that are far from most.
struct LinkSample {
  std::vector<std::uint32_t> heads;
  std::vector<std::uint32_t> tails;
  std::vector<std::uint32_t> negatives;
  /// q: what all negatives together weigh, beside 1 for the pair.
  double negative_weight = 5;
};

/// The mean loss over pairs; its derivative is added to by_outputs unless that is empty. `count` as in label_loss, of
/// pairs.
double link_loss(std::span<const float> outputs, std::size_t columns, const LinkSample& sample,
                 std::span<float> by_outputs, std::size_t count = 0);

}  // namespace knotwork::embeddings::gnn
