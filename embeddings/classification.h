// Node classification: how well do the vectors predict the nodes' labels?
//
// DeepWalk's protocol (Perozzi, Al-Rfou, Skiena, KDD 2014, section 5.2): one-vs-rest logistic regression on a random
// share of the labelled nodes; for each other node the number of its labels is given, and that many labels of the
// highest probability are predicted. Micro- and macro-F1, mean over repeats. docs/evaluation.md has every detail.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "embeddings/embedding.h"
#include "partition/ids.h"
#include "partition/node_names.h"

namespace knotwork::embeddings {

/// Labelled nodes in the order of their first line. Labels are numbered in the order of their names (numbers by value).
struct NodeLabels {
  std::vector<partition::OriginalNode> nodes;
  /// nodes.size() + 1 positions into `labels`: those of node i are labels[offsets[i]] ... labels[offsets[i + 1]) - 1.
  std::vector<std::size_t> offsets{0};
  std::vector<std::uint32_t> labels;
  std::vector<std::string> label_names;
  /// Labelled nodes without a vector that were left out on request.
  std::size_t skipped = 0;

  std::span<const std::uint32_t> of(std::size_t index) const {
    return {labels.data() + offsets[index], offsets[index + 1] - offsets[index]};
  }
};

/// What to do with a labelled node that has no vector (an isolated node is absent from an edge list).
enum class MissingNodes : std::uint8_t { kRefuse, kSkip };

/// Reads `node TAB label[,label]` lines (plain or .gz; `#` lines skipped; several lines of one node add up). Throws
/// InputError: a malformed line, no labels, fewer than two different labels, or (kRefuse) labelled nodes without a
/// vector: the first is named and the others are counted.
NodeLabels read_node_labels(const std::string& path, const partition::NodeNames& names,
                            MissingNodes missing = MissingNodes::kRefuse);

struct ClassificationOptions {
  /// Shares of the labelled nodes that are trained on; each in (0, 1).
  std::vector<double> ratios{0.1, 0.5, 0.9};
  std::uint32_t repeats = 10;
  std::uint64_t seed = 1;
  /// Inverse strength of the L2 penalty (liblinear's C).
  double c = 1.0;
  /// Scale each vector to length 1 first.
  bool normalize = false;
  /// Called now and then with the share of the work done, from one thread at a time. May be empty.
  std::function<void(double done)> progress;
};

/// Mean and sample standard deviation over the repeats.
struct ClassificationScore {
  double ratio = 0;
  std::size_t train_nodes = 0;
  double micro_f1 = 0;
  double macro_f1 = 0;
  double micro_f1_deviation = 0;
  double macro_f1_deviation = 0;
};

/// One score a ratio. Repeat r shuffles the nodes by Philox(seed, kEvaluate, position, r) and every ratio takes its
/// train nodes from the front of that order. Parallel over labels; the result does not depend on the number of threads.
/// Throws InputError on options out of range or a ratio that leaves no train or no test node.
std::vector<ClassificationScore> classify_nodes(const Embedding& embedding, const NodeLabels& labels,
                                                const ClassificationOptions& options = {});

}  // namespace knotwork::embeddings
