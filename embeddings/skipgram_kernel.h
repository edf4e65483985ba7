// One training step of skip-gram with negative sampling over one window: a small dense product.
//
// The C context nodes' rows of the input table meet T = 1 + K rows of the output table (the centre, which is the
// positive target, and K negatives that the whole window shares): Mikolov et al., "Distributed representations of words
// and phrases", NIPS 2013, eq. 4, with the sharing of Ji et al., "Parallelizing Word2Vec in shared and distributed
// memory", arXiv 1604.04661. With x(c, t) = <input c, output t> and label 1 for the centre, 0 for a negative:
//
//     loss of a pair (c, centre)   -log s(x(c, centre)) - sum over negatives of log s(-x(c, negative)),  s the sigmoid
//     error e(c, t)                label - s(x(c, t))
//     input c  += rate * sum over t of e(c, t) * output t        (all rows as they were before the step:
//     output t += rate * sum over c of e(c, t) * input c          the gradient of the whole window at once)
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

/// The rows of one window. A row may occur more than once among the contexts or among the targets: contributions add
/// up. Negatives that are the centre's row (the same address) take no part, as in word2vec. A row may be context and
/// target at once (LINE's first order).
struct WindowRows {
  std::span<float* const> contexts;
  std::span<float* const> targets;  ///< targets[0] is the centre
  /// One float a row, in the order of the rows above; AdaGrad only.
  std::span<float* const> context_accumulators = {};
  std::span<float* const> target_accumulators = {};
  /// Rows that a coming step will use: asked for from memory while this step computes. SGD only.
  std::span<const float* const> upcoming = {};
};

/// Working memory of the steps of one thread, and the largest window it can take.
class WindowScratch {
 public:
  /// For rows of `dim` columns, row_stride(dim) floats apart. `gradients`: whether adagrad_window_step will be called.
  /// Throws std::invalid_argument if a size is 0.
  WindowScratch(std::size_t max_contexts, std::size_t max_targets, std::size_t dim, bool gradients);

  /// What the SIMD code works on: rows without repetitions, how often each occurs, and buffers.
  struct Window {
    std::vector<float*> contexts;
    std::vector<float*> targets;
    std::vector<float> context_counts;
    std::vector<float> target_counts;
    std::vector<float*> context_accumulators;
    std::vector<float*> target_accumulators;
    std::size_t context_count = 0;
    std::size_t target_count = 0;
    std::size_t dim = 0;
    std::size_t stride = 0;
    std::span<const float* const> upcoming;
    bool repeated = false;    ///< some count is not 1
    float* errors = nullptr;  ///< rate * error of (c, t) at [t * error_pitch + c]
    std::size_t error_pitch = 0;
    float* context_gradients = nullptr;  ///< AdaGrad: rows; SGD with many targets: one vector a context
    float* target_gradients = nullptr;
  };

  /// Fills `window` from `rows`. Throws std::invalid_argument if there are more rows than this scratch was made for,
  /// or no targets.
  Window& prepare(const WindowRows& rows);

 private:
  // Rows of four errors, since the kernel writes four at a time.
  static constexpr std::size_t error_pitch(std::size_t contexts) { return (contexts + 3) / 4 * 4; }

  struct alignas(64) CacheLine {
    float values[16];
  };

  std::size_t max_contexts_;
  std::size_t max_targets_;
  std::vector<CacheLine> memory_;
  Window window_;
};

/// Plain gradient descent with `learning_rate`. `loss`, if not null, gets the loss before the step added. Threads may
/// step on the same rows at the same time without locks (Hogwild, Niu et al., NIPS 2011): an update may then be lost.
void sgd_window_step(const WindowRows& rows, float learning_rate, WindowScratch& scratch, WindowLoss* loss);

/// AdaGrad with one accumulator a row (Duchi et al. 2011, by row as in PyTorch-BigGraph): accumulator += mean square of
/// the row's gradient; row += learning_rate * gradient / (sqrt(accumulator) + 1e-10). REQUIRES accumulators in `rows`
/// and a scratch made for gradients. A row that is context and target at once is stepped twice, context first.
void adagrad_window_step(const WindowRows& rows, float learning_rate, WindowScratch& scratch, WindowLoss* loss);

}  // namespace knotwork::embeddings
