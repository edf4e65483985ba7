// The window step in SIMD, compiled once for every instruction set and chosen at run time (Highway).
//
// Work for a window, at C contexts, T targets and d columns: logits C*T*d FMAs, both updates 2*C*T*d FMAs. Blocks are
// sized for 16 vector registers: logits hold 4 contexts x 3 targets in 12 accumulators (7 loads feed 12 FMAs);
// the update holds T <= 6 targets and their T accumulators for one vector of columns while it runs down the contexts,
// so that every broadcast error serves two FMAs and every row is read and written once.
#include "embeddings/skipgram_kernel.h"

#include <algorithm>
#include <cmath>
#include <stdexcept>
#include <string>

// Arrays of vectors need types of known size, which scalable vectors lack; such machines run the NEON code. The older
// x86 sets are left out to keep the binary and the build small.
#define HWY_DISABLED_TARGETS (HWY_SVE | HWY_SVE2 | HWY_SVE_256 | HWY_SVE2_128 | HWY_RVV | HWY_SSSE3)
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "embeddings/skipgram_kernel.cpp"
// clang-format off
#include <hwy/foreach_target.h>
// clang-format on
#include <hwy/contrib/math/math-inl.h>
#include <hwy/highway.h>

HWY_BEFORE_NAMESPACE();
namespace knotwork::embeddings::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

using Window = WindowScratch::Window;
using Floats = hn::CappedTag<float, 16>;
using FloatVector = hn::Vec<Floats>;

// Stores the sums of all lanes of four vectors at out[0 .. 3], by transposing additions rather than one horizontal sum
// at a time.
#if HWY_TARGET == HWY_SCALAR
HWY_INLINE void store_sums(FloatVector a, FloatVector b, FloatVector c, FloatVector e, float* out) {
  const Floats d;
  hn::Store(a, d, out);
  hn::Store(b, d, out + 1);
  hn::Store(c, d, out + 2);
  hn::Store(e, d, out + 3);
}
#else
// Adds the 128-bit blocks of a vector.
template <class D>
HWY_INLINE auto sum_blocks(D /*d*/, hn::Vec<D> sums) {
  if constexpr (hn::MaxLanes(D()) == 4) {
    return sums;
  } else {
    const hn::Half<D> half;
    return sum_blocks(half, hn::Add(hn::LowerHalf(half, sums), hn::UpperHalf(half, sums)));
  }
}

HWY_INLINE void store_sums(FloatVector a, FloatVector b, FloatVector c, FloatVector e, float* out) {
  const Floats d;
  const hn::RepartitionToWide<Floats> wide;
  const auto ab = hn::BitCast(wide, hn::Add(hn::InterleaveLower(d, a, b), hn::InterleaveUpper(d, a, b)));
  const auto ce = hn::BitCast(wide, hn::Add(hn::InterleaveLower(d, c, e), hn::InterleaveUpper(d, c, e)));
  const auto low = hn::BitCast(d, hn::InterleaveLower(wide, ab, ce));
  const auto high = hn::BitCast(d, hn::InterleaveUpper(wide, ab, ce));
  hn::Store(sum_blocks(d, hn::Add(low, high)), hn::FixedTag<float, 4>(), out);
}
#endif

// Dot products of kContexts x kTargets rows. Writes four logits (zeros beyond kContexts) at logits[t * error_pitch].
template <std::size_t kContexts, std::size_t kTargets>
HWY_INLINE void logit_block(float* const* contexts, float* const* targets, std::size_t stride, float* logits,
                            std::size_t error_pitch) {
  const Floats d;
  FloatVector sums[4][kTargets];
#pragma GCC unroll 4
  for (std::size_t i = 0; i < 4; ++i) {
#pragma GCC unroll 8
    for (std::size_t j = 0; j < kTargets; ++j) sums[i][j] = hn::Zero(d);
  }
  for (std::size_t column = 0; column < stride; column += hn::Lanes(d)) {
    FloatVector outputs[kTargets];
#pragma GCC unroll 8
    for (std::size_t j = 0; j < kTargets; ++j) outputs[j] = hn::Load(d, targets[j] + column);
#pragma GCC unroll 4
    for (std::size_t i = 0; i < kContexts; ++i) {
      const FloatVector input = hn::Load(d, contexts[i] + column);
#pragma GCC unroll 8
      for (std::size_t j = 0; j < kTargets; ++j) sums[i][j] = hn::MulAdd(input, outputs[j], sums[i][j]);
    }
  }
#pragma GCC unroll 8
  for (std::size_t j = 0; j < kTargets; ++j) {
    store_sums(sums[0][j], sums[1][j], sums[2][j], sums[3][j], logits + j * error_pitch);
  }
}

// All targets against kContexts contexts, kBlock targets at a time.
template <std::size_t kContexts, std::size_t kBlock>
HWY_INLINE void logit_rows(const Window& window, std::size_t context) {
  float* const* contexts = window.contexts.data() + context;
  float* const* targets = window.targets.data();
  float* logits = window.errors + context;
  const std::size_t pitch = window.error_pitch;
  std::size_t t = 0;
  for (; t + kBlock <= window.target_count; t += kBlock) {
    logit_block<kContexts, kBlock>(contexts, targets + t, window.stride, logits + t * pitch, pitch);
  }
  for (; t + 2 <= window.target_count; t += 2) {
    logit_block<kContexts, 2>(contexts, targets + t, window.stride, logits + t * pitch, pitch);
  }
  if (t < window.target_count) {
    logit_block<kContexts, 1>(contexts, targets + t, window.stride, logits + t * pitch, pitch);
  }
}

void compute_logits(const Window& window) {
  std::size_t c = 0;
  for (; c + 4 <= window.context_count; c += 4) logit_rows<4, 3>(window, c);
  switch (window.context_count - c) {
    case 3:
      logit_rows<3, 3>(window, c);
      break;
    case 2:
      logit_rows<2, 6>(window, c);
      break;
    case 1:
      logit_rows<1, 6>(window, c);
      break;
    default:
      break;
  }
}

// The loss of eq. 4 (header) from the logits, in double precision: it is asked for once in many windows.
void add_loss(const Window& window, WindowLoss& loss) {
  for (std::size_t t = 0; t < window.target_count; ++t) {
    for (std::size_t c = 0; c < window.context_count; ++c) {
      const double logit = window.errors[t * window.error_pitch + c];
      const double wrong = t == 0 ? -logit : logit;  // -log s(-wrong) = log(1 + exp(wrong))
      const double pair = std::max(wrong, 0.0) + std::log1p(std::exp(-std::abs(wrong)));
      loss.sum += pair * static_cast<double>(window.context_counts[c] * window.target_counts[t]);
    }
  }
  for (std::size_t c = 0; c < window.context_count; ++c) {
    loss.pairs += static_cast<std::uint64_t>(window.context_counts[c]);
  }
}

// Turns logits into rate * (label - sigmoid(logit)), times how often the pair occurs.
void logits_to_errors(const Window& window, float rate) {
  const Floats d;
  const FloatVector one = hn::Set(d, 1.0F);
  const FloatVector minus_rate = hn::Set(d, -rate);
  const FloatVector largest = hn::Set(d, 80.0F);  // keeps the exponential finite; the sigmoid is 0 long before
  const std::size_t size = window.target_count * window.error_pitch;
  for (std::size_t i = 0; i < size; i += hn::Lanes(d)) {
    const FloatVector logit = hn::Load(d, window.errors + i);
    const FloatVector power = hn::Exp(d, hn::Min(hn::Neg(logit), largest));
    hn::Store(hn::Div(minus_rate, hn::Add(one, power)), d, window.errors + i);
  }
  for (std::size_t c = 0; c < window.context_count; ++c) window.errors[c] += rate;
  if (!window.repeated) return;
  for (std::size_t t = 0; t < window.target_count; ++t) {
    float* errors = window.errors + t * window.error_pitch;
    for (std::size_t c = 0; c < window.context_count; ++c) {
      errors[c] *= window.context_counts[c] * window.target_counts[t];
    }
  }
}

// Both updates for at most six targets, one vector of columns at a time.
template <std::size_t kTargets>
HWY_INLINE void update_few(const Window& window) {
  const Floats d;
  const float* const errors = window.errors;
  const std::size_t pitch = window.error_pitch;
  float* const* const contexts = window.contexts.data();
  float* const* const targets = window.targets.data();
  const std::size_t context_count = window.context_count;
  for (std::size_t column = 0; column < window.stride; column += hn::Lanes(d)) {
    if (column % 16 == 0) {  // one cache line of each, in the shade of the arithmetic
      for (const float* const row : window.upcoming) __builtin_prefetch(row + column, 1);
    }
    FloatVector outputs[kTargets];
    FloatVector changes[kTargets];
#pragma GCC unroll 8
    for (std::size_t t = 0; t < kTargets; ++t) {
      outputs[t] = hn::Load(d, targets[t] + column);
      changes[t] = hn::Zero(d);
    }
    for (std::size_t c = 0; c < context_count; ++c) {
      float* const row = contexts[c] + column;
      const FloatVector input = hn::Load(d, row);
      FloatVector updated = input;
      FloatVector second = input;  // set below; two short chains of additions instead of a long one
#pragma GCC unroll 8
      for (std::size_t t = 0; t < kTargets; ++t) {
        const FloatVector error = hn::Set(d, errors[t * pitch + c]);
        changes[t] = hn::MulAdd(error, input, changes[t]);
        if (t % 2 == 0) {
          updated = hn::MulAdd(error, outputs[t], updated);
        } else {
          second = t == 1 ? hn::Mul(error, outputs[t]) : hn::MulAdd(error, outputs[t], second);
        }
      }
      hn::Store(kTargets > 1 ? hn::Add(updated, second) : updated, d, row);
    }
    // Read again rather than kept: the row may have been a context too.
#pragma GCC unroll 8
    for (std::size_t t = 0; t < kTargets; ++t) {
      float* const row = targets[t] + column;
      hn::Store(hn::Add(hn::Load(d, row), changes[t]), d, row);
    }
  }
}

// Both updates for any number of targets: changes gather in memory until every row has been read.
void update_many(const Window& window) {
  const Floats d;
  const std::size_t lanes = hn::Lanes(d);
  for (std::size_t column = 0; column < window.stride; column += lanes) {
    if (column % 16 == 0) {
      for (const float* const row : window.upcoming) __builtin_prefetch(row + column, 1);
    }
    for (std::size_t c = 0; c < window.context_count; ++c) {
      hn::Store(hn::Zero(d), d, window.context_gradients + c * lanes);
    }
    for (std::size_t t = 0; t < window.target_count; ++t) {
      const FloatVector output = hn::Load(d, window.targets[t] + column);
      const float* const errors = window.errors + t * window.error_pitch;
      FloatVector change = hn::Zero(d);
      for (std::size_t c = 0; c < window.context_count; ++c) {
        const FloatVector error = hn::Set(d, errors[c]);
        float* const gathered = window.context_gradients + c * lanes;
        change = hn::MulAdd(error, hn::Load(d, window.contexts[c] + column), change);
        hn::Store(hn::MulAdd(error, output, hn::Load(d, gathered)), d, gathered);
      }
      hn::Store(change, d, window.target_gradients + t * lanes);
    }
    for (std::size_t c = 0; c < window.context_count; ++c) {
      float* const row = window.contexts[c] + column;
      hn::Store(hn::Add(hn::Load(d, row), hn::Load(d, window.context_gradients + c * lanes)), d, row);
    }
    for (std::size_t t = 0; t < window.target_count; ++t) {
      float* const row = window.targets[t] + column;
      hn::Store(hn::Add(hn::Load(d, row), hn::Load(d, window.target_gradients + t * lanes)), d, row);
    }
  }
}

void sgd_update(const Window& window) {
  switch (window.target_count) {
    case 1:
      return update_few<1>(window);
    case 2:
      return update_few<2>(window);
    case 3:
      return update_few<3>(window);
    case 4:
      return update_few<4>(window);
    case 5:
      return update_few<5>(window);
    case 6:
      return update_few<6>(window);
    default:
      return update_many(window);
  }
}

// out = sum over i of factors[i * pitch] * rows[i].
void weighted_row_sum(float* const* rows, const float* factors, std::size_t pitch, std::size_t count,
                      std::size_t stride, float* out) {
  const Floats d;
  for (std::size_t column = 0; column < stride; column += hn::Lanes(d)) {
    FloatVector sum = hn::Zero(d);
    for (std::size_t i = 0; i < count; ++i) {
      sum = hn::MulAdd(hn::Set(d, factors[i * pitch]), hn::Load(d, rows[i] + column), sum);
    }
    hn::Store(sum, d, out + column);
  }
}

void adagrad_row(const float* gradient, std::size_t stride, float mean_factor, float rate, float* row,
                 float* accumulator) {
  const Floats d;
  FloatVector squares = hn::Zero(d);
  for (std::size_t column = 0; column < stride; column += hn::Lanes(d)) {
    const FloatVector value = hn::Load(d, gradient + column);
    squares = hn::MulAdd(value, value, squares);
  }
  *accumulator += hn::GetLane(hn::SumOfLanes(d, squares)) * mean_factor;
  const FloatVector scale = hn::Set(d, rate / (std::sqrt(*accumulator) + 1e-10F));
  for (std::size_t column = 0; column < stride; column += hn::Lanes(d)) {
    hn::Store(hn::MulAdd(scale, hn::Load(d, gradient + column), hn::Load(d, row + column)), d, row + column);
  }
}

void adagrad_update(const Window& window, float rate) {
  const float mean_factor = 1.0F / static_cast<float>(window.dim);
  const std::size_t stride = window.stride;
  for (std::size_t c = 0; c < window.context_count; ++c) {
    weighted_row_sum(window.targets.data(), window.errors + c, window.error_pitch, window.target_count, stride,
                     window.context_gradients + c * stride);
  }
  for (std::size_t t = 0; t < window.target_count; ++t) {
    weighted_row_sum(window.contexts.data(), window.errors + t * window.error_pitch, 1, window.context_count, stride,
                     window.target_gradients + t * stride);
  }
  for (std::size_t c = 0; c < window.context_count; ++c) {
    adagrad_row(window.context_gradients + c * stride, stride, mean_factor, rate, window.contexts[c],
                window.context_accumulators[c]);
  }
  for (std::size_t t = 0; t < window.target_count; ++t) {
    adagrad_row(window.target_gradients + t * stride, stride, mean_factor, rate, window.targets[t],
                window.target_accumulators[t]);
  }
}

// The two functions below are the only ones that touch shared rows; tests/tsan.supp names them (Hogwild's intended
// races).
HWY_NOINLINE void hogwild_sgd_step(const Window& window, float rate, WindowLoss* loss) {
  compute_logits(window);
  if (loss != nullptr) add_loss(window, *loss);
  logits_to_errors(window, rate);
  sgd_update(window);
}

HWY_NOINLINE void hogwild_adagrad_step(const Window& window, float rate, WindowLoss* loss) {
  compute_logits(window);
  if (loss != nullptr) add_loss(window, *loss);
  logits_to_errors(window, 1.0F);
  adagrad_update(window, rate);
}

}  // namespace knotwork::embeddings::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace knotwork::embeddings {

HWY_EXPORT(hogwild_sgd_step);
HWY_EXPORT(hogwild_adagrad_step);

namespace {

// Writes each different row of `rows` but `left_out` once, and how often it occurs. Returns how many there are.
std::size_t unique_rows(std::span<float* const> rows, std::span<float* const> accumulators, const float* left_out,
                        std::span<float*> unique, std::span<float*> unique_accumulators, std::span<float> counts) {
  std::size_t size = 0;
  std::uint64_t seen = 0;  // a Bloom filter: most rows are new, and one bit says so
  for (std::size_t i = 0; i < rows.size(); ++i) {
    if (rows[i] == left_out) continue;
    const std::uint64_t bit = 1ULL << ((reinterpret_cast<std::uintptr_t>(rows[i]) / 64 * 0x9E3779B97F4A7C15ULL) >> 58);
    std::size_t found = (seen & bit) == 0 ? size : 0;
    seen |= bit;
    while (found < size && unique[found] != rows[i]) ++found;
    if (found < size) {
      counts[found] += 1.0F;
      continue;
    }
    unique[size] = rows[i];
    if (!accumulators.empty()) unique_accumulators[size] = accumulators[i];
    counts[size++] = 1.0F;
  }
  return size;
}

}  // namespace

WindowScratch::WindowScratch(std::size_t max_contexts, std::size_t max_targets, std::size_t dim, bool gradients)
    : max_contexts_(max_contexts), max_targets_(max_targets) {
  if (max_contexts == 0 || max_targets == 0 || dim == 0) {
    throw std::invalid_argument("WindowScratch: contexts, targets and dim must be positive");
  }
  window_.dim = dim;
  window_.stride = row_stride(dim);
  const std::size_t row = gradients ? window_.stride : 16;  // SGD needs one vector a row, of 16 floats at most
  const std::size_t error_floats = row_stride(max_targets * error_pitch(max_contexts));
  memory_.resize((error_floats + (max_contexts + max_targets) * row) / 16);
  window_.errors = memory_.data()->values;
  window_.context_gradients = window_.errors + error_floats;
  window_.target_gradients = window_.context_gradients + max_contexts * row;
  window_.contexts.resize(max_contexts);
  window_.targets.resize(max_targets);
  window_.context_counts.resize(max_contexts);
  window_.target_counts.resize(max_targets);
  window_.context_accumulators.resize(max_contexts);
  window_.target_accumulators.resize(max_targets);
}

WindowScratch::Window& WindowScratch::prepare(const WindowRows& rows) {
  if (rows.contexts.size() > max_contexts_ || rows.targets.size() > max_targets_ || rows.targets.empty()) {
    throw std::invalid_argument("window of " + std::to_string(rows.contexts.size()) + " contexts and " +
                                std::to_string(rows.targets.size()) + " targets; expected at most " +
                                std::to_string(max_contexts_) + " and 1 to " + std::to_string(max_targets_));
  }
  Window& w = window_;
  w.context_count = unique_rows(rows.contexts, rows.context_accumulators, nullptr, w.contexts, w.context_accumulators,
                                w.context_counts);
  w.targets[0] = rows.targets[0];
  w.target_counts[0] = 1.0F;
  if (!rows.target_accumulators.empty()) w.target_accumulators[0] = rows.target_accumulators[0];
  const bool adagrad = !rows.target_accumulators.empty();
  w.target_count =
      1 + unique_rows(rows.targets.subspan(1), adagrad ? rows.target_accumulators.subspan(1) : rows.target_accumulators,
                      rows.targets[0], std::span(w.targets).subspan(1), std::span(w.target_accumulators).subspan(1),
                      std::span(w.target_counts).subspan(1));
  w.upcoming = rows.upcoming;
  w.repeated = w.context_count != rows.contexts.size() || w.target_count != rows.targets.size();
  w.error_pitch = error_pitch(w.context_count);
  return w;
}

void sgd_window_step(const WindowRows& rows, float learning_rate, WindowScratch& scratch, WindowLoss* loss) {
  const WindowScratch::Window& window = scratch.prepare(rows);
  HWY_DYNAMIC_DISPATCH(hogwild_sgd_step)(window, learning_rate, loss);
}

void adagrad_window_step(const WindowRows& rows, float learning_rate, WindowScratch& scratch, WindowLoss* loss) {
  const WindowScratch::Window& window = scratch.prepare(rows);
  HWY_DYNAMIC_DISPATCH(hogwild_adagrad_step)(window, learning_rate, loss);
}

}  // namespace knotwork::embeddings
#endif  // HWY_ONCE
