// Skip-gram with negative sampling over random walks: DeepWalk (Perozzi et al., KDD 2014) and node2vec (Grover and
// Leskovec, KDD 2016), with the objective of Mikolov et al., NIPS 2013.
//
// A walk goes in as pointers to the rows of its nodes, so the trainer never asks whether a row is the shard's own or a
// replica; a batch of walks over plain local tables has a short cut (train_walks). For every position of a walk, as in
// word2vec: the window is shrunk to 1 .. window at random, the input rows of the nodes in it are the contexts, the
// position's own output row is the positive target, and K negatives are shared by the window. The published embedding
// is the input table. The step itself, its loss and gradients: skipgram_kernel.h.
//
// Randomness is Philox of (seed, purpose, original start node, walk, position): what is trained against what does not
// depend on threads, ranks or parts; only the order of updates does.
#pragma once

#include <algorithm>
#include <array>
#include <concepts>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "embeddings/context_copies.h"
#include "embeddings/negative_sampler.h"
#include "embeddings/row_table.h"
#include "embeddings/skipgram_kernel.h"
#include "embeddings/walk.h"
#include "partition/random.h"

namespace knotwork::embeddings {

enum class Optimizer : std::uint8_t {
  kSgd,
  kAdagrad,  ///< one accumulator a row; rows need accumulators
};

struct SkipGramOptions {
  std::uint32_t dim = 128;
  /// Nodes at most on either side of the centre, 1 .. 256.
  std::uint32_t window = 10;
  /// Negatives of a window, 0 .. 256. With 0 nothing keeps vectors apart: for tests only.
  std::uint32_t negatives = 5;
  /// Consecutive windows of a walk that share one draw of negatives, 1 .. 256.
  std::uint32_t windows_per_draw = 1;
  /// Threshold t of word2vec's subsampling of frequent nodes (keep_probabilities); 0: keep all. 1e-3 .. 1e-5 are usual.
  double subsample = 0.0;
  /// Falls linearly to min_learning_rate. 0.025 suits SGD, about 0.1 AdaGrad.
  float learning_rate = 0.025F;
  float min_learning_rate = 1e-4F;
  Optimizer optimizer = Optimizer::kSgd;
  /// Threads (of all processes) that train on the same rows: from kCrowd on, each works on copies of a window's context
  /// rows (context_copies.h), which cost a lone thread 7 % and gave 4 to 16 threads 10 to 32 % on graphs with hubs.
  unsigned threads_on_rows = 1;
  static constexpr unsigned kCrowd = 3;
  /// The loss is taken from every n-th window; 0: never.
  std::uint32_t loss_interval = 128;
  std::uint64_t seed = 1;
};

/// Throws partition::InputError, naming the option, if one is out of range.
void check_options(const SkipGramOptions& options);

/// What one thread has done. Sums of several threads are sums of the fields.
struct TrainingCounters {
  std::uint64_t words = 0;  ///< centre positions trained
  std::uint64_t pairs = 0;  ///< (context, centre) pairs trained, each against the window's negatives too
  /// Sum over `loss_pairs` sampled pairs of -log s(positive) - sum over negatives of log s(-negative), before the step.
  /// K log 2 + log 2 a pair at the start, when output rows are zero.
  double loss_sum = 0.0;
  std::uint64_t loss_pairs = 0;

  TrainingCounters& operator+=(const TrainingCounters& other);
  /// Mean loss of a pair; 0 if none was sampled.
  double mean_loss() const { return loss_pairs == 0 ? 0.0 : loss_sum / static_cast<double>(loss_pairs); }
};

/// Names a walk for its random numbers. `walk` counts on through the epochs.
struct WalkKey {
  OriginalNode start;
  std::uint32_t walk;
};

/// The random words of a walk's negatives: words 2k and 2k + 1 choose negative k of windows draw * windows_per_draw on.
/// REQUIRES a multiple of four words.
void negative_words(std::uint64_t seed, WalkKey key, std::uint32_t draw, std::span<std::uint32_t> words);

/// The rows of a walk's positions, after subsampling: element i belongs to position i. A node has one address per
/// table during a walk. Accumulators: AdaGrad only, else empty.
struct WalkRows {
  std::span<float* const> inputs;
  std::span<float* const> outputs;
  std::span<float* const> input_accumulators = {};
  std::span<float* const> output_accumulators = {};
};

/// A part of a walk that is trained on its own. The rows given with it are those of walk positions first_position on;
/// centres first_centre .. last_centre - 1 are trained. With `window` further rows on either side (or up to the walk's
/// ends) its windows are those of the whole walk, random numbers included.
struct WalkStretch {
  std::uint32_t first_position = 0;
  std::uint32_t first_centre = 0;
  std::uint32_t last_centre = 0;
};

/// A row and its AdaGrad accumulator (null with SGD).
struct RowPointer {
  float* values;
  float* accumulator;
};

/// Where negatives come from: an output row for two independent random words, thread-safe.
template <typename Source>
concept NegativeSource = requires(const Source& source, std::uint32_t bits) {
  { source.row(bits, bits) } -> std::same_as<RowPointer>;
  source.prefetch(bits);
};

/// Negatives from a table whose rows are all at hand.
class SampledNegatives {
 public:
  SampledNegatives(const NegativeSampler& sampler, const DenseRows& outputs) : sampler_(&sampler), outputs_(outputs) {}
  RowPointer row(std::uint32_t slot_bits, std::uint32_t coin) const {
    const GlobalNode node = sampler_->sample(slot_bits, coin);
    return {outputs_.row(node), outputs_.accumulators == nullptr ? nullptr : outputs_.accumulator(node)};
  }
  void prefetch(std::uint32_t slot_bits) const { sampler_->prefetch(slot_bits); }

 private:
  const NegativeSampler* sampler_;
  DenseRows outputs_;
};

/// Negatives drawn uniformly from a pool of rows that was itself drawn from the wanted distribution. The pool lies in
/// chunks, so that a part of it can be renewed without copying the rest. A pool row of the centre's node must have the
/// centre's address to be left out as word2vec does.
class PooledNegatives {
 public:
  /// REQUIRES chunks of one size, not empty, that outlive this.
  explicit PooledNegatives(std::span<const std::span<const RowPointer>> chunks) : chunks_(chunks) {}
  RowPointer row(std::uint32_t slot_bits, std::uint32_t /*coin*/) const { return *slot_of(slot_bits); }
  void prefetch(std::uint32_t slot_bits) const { __builtin_prefetch(slot_of(slot_bits)); }

 private:
  /// The bits' leading part chooses a chunk, what is left a row of it.
  const RowPointer* slot_of(std::uint32_t bits) const {
    const std::uint64_t place = std::uint64_t{bits} * chunks_.size();
    const std::span<const RowPointer> chunk = chunks_[place >> 32];
    return chunk.data() + (((place & 0xffffffffU) * chunk.size()) >> 32);
  }

  std::span<const std::span<const RowPointer>> chunks_;
};

/// Trains walks: the state of one thread. Threads have trainers of their own and share rows without locks (Hogwild,
/// Niu et al., NIPS 2011).
class SkipGramTrainer {
 public:
  /// Throws partition::InputError on options out of range.
  explicit SkipGramTrainer(const SkipGramOptions& options);

  /// Trains every position of a walk at one learning rate.
  template <NegativeSource Negatives>
  void train_walk(const WalkRows& rows, const Negatives& negatives, WalkKey key, float learning_rate) {
    train_stretch(rows, {.last_centre = static_cast<std::uint32_t>(rows.inputs.size())}, negatives, key, learning_rate);
  }

  /// Trains a part of a walk. Output rows are needed for its centres only; others may be null.
  template <NegativeSource Negatives>
  void train_stretch(const WalkRows& rows, const WalkStretch& stretch, const Negatives& negatives, WalkKey key,
                     float learning_rate) {
    if (rows.inputs.size() < 2 || stretch.first_centre == stretch.last_centre) return;
    begin_stretch(rows, stretch, key);
    const std::uint32_t sharing = options_.windows_per_draw;
    const std::uint32_t first_draw = stretch.first_centre / sharing;
    draw_bits(key, first_draw, negatives);
    draw_bits(key, first_draw + 1, negatives);
    draw_negatives(first_draw, negatives);
    for (std::uint32_t position = stretch.first_centre; position < stretch.last_centre; ++position) {
      upcoming_.clear();
      if (position % sharing == 0 || position == stretch.first_centre) {
        // Two draws ahead for the sampler's own memory, one ahead for rows: memory answers while windows are trained.
        const std::uint32_t draw = position / sharing;
        draw_negatives(draw + 1, negatives);
        draw_bits(key, draw + 2, negatives);
      }
      train_window(rows, position, learning_rate);
    }
    if (copies_) copies_->leave_all();
  }

  /// Says how many windows of all the work come before the next one: which windows the loss is taken from is then a
  /// function of the work, whoever does it.
  void count_from(std::uint64_t windows_before);

  const SkipGramOptions& options() const { return options_; }
  const TrainingCounters& counters() const { return counters_; }
  /// Returns the counters and starts anew.
  TrainingCounters take_counters();

 private:
  // The targets of consecutive windows, the centre's place first, and the random bits that their negatives come from.
  struct Draw {
    std::vector<std::uint32_t> bits;
    std::vector<float*> targets;
    std::vector<float*> accumulators;
  };

  void begin_stretch(const WalkRows& rows, const WalkStretch& stretch, WalkKey key);
  void train_window(const WalkRows& rows, std::uint32_t position, float learning_rate);
  std::size_t take_contexts(const WalkRows& rows, std::uint32_t first, std::uint32_t centre, std::uint32_t last);
  void slide_to(const WalkRows& rows, std::uint32_t centre);
  void step(const WindowRows& window, float learning_rate, WindowLoss* loss);
  void prefetch_row(const float* row) const;
  Draw& planned(std::uint32_t draw) { return planned_[draw % planned_.size()]; }

  template <NegativeSource Negatives>
  void draw_bits(WalkKey key, std::uint32_t draw, const Negatives& negatives) {
    std::vector<std::uint32_t>& bits = planned(draw).bits;
    negative_words(options_.seed, key, draw, bits);
    for (std::uint32_t k = 0; k < options_.negatives; ++k) negatives.prefetch(bits[2 * k]);
  }

  template <NegativeSource Negatives>
  void draw_negatives(std::uint32_t draw, const Negatives& negatives) {
    Draw& to = planned(draw);
    for (std::uint32_t k = 0; k < options_.negatives; ++k) {
      const RowPointer row = negatives.row(to.bits[2 * k], to.bits[2 * k + 1]);
      to.targets[k + 1] = row.values;
      if (adagrad_) to.accumulators[k + 1] = row.accumulator;
      upcoming_.push_back(row.values);
    }
  }

  SkipGramOptions options_;
  bool adagrad_;
  std::size_t row_lines_;  // cache lines of a row
  WindowScratch scratch_;
  std::optional<ContextCopies> copies_;  // by index of WalkRows::inputs; in a crowd
  std::array<Draw, 3> planned_;
  WalkStretch stretch_;
  std::vector<std::uint32_t> window_bits_;  // from the first centre's block of four on
  std::vector<float*> contexts_;
  std::vector<float*> context_accumulators_;
  std::vector<const float*> upcoming_;  // rows of coming windows
  std::uint32_t windows_to_loss_ = 0;
  TrainingCounters counters_;
};

/// Tables whose rows are all at hand, and how to sample them.
struct LocalTables {
  DenseRows inputs;
  DenseRows outputs;
  const NegativeSampler* negatives = nullptr;
  /// Probability of keeping each node of a walk (keep_probabilities), by global node; empty: keep all.
  std::span<const float> keep = {};
};

/// Trains finished walks over local tables with the calling thread's `trainer`. keys[i] names walk i.
void train_walks(SkipGramTrainer& trainer, const WalkBatch& walks, std::span<const WalkKey> keys,
                 const LocalTables& tables, float learning_rate);

/// word2vec's probability of keeping a node of frequency f at threshold t: sqrt(t / f) + t / f, at most 1. A node's
/// frequency in walks is taken as its share of `strengths` (degrees, or sums of weights). `total`: sum over all ranks.
std::vector<float> keep_probabilities(std::span<const double> strengths, double total, double threshold);

/// Writes the nodes of `path` that subsampling keeps to `kept`. keep[node] as above.
void subsample_walk(std::span<const GlobalNode> path, WalkKey key, std::span<const float> keep, std::uint64_t seed,
                    std::vector<GlobalNode>& kept);

/// Input rows as word2vec starts them: uniform in [-0.5, 0.5) / dim, from Philox(seed, original node, column), so the
/// same for any parts. originals[i]: original node of row i of `rows`. Output rows start as zeros.
void initialise_rows(const DenseRows& rows, std::span<const OriginalNode> originals, std::uint64_t seed);

}  // namespace knotwork::embeddings
