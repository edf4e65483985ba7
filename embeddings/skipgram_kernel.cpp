// The window step in SIMD, compiled once for every instruction set and chosen at run time (Highway).
//
// Work for a window, at C contexts, T targets and d columns: logits C*T*d FMAs, both updates 2*C*T*d FMAs. Blocks are
// sized for 16 vector registers: logits hold 2 contexts x 6 targets in 12 accumulators (8 loads feed 12 FMAs); the
// update holds T <= 6 targets for one vector of columns while it runs down the contexts, so that every broadcast error
// serves two FMAs and every row is read and written once.
#include "embeddings/skipgram_kernel.h"

#include <algorithm>
#include <array>
#include <bit>
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
using Errors = hn::CappedTag<float, 8>;  // over targets; WindowScratch pads them to eight
using ErrorVector = hn::Vec<Errors>;
constexpr std::size_t kFewPitch = WindowScratch::kFewPitch;

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
  hn::StoreU(sum_blocks(d, hn::Add(low, high)), hn::FixedTag<float, 4>(), out);
}
#endif

// Copies of pointers: for all the compiler knows, a row's store could change what `rows` points to.
template <std::size_t kCount>
HWY_INLINE std::array<float*, kCount> rows_of(float* const* rows) {
  std::array<float*, kCount> copies;
#pragma GCC unroll 8
  for (std::size_t i = 0; i < kCount; ++i) copies[i] = rows[i];
  return copies;
}

// Dot products of kContexts contexts from `context` on with kTargets targets from `target` on. Writes up to three
// numbers of no meaning behind those of each context.
template <std::size_t kContexts, std::size_t kTargets>
HWY_INLINE void logit_block(const Window& window, std::size_t context, std::size_t target) {
  const Floats d;
  constexpr std::size_t kPadded = (kTargets + 3) / 4 * 4;
  const auto contexts = rows_of<kContexts>(window.rows.contexts.data() + context);
  const auto targets = rows_of<kTargets>(window.rows.targets.data() + target);
  const std::size_t stride = window.stride;
  FloatVector sums[kContexts][kPadded];
#pragma GCC unroll 4
  for (std::size_t i = 0; i < kContexts; ++i) {
#pragma GCC unroll 8
    for (std::size_t j = 0; j < kPadded; ++j) sums[i][j] = hn::Zero(d);
  }
  for (std::size_t column = 0; column < stride; column += hn::Lanes(d)) {
    FloatVector inputs[kContexts];
#pragma GCC unroll 4
    for (std::size_t i = 0; i < kContexts; ++i) inputs[i] = hn::Load(d, contexts[i] + column);
#pragma GCC unroll 8
    for (std::size_t j = 0; j < kTargets; ++j) {
      const FloatVector output = hn::Load(d, targets[j] + column);
#pragma GCC unroll 4
      for (std::size_t i = 0; i < kContexts; ++i) sums[i][j] = hn::MulAdd(inputs[i], output, sums[i][j]);
    }
  }
#pragma GCC unroll 4
  for (std::size_t i = 0; i < kContexts; ++i) {
    float* const logits = window.errors + (context + i) * window.error_pitch + target;
#pragma GCC unroll 8
    for (std::size_t j = 0; j < kPadded; j += 4) {
      store_sums(sums[i][j], sums[i][j + 1], sums[i][j + 2], sums[i][j + 3], logits + j);
    }
  }
}

// All targets, in order, since a block writes beyond its own.
template <std::size_t kContexts>
HWY_INLINE void logit_rows(const Window& window, std::size_t context) {
  const std::size_t count = window.rows.targets.size();
  std::size_t t = 0;
  for (; t + 6 <= count; t += 6) logit_block<kContexts, 6>(window, context, t);
  for (; t + 3 <= count; t += 3) logit_block<kContexts, 3>(window, context, t);
  for (; t < count; ++t) logit_block<kContexts, 1>(window, context, t);
}

void compute_logits(const Window& window) {
  const std::size_t count = window.rows.contexts.size();
  for (std::size_t c = 0; c + 2 <= count; c += 2) logit_rows<2>(window, c);
  if (count % 2 == 1) logit_rows<1>(window, count - 1);
}

// 1 / (1 + exp(-x)) within 1.3e-4, by Lambert's continued fraction of tanh(x / 2). Exactly 0 or 1 from +-9 on: a pair
// that is right must come to rest, since an error that never ends lets rows that meet often grow without end.
HWY_INLINE ErrorVector sigmoid(ErrorVector x) {
  const Errors d;
  const ErrorVector half = hn::Set(d, 0.5F);
  const ErrorVector y = hn::Clamp(hn::Mul(half, x), hn::Set(d, -4.5F), hn::Set(d, 4.5F));
  const ErrorVector square = hn::Mul(y, y);
  const ErrorVector above = hn::MulAdd(hn::MulAdd(hn::Add(square, hn::Set(d, 378.0F)), square, hn::Set(d, 17325.0F)),
                                       square, hn::Set(d, 135135.0F));
  const ErrorVector below =
      hn::MulAdd(hn::MulAdd(hn::MulAdd(hn::Set(d, 28.0F), square, hn::Set(d, 3150.0F)), square, hn::Set(d, 62370.0F)),
                 square, hn::Set(d, 135135.0F));
  const ErrorVector inner = hn::MulAdd(hn::Mul(half, y), hn::Div(above, below), half);
  const ErrorVector outer = hn::IfThenElseZero(hn::Gt(x, hn::Zero(d)), hn::Set(d, 1.0F));
  return hn::IfThenElse(hn::Lt(hn::Abs(x), hn::Set(d, 9.0F)), inner, outer);
}

// The loss of eq. 4 (header) from the logits, in double precision: it is asked for once in many windows.
void add_loss(const Window& window, WindowLoss& loss) {
  for (std::size_t c = 0; c < window.rows.contexts.size(); ++c) {
    const double count = window.repeated ? window.context_counts[c] : 1.0;
    loss.pairs += static_cast<std::uint64_t>(count);
    for (std::size_t t = 0; t < window.rows.targets.size(); ++t) {
      if (window.rates[t] == 0.0F) continue;
      const double logit = window.errors[c * window.error_pitch + t];
      const double wrong = t == 0 ? -logit : logit;  // -log s(-wrong) = log(1 + exp(wrong))
      const double times = count * window.rates[t] / window.rates[0];
      loss.sum += times * (std::max(wrong, 0.0) + std::log1p(std::exp(-std::abs(wrong))));
    }
  }
}

// Turns logits into rate * (label - sigmoid(logit)).
void logits_to_errors(const Window& window) {
  const Errors d;
  for (std::size_t t = 0; t < window.error_pitch; t += hn::Lanes(d)) {
    const ErrorVector rates = hn::Load(d, window.rates + t);
    const ErrorVector label_rates = hn::Load(d, window.label_rates + t);
    float* errors = window.errors + t;
    for (std::size_t c = 0; c < window.rows.contexts.size(); ++c, errors += window.error_pitch) {
      hn::Store(hn::NegMulAdd(rates, sigmoid(hn::Load(d, errors)), label_rates), d, errors);
    }
  }
  if (!window.repeated) return;
  for (std::size_t c = 0; c < window.rows.contexts.size(); ++c) {
    float* const errors = window.errors + c * window.error_pitch;
    for (std::size_t t = 0; t < window.error_pitch; ++t) errors[t] *= window.context_counts[c];
  }
}

// Asks for a cache line of each row where a line begins, in the shade of the arithmetic.
HWY_INLINE void prefetch_lines(std::span<const float* const> rows, std::size_t column) {
  if (column % 16 != 0) return;
  for (const float* const row : rows) __builtin_prefetch(row + column, 1);
}

// Steps of kContexts contexts from `context` on with all kTargets targets, a vector of columns at a time. The number of
// vectors is the same for all rows, so the processor foresees the loop's end, and the next vector's loads go on while
// the last sums are under way.
template <std::size_t kContexts, std::size_t kTargets>
HWY_INLINE void update_block(const Window& window, std::size_t context, std::span<const float* const> upcoming) {
  const Floats d;
  const auto contexts = rows_of<kContexts>(window.rows.contexts.data() + context);
  const auto targets = rows_of<kTargets>(window.rows.targets.data());
  const std::size_t stride = window.stride;
  const float* errors = window.errors + context * kFewPitch;
  for (std::size_t column = 0; column < stride; column += hn::Lanes(d)) {
    prefetch_lines(upcoming, column);
    asm("" : "+r"(errors));  // or GCC keeps an address for each of up to 24 errors, in memory
    FloatVector outputs[kTargets];
#pragma GCC unroll 8
    for (std::size_t t = 0; t < kTargets; ++t) outputs[t] = hn::Load(d, targets[t] + column);
#pragma GCC unroll 4
    for (std::size_t c = 0; c < kContexts; ++c) {
      const FloatVector input = hn::Load(d, contexts[c] + column);
      FloatVector updated[] = {input, hn::Zero(d), hn::Zero(d)};  // three short chains of additions, not a long one
#pragma GCC unroll 8
      for (std::size_t t = 0; t < kTargets; ++t) {
        const FloatVector error = hn::Set(d, errors[c * kFewPitch + t]);
        updated[t % 3] = t == 1 || t == 2 ? hn::Mul(error, outputs[t]) : hn::MulAdd(error, outputs[t], updated[t % 3]);
        outputs[t] = hn::MulAdd(error, input, outputs[t]);
      }
      hn::Store(hn::Add(updated[0], hn::Add(updated[1], updated[2])), d, contexts[c] + column);
    }
    // The first last: of a repeated row, only its first place has changed (WindowScratch::prepare).
#pragma GCC unroll 8
    for (std::size_t t = 0; t < kTargets; ++t) {
      hn::Store(outputs[kTargets - 1 - t], d, targets[kTargets - 1 - t] + column);
    }
  }
}

// Steps of all contexts with at most six targets.
template <std::size_t kTargets>
HWY_INLINE void update_few(const Window& window) {
  const std::size_t count = window.rows.contexts.size();
  std::span<const float* const> upcoming = window.rows.upcoming;
  std::size_t c = 0;
  for (; c + 4 <= count; c += 4) {
    update_block<4, kTargets>(window, c, upcoming);
    upcoming = {};  // asked for once
  }
  for (; c + 2 <= count; c += 2) {
    update_block<2, kTargets>(window, c, upcoming);
    upcoming = {};
  }
  if (c < count) update_block<1, kTargets>(window, c, upcoming);
}

// Any number of targets, of which some may be contexts too: changes are added to rows rather than rows stored.
// kInOrder: contexts read outputs as those before them have left them, else as they were before the window.
template <bool kInOrder>
void update_many(const Window& window) {
  const Floats d;
  const std::size_t lanes = hn::Lanes(d);
  const std::span<float* const> contexts = window.rows.contexts;
  const std::span<float* const> targets = window.rows.targets;
  float* const before = window.target_gradients;
  float* const outputs = before + targets.size() * lanes;
  for (std::size_t column = 0; column < window.stride; column += lanes) {
    prefetch_lines(window.rows.upcoming, column);
    for (std::size_t t = 0; t < targets.size(); ++t) {
      const FloatVector output = hn::Load(d, targets[t] + column);
      hn::Store(output, d, before + t * lanes);
      hn::Store(output, d, outputs + t * lanes);
    }
    for (std::size_t c = 0; c < contexts.size(); ++c) {
      const float* const errors = window.errors + c * window.error_pitch;
      const FloatVector input = hn::Load(d, contexts[c] + column);
      FloatVector updated = input;
      for (std::size_t t = 0; t < targets.size(); ++t) {
        const FloatVector error = hn::Set(d, errors[t]);
        const FloatVector output = hn::Load(d, outputs + t * lanes);
        updated = hn::MulAdd(error, kInOrder ? output : hn::Load(d, before + t * lanes), updated);
        hn::Store(hn::MulAdd(error, input, output), d, outputs + t * lanes);
      }
      hn::Store(updated, d, contexts[c] + column);
    }
    for (std::size_t t = 0; t < targets.size(); ++t) {
      float* const row = targets[t] + column;
      const FloatVector change = hn::Sub(hn::Load(d, outputs + t * lanes), hn::Load(d, before + t * lanes));
      hn::Store(hn::Add(hn::Load(d, row), change), d, row);
    }
  }
}

void sgd_update(const Window& window) {
  if (window.rows.at_once) return update_many<false>(window);
  switch (window.rows.targets.size()) {
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
      return update_many<true>(window);
  }
}

// out = sum over i of factors[i * pitch] * rows[i].
void weighted_row_sum(std::span<float* const> rows, const float* factors, std::size_t pitch, std::size_t stride,
                      float* out) {
  const Floats d;
  for (std::size_t column = 0; column < stride; column += hn::Lanes(d)) {
    FloatVector sum = hn::Zero(d);
    for (std::size_t i = 0; i < rows.size(); ++i) {
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
  const WindowRows& rows = window.rows;
  const float mean_factor = 1.0F / static_cast<float>(window.dim);
  const std::size_t stride = window.stride;
  for (std::size_t c = 0; c < rows.contexts.size(); ++c) {
    weighted_row_sum(rows.targets, window.errors + c * window.error_pitch, 1, stride,
                     window.context_gradients + c * stride);
  }
  for (std::size_t t = 0; t < rows.targets.size(); ++t) {
    weighted_row_sum(rows.contexts, window.errors + t, window.error_pitch, stride,
                     window.target_gradients + t * stride);
  }
  for (std::size_t c = 0; c < rows.contexts.size(); ++c) {
    adagrad_row(window.context_gradients + c * stride, stride, mean_factor, rate, rows.contexts[c],
                rows.context_accumulators[c]);
  }
  for (std::size_t t = 0; t < rows.targets.size(); ++t) {
    if (window.rates[t] == 0.0F) continue;
    adagrad_row(window.target_gradients + t * stride, stride, mean_factor, rate, rows.targets[t],
                rows.target_accumulators[t]);
  }
}

// The two functions below are the only ones that touch shared rows (Hogwild's intended races; the thread sanitizer
// doesn't see this file).
HWY_NOINLINE void hogwild_sgd_step(const Window& window, WindowLoss* loss) {
  compute_logits(window);
  if (loss != nullptr) add_loss(window, *loss);
  logits_to_errors(window);
  sgd_update(window);
}

HWY_NOINLINE void hogwild_adagrad_step(const Window& window, float rate, WindowLoss* loss) {
  compute_logits(window);
  if (loss != nullptr) add_loss(window, *loss);
  logits_to_errors(window);
  adagrad_update(window, rate);
}

}  // namespace knotwork::embeddings::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace knotwork::embeddings {

HWY_EXPORT(hogwild_sgd_step);
HWY_EXPORT(hogwild_adagrad_step);

namespace {

// Rows of errors hold a multiple of eight, so that a vector of errors belongs to one context, and what logit_block
// writes beyond the targets.
constexpr std::size_t padded(std::size_t targets) {
  return targets <= WindowScratch::kFewTargets ? WindowScratch::kFewPitch : (targets + 3 + 7) / 8 * 8;
}

// Slots for each context of the largest window: so many that two rarely share one.
constexpr std::size_t kSlotsPerContext = 16;

}  // namespace

WindowScratch::WindowScratch(std::size_t max_contexts, std::size_t max_targets, std::size_t dim, bool gradients)
    : max_contexts_(max_contexts), max_targets_(max_targets) {
  if (max_contexts == 0 || max_targets == 0 || dim == 0) {
    throw std::invalid_argument("WindowScratch: contexts, targets and dim must be positive");
  }
  unique_contexts_.reserve(max_contexts);
  seen_.resize(std::bit_ceil(kSlotsPerContext * max_contexts));
  window_.dim = dim;
  window_.stride = row_stride(dim);
  const std::size_t pitch = padded(max_targets);
  const std::size_t error_floats = row_stride(max_contexts * pitch);
  const std::size_t row = gradients ? window_.stride : 16;  // SGD keeps single vectors, of 16 floats at most
  memory_.resize(
      (error_floats + 2 * row_stride(pitch) + row_stride(max_contexts) + (max_contexts + 2 * max_targets) * row) / 16);
  window_.errors = memory_.data()->values;
  window_.label_rates = window_.errors + error_floats;
  window_.rates = window_.label_rates + row_stride(pitch);
  window_.context_counts = window_.rates + row_stride(pitch);
  window_.target_gradients = window_.context_counts + row_stride(max_contexts);
  window_.context_gradients = window_.target_gradients + 2 * max_targets * row;
}

const WindowScratch::Window& WindowScratch::prepare(const WindowRows& rows, float rate, bool merge) {
  const std::size_t targets = rows.targets.size();
  if (rows.contexts.size() > max_contexts_ || targets > max_targets_ || targets == 0) {
    throw std::invalid_argument("window of " + std::to_string(rows.contexts.size()) + " contexts and " +
                                std::to_string(targets) + " targets; expected at most " +
                                std::to_string(max_contexts_) + " and 1 to " + std::to_string(max_targets_));
  }
  window_.rows = rows;
  window_.error_pitch = padded(targets);
  std::fill_n(window_.rates, window_.error_pitch, 0.0F);
  std::fill_n(window_.label_rates, window_.error_pitch, 0.0F);
  window_.rates[0] = window_.label_rates[0] = rate;
  for (std::size_t t = 1; t < targets; ++t) {
    // A repeated negative counts at its first place as often as it occurs; the centre's row takes no part.
    const auto first =
        std::find(rows.targets.begin(), rows.targets.begin() + static_cast<std::ptrdiff_t>(t), rows.targets[t]);
    const auto place = static_cast<std::size_t>(first - rows.targets.begin());
    if (place > 0) window_.rates[place] += rate;
  }
  window_.repeated = false;
  if (merge) merge_contexts();
  return window_;
}

void WindowScratch::merge_contexts() {
  if (++window_number_ == 0) {  // after 2^32 windows; no entry is of this one
    std::ranges::fill(seen_, Seen{});
    window_number_ = 1;
  }
  unique_contexts_.clear();
  for (float* const row : window_.rows.contexts) {
    Seen& seen = seen_[slot_of(row)];
    std::size_t place = unique_contexts_.size();
    if (seen.window != window_number_) {
      seen = {.window = window_number_, .place = static_cast<std::uint32_t>(place)};
    } else if (unique_contexts_[seen.place] == row) {
      place = seen.place;
    } else {  // two rows share a slot
      const auto found = std::find(unique_contexts_.begin(), unique_contexts_.end(), row);
      place = static_cast<std::size_t>(found - unique_contexts_.begin());
    }
    if (place == unique_contexts_.size()) {
      unique_contexts_.push_back(row);
      window_.context_counts[place] = 0.0F;
    }
    window_.context_counts[place] += 1.0F;
  }
  window_.repeated = unique_contexts_.size() != window_.rows.contexts.size();
  window_.rows.contexts = unique_contexts_;
}

void sgd_window_step(const WindowRows& rows, float learning_rate, WindowScratch& scratch, WindowLoss* loss) {
  HWY_DYNAMIC_DISPATCH(hogwild_sgd_step)(scratch.prepare(rows, learning_rate, true), loss);
}

void adagrad_window_step(const WindowRows& rows, float learning_rate, WindowScratch& scratch, WindowLoss* loss) {
  HWY_DYNAMIC_DISPATCH(hogwild_adagrad_step)(scratch.prepare(rows, 1.0F, false), learning_rate, loss);
}

}  // namespace knotwork::embeddings
#endif  // HWY_ONCE
