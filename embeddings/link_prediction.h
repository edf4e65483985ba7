// Link prediction: do the vectors of hidden edges' ends agree more than those of node pairs without an edge?
//
// The split is made by `knotwork split`; the protocol is in docs/evaluation.md. Scores of a pair (u, v): the dot
// product; the cosine; or a logistic regression on the element-wise product u * v ("hadamard", Grover and Leskovec, KDD
// 2016, table 1), trained on the train edges and the train negatives.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "embeddings/embedding.h"
#include "embeddings/metrics.h"
#include "partition/ids.h"
#include "partition/node_names.h"

namespace knotwork::embeddings {

struct NodePair {
  partition::OriginalNode source;
  partition::OriginalNode target;
};

/// Pairs as rows of the embedding that is judged.
struct LinkSplit {
  std::vector<NodePair> train;
  std::vector<NodePair> train_negatives;
  std::vector<NodePair> test;
  std::vector<NodePair> test_negatives;
};

/// Reads train.tsv, train_neg.tsv, test_pos.tsv and test_neg.tsv (`name TAB name`, further columns ignored, `#` lines
/// skipped) of `folder`. `names`: those of the embedding. Throws InputError: a file is missing, empty or malformed, or
/// names a node that has no vector.
LinkSplit read_link_split(const std::string& folder, const partition::NodeNames& names);

enum class LinkScore : std::uint8_t { kDot, kCosine, kHadamardLr };

/// "dot", "cosine", "hadamard-lr".
std::string link_score_name(LinkScore score);
/// Throws InputError that lists the names.
LinkScore link_score_from_name(const std::string& name);

struct LinkOptions {
  std::vector<std::uint32_t> hits_at{10, 50, 100};
  /// Inverse strength of the L2 penalty of hadamard-lr (liblinear's C).
  double c = 1.0;
  /// Most pairs that hadamard-lr learns from: positives and negatives are each cut to half of it, by a seeded draw
  /// without replacement. Training memory is 16 * (dim + 2) bytes a pair.
  std::size_t max_training_pairs = 100'000;
  std::uint64_t seed = 1;
};

/// One line of the evaluation's table.
struct LinkReport {
  std::string name;
  RankingMetrics metrics;
  double seconds = 0;
};

/// Scores all test pairs in parallel. The result does not depend on the number of threads. Throws InputError if the
/// split lacks what the score needs, or a vector is not finite.
LinkReport evaluate_links(const Embedding& embedding, const LinkSplit& split, LinkScore score,
                          const LinkOptions& options = {});

/// Scores of `pairs` under dot or cosine; a zero vector has cosine 0 with everything.
std::vector<float> score_pairs(const Embedding& embedding, std::span<const NodePair> pairs, LinkScore score);

}  // namespace knotwork::embeddings
