// Personalized PageRank of one source in milliseconds on large graphs: forward push near the source, fingerprints for
// what is left.
//
// Push (Andersen, Chung, Lang, FOCS 2006) keeps for every node a score p and a residual r with
//   pi_s = p + sum over u of r(u) pi_u,
// and moves residuals on while r(u) > threshold * arcs(u), whose cost is at most 1 / (alpha * threshold) arcs. The sum
// is then estimated with the ends of ceil(r(u) * omega) walks from each u that has a residual left, omega = walks an
// arc has / threshold: so many walks fit the fingerprints of every node (FORA: Wang et al., KDD 2017), which come from
// an index or are made on the spot, with the same result. PowerWalk (Liu et al., CIKM 2016) combines the same two
// halves.
//
// Walks that came to a dangling node return to the source: with a share d of them, the scores of those that did not are
// divided by 1 - d, since pi_s = (scores of walks that end) + d pi_s.
//
// The error. Walks are independent, so the error of node v has variance at most S(v) = sum of the squared weights of
// walks ending there (in expectation), and its mean is at most sqrt(S(v)), or twice a lone walk's weight (the mean
// distance of a Poisson variable from its mean). The sum of these over all nodes, and a margin that a sum of
// independent draws passes with probability at most 1 % (McDiarmid's inequality), is the printed bound on the L1
// distance.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "embeddings/ppr_fingerprints.h"
#include "embeddings/ppr_top.h"

namespace knotwork::embeddings {

struct PprQueryOptions {
  /// Residual that a node may keep for each of its arcs. Smaller: more pushes, more walks, a smaller error.
  double threshold = 1e-5;
  /// Scores to keep.
  std::size_t top = 100;
};

/// Sums over the queries of one thread.
struct PprQueryCounters {
  std::uint64_t pushed_arcs = 0;
  std::uint64_t walks = 0;
};

/// Answers queries: the state of one thread, 16 bytes a node.
class PprQuery {
 public:
  /// `index` may be null: walks are then made when they are needed. Arguments must outlive the query. Throws
  /// partition::InputError if an option is out of range.
  PprQuery(const FingerprintWalker& walker, const FingerprintIndex* index, const PprQueryOptions& options);

  /// The result of a source (by degree rank): a function of graph, options and seed alone.
  PprResult solve(GlobalNode source);

  const PprQueryCounters& counters() const { return counters_; }
  /// After solve(), for tests: the score of any node.
  double score(GlobalNode node) const { return cells_[node].score * scale_; }

 private:
  struct Cell {
    float score = 0;
    /// Sum of squared weights of walks that ended here; negative: of one walk only.
    float squares = 0;
  };

  /// A node's residual, and up to where it stays.
  struct Residual {
    float value = 0;
    float most = 0;
  };

  void reset();
  void push(GlobalNode source);
  void spread(GlobalNode node, float residual);
  void add_walks();
  void prefetch_walks(std::size_t place) const;
  void add_ends(std::span<const GlobalNode> ends, float weight);
  void touch(GlobalNode node);
  PprResult finish();

  const FingerprintWalker& walker_;
  const FingerprintIndex* index_;
  PprQueryOptions options_;
  double walks_wanted_;  // for a residual of 1
  std::vector<Cell> cells_;
  std::vector<Residual> residuals_;
  std::vector<GlobalNode> touched_cells_;
  std::vector<GlobalNode> touched_residuals_;
  std::vector<GlobalNode> queue_;
  std::vector<FingerprintWalk> walks_;
  std::vector<GlobalNode> ends_;
  double returned_ = 0;
  double walk_squares_ = 0;
  double scale_ = 1;
  TopScores best_;
  PprQueryCounters counters_;
};

}  // namespace knotwork::embeddings
