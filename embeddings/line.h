// LINE: Tang et al., "LINE: Large-scale information network embedding", WWW 2015, on the skip-gram kernel.
//
// LINE draws edges (u, v) in proportion to weight and trains u's vector against v's (eq. 3, first order: one table for
// both ends; eq. 7, second order: u's row of the input table against v's row of the output table), with K negatives
// drawn in proportion to degree^0.75. Here edges come in stars: the centre v is drawn in proportion to its (weighted)
// degree and then C of its neighbours u in proportion to weight, so that every (u, v) is still an edge drawn in
// proportion to weight, while the star's C edges share v and its negatives and make one window of skipgram_kernel.h.
//
// Directed graphs: second order models u -> v, so lists must hold the arcs that end in v: pass the transposed graph.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <vector>

#include "embeddings/negative_sampler.h"
#include "embeddings/skipgram.h"
#include "partition/graph.h"

namespace knotwork::embeddings {

enum class LineOrder : std::uint8_t {
  kFirst,   ///< neighbours are alike; undirected graphs only
  kSecond,  ///< nodes with common neighbours are alike
  kBoth,    ///< each trained alone with half of the columns, set side by side by the caller
};

/// The two random words that choose a star's centre.
std::array<std::uint32_t, 2> star_centre_words(std::uint64_t seed, std::uint64_t star);

/// The random words of a star's negatives: words 2k and 2k + 1 choose negative k. REQUIRES a multiple of four words.
void star_negative_words(std::uint64_t seed, std::uint64_t star, std::span<std::uint32_t> words);

/// Draws stars from a slice of a graph. Immutable after construction: any number of threads may draw.
class StarSampler {
 public:
  /// Builds an alias table over the slice's nodes (8 bytes a node) and, if `weighted`, cumulative weights (4 bytes an
  /// arc). Throws partition::InputError if no node of the slice has an arc or if `weighted` and the graph is not.
  StarSampler(partition::Graph graph, bool weighted);

  /// Star number `star`: centre and neighbours from Philox(seed, kEdgeSample, star). Fills all of `neighbours`, with
  /// repetitions where the draw repeats, and returns the centre. Ranks that draw from different slices give each other
  /// disjoint star numbers. Neighbours may be nodes that the slice does not hold.
  GlobalNode draw(std::uint64_t seed, std::uint64_t star, std::span<GlobalNode> neighbours) const;

  /// The same with a centre drawn elsewhere, by star_centre_words: neighbours are functions of (seed, star, centre),
  /// whatever the slice. REQUIRES a centre with arcs that the slice holds.
  void draw_neighbours(std::uint64_t seed, std::uint64_t star, GlobalNode centre,
                       std::span<GlobalNode> neighbours) const;

  /// Sum of the strengths of the slice's nodes: each rank's share of the stars is in proportion to it.
  double total_strength() const { return centres_.total_mass(); }

 private:
  std::uint32_t draw_arc(GlobalNode centre, std::uint32_t bits) const;

  partition::Graph graph_;
  NegativeSampler centres_;
  // Per list: weights summed up to each arc, as 32-bit fractions of the list's sum, rounded up at the last arc.
  std::vector<std::uint32_t> cumulative_;
};

/// Trains stars: the state of one thread, Hogwild as SkipGramTrainer. A star's size is `options.window`.
class LineTrainer {
 public:
  /// dim, window (edges of a star), negatives, optimizer, loss_interval and seed of `options` count. Throws
  /// partition::InputError on options out of range.
  explicit LineTrainer(const SkipGramOptions& options);

  /// Room for the neighbours of a star.
  std::span<GlobalNode> neighbours() { return neighbours_; }

  /// One star: `contexts`, at most `window` neighbours' rows, against the centre's row. Second order: contexts in the
  /// input table, centre and negatives in the output table. First order: all in one table. Accumulators: AdaGrad only.
  template <NegativeSource Negatives>
  void train_star(std::span<const RowPointer> contexts, RowPointer centre, const Negatives& negatives,
                  std::uint64_t star, float learning_rate) {
    begin_star(contexts, centre, star);
    for (std::uint32_t k = 0; k < options_.negatives; ++k) {
      const RowPointer row = negatives.row(bits_[2 * k], bits_[2 * k + 1]);
      targets_[k + 1] = row.values;
      if (adagrad_) target_accumulators_[k + 1] = row.accumulator;
    }
    step(contexts.size(), learning_rate);
  }

  /// As SkipGramTrainer::count_from, in stars.
  void count_from(std::uint64_t stars_before);

  const SkipGramOptions& options() const { return options_; }
  /// `words` counts stars, `pairs` edges.
  const TrainingCounters& counters() const { return counters_; }
  TrainingCounters take_counters();

 private:
  void begin_star(std::span<const RowPointer> contexts, RowPointer centre, std::uint64_t star);
  void step(std::size_t context_count, float learning_rate);

  SkipGramOptions options_;
  bool adagrad_;
  WindowScratch scratch_;
  std::vector<GlobalNode> neighbours_;
  std::vector<std::uint32_t> bits_;
  std::vector<float*> contexts_;
  std::vector<float*> targets_;
  std::vector<float*> context_accumulators_;
  std::vector<float*> target_accumulators_;
  std::uint32_t stars_to_loss_;
  TrainingCounters counters_;
};

/// Trains stars first_star .. first_star + count - 1 over local tables. First order: `tables.inputs` and
/// `tables.outputs` are the same table, with rows that do not start as zeros. `tables.keep` is not used.
void train_stars(LineTrainer& trainer, const StarSampler& stars, std::uint64_t first_star, std::uint64_t count,
                 const LocalTables& tables, float learning_rate);

}  // namespace knotwork::embeddings
