// Pairs by personalized PageRank, for skip-gram: VERSE (Tsitsulin, Mottin, Karras, Mueller: "VERSE: Versatile graph
// embeddings from similarity measures", WWW 2018), which trains a node's vector against the ends of walks with restart
// from it.
//
// Pairs come in stars, as line.h's edges do: a centre and the ends of C walks from it share their negatives and make
// one window of skipgram_kernel.h. Every node is the centre once a round, in StartOrder of (seed, round). The walks of
// star number `round` of a node are its fingerprint walks C * round .. C * round + C - 1 (ppr_fingerprints.h), so that
// stars are the same for any number of threads. Walks that end where they began, and those that come to a dangling
// node, make no pair: the former say nothing, and the latter would end there.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "embeddings/line.h"
#include "embeddings/ppr_fingerprints.h"
#include "embeddings/ppr_graph.h"

namespace knotwork::embeddings {

struct PprPairsOptions {
  double restart = 0.15;
  bool weighted = false;
  /// C: walks of a star.
  std::uint32_t walks = 10;
  std::uint64_t seed = 1;
};

/// Some stars: star i has contexts ends[i - 1] .. ends[i] - 1. Global nodes of the graph that was given.
struct PprStars {
  std::vector<GlobalNode> centres;
  std::vector<std::uint32_t> ends;
  std::vector<GlobalNode> contexts;
  std::span<const GlobalNode> contexts_of(std::size_t star) const {
    const std::uint32_t begin = star == 0 ? 0 : ends[star - 1];
    return std::span(contexts).subspan(begin, ends[star] - begin);
  }
  // Scratch.
  std::vector<FingerprintWalk> walks;
  std::vector<GlobalNode> walk_ends;
};

/// Draws stars. Immutable: any number of threads may draw.
class PprStarSampler {
 public:
  /// REQUIRES a whole graph. Throws partition::InputError as TransitionGraph and FingerprintWalker do.
  PprStarSampler(const Graph& whole, const PprPairsOptions& options);
  PprStarSampler(const PprStarSampler&) = delete;
  PprStarSampler& operator=(const PprStarSampler&) = delete;

  /// Stars first .. first + count - 1; star s is that of round s / nodes, and of the node at place s % nodes of it.
  void draw(std::uint64_t first, std::uint64_t count, PprStars& stars) const;

  const Graph& graph() const { return whole_; }

 private:
  Graph whole_;
  PprPairsOptions options_;
  TransitionGraph transitions_;
  FingerprintWalker walker_;
  std::vector<GlobalNode> global_of_rank_;  // empty: the same
};

/// Trains stars as train_stars of line.h: contexts' rows of the input table against the centre's of the output table.
void train_ppr_stars(LineTrainer& trainer, const PprStars& stars, std::uint64_t first_star, const LocalTables& tables,
                     float learning_rate);

}  // namespace knotwork::embeddings
