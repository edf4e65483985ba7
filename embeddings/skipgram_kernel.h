// One training step of skip-gram with negative sampling over one window: a small dense product.
//
// The C context nodes' rows of the input table meet T = 1 + K rows of the output table (the centre, which is the
// positive target, and K negatives that the whole window shares): Mikolov et al., "Distributed representations of words
// and phrases", NIPS 2013, eq. 4, with the sharing of Ji et al., "Parallelizing Word2Vec in shared and distributed
// memory", arXiv 1604.04661. With x(c, t) = <input c, output t> and label 1 for the centre, 0 for a negative:
//
//     loss of a pair (c, centre)   -log s(x(c, centre)) - sum over negatives of log s(-x(c, negative)),  s the sigmoid
//     error e(c, t)                rate * (label - s(x(c, t)))        (all rows as they were before the window)
//
//     for every context c in order, for every target t:   input c  += e(c, t) * output t    (output t as c finds it,
//                                                         output t += e(c, t) * input c      input c as before its
//                                                         step)
//
// Errors of a whole window at once make it a dense product; steps in order, as word2vec's, cost no more than stepping
// at once, and matter: a context moves towards the contexts before it through the outputs that they have moved, without
// which link prediction on hubs loses 0.02 AUC (docs/benchmarks.md).
//
// Rows are 64-byte aligned, `stride` floats long (a multiple of 16) with zeros behind the last column; they may belong
// to a shard or to replicas. SIMD by Highway, with the instruction set chosen at run time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "embeddings/row_table.h"

namespace knotwork::embeddings {

/// A sum of pair losses (formula above, natural logarithm) and the number of (context, centre) pairs in it.
struct WindowLoss {
  double sum = 0.0;
  std::uint64_t pairs = 0;
};

/// The rows of one window. SGD: a row that occurs twice counts twice, in one step; stepped one after the other with
/// errors that don't know of each other, the rows of a walk that goes to and fro would pull each other along without
/// end. Negatives that are the centre's row (the same address) take no part, as in word2vec.
struct WindowRows {
  std::span<float* const> contexts;
  std::span<float* const> targets;  ///< targets[0] is the centre
  /// One float a row, in the order of the rows above; AdaGrad only.
  std::span<float* const> context_accumulators = {};
  std::span<float* const> target_accumulators = {};
  /// Rows that a coming step will use: asked for from memory while this step computes. SGD only.
  std::span<const float* const> upcoming = {};
  /// Contexts are a sample rather than a sequence (LINE): all rows are read as they were before the window, and a row
  /// may be context and target at once (first order). SGD only.
  bool at_once = false;
};

/// Working memory of the steps of one thread, and the largest window it can take.
class WindowScratch {
 public:
  /// For rows of `dim` columns, row_stride(dim) floats apart. `gradients`: whether adagrad_window_step will be called.
  /// Throws std::invalid_argument if a size is 0.
  WindowScratch(std::size_t max_contexts, std::size_t max_targets, std::size_t dim, bool gradients);

  /// As many targets as the update holds in registers, and the error_pitch that it counts on.
  static constexpr std::size_t kFewTargets = 6;
  static constexpr std::size_t kFewPitch = 8;

  /// What the SIMD code works on.
  struct Window {
    WindowRows rows;  ///< SGD: each context once
    std::size_t dim = 0;
    std::size_t stride = 0;
    /// Logits, then errors of context c and target t at [c * error_pitch + t]; zeros behind the targets.
    float* errors = nullptr;
    std::size_t error_pitch = 0;      ///< kFewPitch for up to kFewTargets
    float* label_rates = nullptr;     ///< by target: the rate for the centre, else 0
    float* context_counts = nullptr;  ///< by context: how often it occurs, if `repeated`
    bool repeated = false;            ///< some context occurs more than once
    float* rates = nullptr;  ///< by target: the rate times how often it counts: 0 where it repeats an earlier one
    float* context_gradients = nullptr;  ///< AdaGrad only: rows
    float* target_gradients = nullptr;   ///< AdaGrad: rows; SGD: two vectors a target, if many or at_once
  };

  /// A window of `rows` with errors scaled by `rate`; `merge`: contexts once each, with counts. Throws
  /// std::invalid_argument if there are more rows than this scratch was made for, or no targets.
  const Window& prepare(const WindowRows& rows, float rate, bool merge);

 private:
  struct alignas(64) CacheLine {
    float values[16];
  };

  /// Where a row stands among the contexts of a window.
  struct Seen {
    std::uint32_t window = 0;
    std::uint32_t place = 0;
  };

  void merge_contexts();
  /// By the row's address: Fibonacci hashing (Knuth, TAOCP 6.4) of its number of cache lines.
  std::size_t slot_of(const float* row) const {
    const auto lines = reinterpret_cast<std::uintptr_t>(row) / 64;
    return (lines * 0x9E3779B97F4A7C15U >> 32) & (seen_.size() - 1);
  }

  std::size_t max_contexts_;
  std::size_t max_targets_;
  std::vector<CacheLine> memory_;
  std::vector<float*> unique_contexts_;
  std::vector<Seen> seen_;  // by slot_of(); a power of two of them
  std::uint32_t window_number_ = 0;
  Window window_;
};

/// Plain gradient descent with `learning_rate`. `loss`, if not null, gets the loss before the step added. Threads may
/// step on the same rows at the same time without locks (Hogwild, Niu et al., NIPS 2011): an update may then be lost.
void sgd_window_step(const WindowRows& rows, float learning_rate, WindowScratch& scratch, WindowLoss* loss);

/// AdaGrad with one accumulator a row (Duchi et al. 2011, by row as in PyTorch-BigGraph): accumulator += mean square of
/// the row's gradient; row += learning_rate * gradient / (sqrt(accumulator) + 1e-10). All gradients are taken before
/// the first row is stepped, contexts first; a context that occurs twice is stepped twice. REQUIRES accumulators in
/// `rows` and a scratch made for gradients.
void adagrad_window_step(const WindowRows& rows, float learning_rate, WindowScratch& scratch, WindowLoss* loss);

}  // namespace knotwork::embeddings
