// What link prediction is worth without any learning: four scores that cost nothing, on the same split.
//
//   degree-product      deg(u) * deg(v)
//   common-neighbours   |N(u) & N(v)|
//   adamic-adar         sum over common neighbours w of 1 / ln deg(w)   (Adamic and Adar 2003)
//   random-vectors      dot product of vectors of seeded independent uniform numbers: must come out near 0.5
//
// Degrees and neighbours are those of the train edges, taken as undirected, without duplicates and self-loops.
// Liben-Nowell and Kleinberg 2007 survey such predictors.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "embeddings/link_prediction.h"
#include "partition/ids.h"

namespace knotwork::embeddings {

enum class LinkBaseline : std::uint8_t { kDegreeProduct, kCommonNeighbours, kAdamicAdar, kRandomVectors };

/// "degree-product", "common-neighbours", "adamic-adar", "random-vectors".
std::string link_baseline_name(LinkBaseline baseline);

/// Neighbour lists of the train edges, sorted. Immutable.
class TrainNeighbours {
 public:
  /// REQUIRES: every node of `edges` < node_count.
  TrainNeighbours(std::span<const NodePair> edges, std::size_t node_count);
  std::span<const partition::OriginalNode> of(partition::OriginalNode node) const {
    return {targets_.data() + offsets_[node], offsets_[node + 1] - offsets_[node]};
  }
  std::size_t degree(partition::OriginalNode node) const { return offsets_[node + 1] - offsets_[node]; }

 private:
  std::vector<std::uint64_t> offsets_;
  std::vector<partition::OriginalNode> targets_;
};

/// Scores of `pairs`. kRandomVectors is not one of them (std::invalid_argument).
std::vector<float> baseline_scores(const TrainNeighbours& neighbours, std::span<const NodePair> pairs,
                                   LinkBaseline baseline);

/// All four baselines, in the order of the enum. `embedding` gives the number of nodes and the dimension only.
std::vector<LinkReport> evaluate_baselines(const Embedding& embedding, const LinkSplit& split,
                                           const LinkOptions& options = {});

}  // namespace knotwork::embeddings
