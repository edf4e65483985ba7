// Rows are copied in SIMD, compiled once for every instruction set and chosen at run time (Highway).
#include "embeddings/context_copies.h"

#include <algorithm>
#include <bit>
#include <utility>

#define HWY_DISABLED_TARGETS (HWY_SVE | HWY_SVE2 | HWY_SVE_256 | HWY_SVE2_128 | HWY_RVV | HWY_SSSE3)
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "embeddings/context_copies.cpp"
// clang-format off
#include <hwy/foreach_target.h>
// clang-format on
#include <hwy/highway.h>

HWY_BEFORE_NAMESPACE();
namespace knotwork::embeddings::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

using Floats = hn::CappedTag<float, 16>;

// Other threads may be writing these rows at the same time (Hogwild): a change of theirs is lost if it falls into the
// few nanoseconds between a load and its store here. The thread sanitizer doesn't see this file.

HWY_NOINLINE void hogwild_take_context(const float* row, std::size_t stride, float* value, float* before) {
  const Floats d;
  for (std::size_t column = 0; column < stride; column += hn::Lanes(d)) {
    const auto found = hn::Load(d, row + column);
    hn::Store(found, d, value + column);
    hn::Store(found, d, before + column);
  }
}

HWY_NOINLINE void hogwild_return_context(const float* value, const float* before, std::size_t stride, float* row) {
  const Floats d;
  for (std::size_t column = 0; column < stride; column += hn::Lanes(d)) {
    const auto change = hn::Sub(hn::Load(d, value + column), hn::Load(d, before + column));
    hn::Store(hn::Add(hn::Load(d, row + column), change), d, row + column);
  }
}

}  // namespace knotwork::embeddings::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace knotwork::embeddings {

HWY_EXPORT(hogwild_take_context);
HWY_EXPORT(hogwild_return_context);

namespace {

// Entries for each position held: so many that two rows rarely share one.
constexpr std::size_t kEntriesPerPosition = 8;

}  // namespace

ContextCopies::ContextCopies(std::size_t most_positions, std::size_t stride, bool with_accumulators)
    : stride_(stride),
      with_accumulators_(with_accumulators),
      slots_(most_positions),
      slot_of_position_(most_positions),
      last_seen_(std::bit_ceil(kEntriesPerPosition * most_positions)),
      memory_(2 * most_positions * (stride / 16)) {
  free_.reserve(most_positions);
}

void ContextCopies::begin(std::size_t first_position) {
  free_.clear();
  for (std::uint32_t slot = 0; slot < slots_.size(); ++slot) {
    slots_[slot].positions = 0;
    free_.push_back(slot);
  }
  std::ranges::fill(last_seen_, 0);
  first_ = next_ = first_position;
}

std::uint32_t ContextCopies::held_slot(const float* row) {
  // What entered last of all rows that share the entry: if that has left, so has this row.
  std::size_t& seen = last_seen_[entry_of(row)];
  const std::size_t last = std::exchange(seen, next_ + 1);
  if (last <= first_) return kNone;
  const std::uint32_t slot = slot_of(last - 1);
  if (slots_[slot].row == row) return slot;
  const auto found =
      std::ranges::find_if(slots_, [row](const Slot& other) { return other.positions > 0 && other.row == row; });
  return found == slots_.end() ? kNone : static_cast<std::uint32_t>(found - slots_.begin());
}

void ContextCopies::enter(float* row, float* accumulator) {
  std::uint32_t number = held_slot(row);
  if (number == kNone) {
    number = free_.back();
    free_.pop_back();
    slots_[number] = {.row = row, .own_accumulator = accumulator};
    HWY_DYNAMIC_DISPATCH(hogwild_take_context)(row, stride_, value(number), before(number));
    if (with_accumulators_) slots_[number].accumulator = slots_[number].accumulator_before = *accumulator;
  }
  ++slots_[number].positions;
  slot_of_position_[next_++ % slot_of_position_.size()] = number;
}

void ContextCopies::leave() {
  const std::uint32_t number = slot_of(first_++);
  Slot& slot = slots_[number];
  if (--slot.positions > 0) return;
  HWY_DYNAMIC_DISPATCH(hogwild_return_context)(value(number), before(number), stride_, slot.row);
  if (with_accumulators_) *slot.own_accumulator += slot.accumulator - slot.accumulator_before;
  free_.push_back(number);
}

}  // namespace knotwork::embeddings
#endif  // HWY_ONCE
