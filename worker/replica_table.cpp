#include "worker/replica_table.h"

#include <algorithm>
#include <bit>
#include <utility>

namespace knotwork::worker {

using partition::GlobalNode;

namespace {

constexpr std::uint32_t kAllButSign = 0x7FFFFFFF;
constexpr std::size_t kBookkeepingBytes = sizeof(ReplicaState) + ReplicaIndex::bytes_per_entry();

// Training threads may be writing these rows at the same time: see replica_table.h. Not inlined, so that the thread
// sanitizer's reports carry their names.

/// to = value - base, base = value; whether any of it was not zero.
[[gnu::noinline]] bool hogwild_take(const float* value, float* base, float* to, std::size_t count) {
  std::uint32_t any = 0;
  for (std::size_t c = 0; c < count; ++c) {
    const float now = value[c];
    to[c] = now - base[c];
    any |= std::bit_cast<std::uint32_t>(to[c]);
    base[c] = now;
  }
  return (any & kAllButSign) != 0;
}

[[gnu::noinline]] void hogwild_merge(float* value, float* base, const float* fresh, std::size_t count) {
  for (std::size_t c = 0; c < count; ++c) {
    value[c] += fresh[c] - base[c];
    base[c] = fresh[c];
  }
}

/// Weights of two changes a and b in their adaptive sum.
struct AdaptiveWeights {
  float a = 1;
  float b = 1;
};

AdaptiveWeights adaptive_weights(float aa, float bb, float ab) {
  if (ab <= 0) return {};
  return {1 - std::min(1.0F, ab / (2 * aa)), 1 - std::min(1.0F, ab / (2 * bb))};
}

AdaptiveWeights adaptive_weights(const float* value, const float* base, const float* fresh, std::size_t count) {
  float aa = 0;
  float bb = 0;
  float ab = 0;
#pragma omp simd reduction(+ : aa, bb, ab)
  for (std::size_t c = 0; c < count; ++c) {
    const float a = fresh[c] - base[c];
    const float b = value[c] - base[c];
    aa += a * a;
    bb += b * b;
    ab += a * b;
  }
  return adaptive_weights(aa, bb, ab);
}

[[gnu::noinline]] void hogwild_merge_adaptively(float* value, float* base, const float* fresh, std::size_t count) {
  const AdaptiveWeights weights = adaptive_weights(value, base, fresh, count);
  for (std::size_t c = 0; c < count; ++c) {
    value[c] = base[c] + weights.a * (fresh[c] - base[c]) + weights.b * (value[c] - base[c]);
    base[c] = fresh[c];
  }
}

/// Both of the above, and hogwild_take into the place of the fresh row, in one pass.
[[gnu::noinline]] bool hogwild_meet(float* value, float* base, float* row, std::size_t count, AdaptiveWeights weights) {
  std::uint32_t any = 0;
  for (std::size_t c = 0; c < count; ++c) {
    const float fresh = row[c];
    // So written, it is exactly nothing where nothing has changed here.
    const float change = weights.b * (value[c] - base[c]) - (1 - weights.a) * (fresh - base[c]);
    row[c] = change;
    any |= std::bit_cast<std::uint32_t>(change);
    value[c] = fresh + change;
    base[c] = value[c];
  }
  return (any & kAllButSign) != 0;
}

}  // namespace

ReplicaTable::ReplicaTable(std::size_t dim, bool with_accumulators, std::size_t capacity)
    : dim_(dim),
      with_accumulators_(with_accumulators),
      stride_(embeddings::row_stride(dim)),
      index_(capacity),
      states_(capacity),
      values_(capacity * stride_),
      bases_(capacity * (dim + (with_accumulators ? 1 : 0))),
      accumulators_(with_accumulators ? capacity : 0) {}

std::size_t ReplicaTable::bytes_per_replica(std::size_t dim, bool with_accumulators) {
  const std::size_t floats = embeddings::row_stride(dim) + dim + (with_accumulators ? 2 : 0);
  return floats * sizeof(float) + kBookkeepingBytes;
}

ReplicaSlot ReplicaTable::claim(GlobalNode node, RowChanges& evicted) {
  const ReplicaSlot slot = free_slot(evicted);
  states_[slot] = {.node = node, .present = true, .changed_since = kNoBatch};
  std::fill_n(values_.data() + slot * stride_, stride_, 0.0F);
  std::fill_n(bases_.data() + slot * wire_width(), wire_width(), 0.0F);
  if (with_accumulators_) accumulators_[slot] = 0;
  index_.insert(node, slot);
  return slot;
}

ReplicaSlot ReplicaTable::free_slot(RowChanges& evicted) {
  if (never_used_ < states_.size()) return static_cast<ReplicaSlot>(never_used_++);
  while (true) {
    const auto slot = static_cast<ReplicaSlot>(hand_);
    hand_ = (hand_ + 1) % states_.size();
    ReplicaState& state = states_[slot];
    if (state.pins > 0 || state.arriving) continue;
    if (state.used) {
      state.used = false;
      continue;
    }
    if (state.changed_since != kNoBatch) take_change(slot, evicted);
    index_.erase(state.node);
    ++evicted_;
    return slot;
  }
}

void ReplicaTable::pin(ReplicaSlot slot) {
  if (states_[slot].pins++ == 0) ++pinned_;
  states_[slot].used = true;
}

void ReplicaTable::unpin(ReplicaSlot slot) {
  if (--states_[slot].pins == 0) --pinned_;
}

void ReplicaTable::take_change(ReplicaSlot slot, RowChanges& changes) {
  const std::size_t width = wire_width();
  const std::size_t begin = changes.values.size();
  changes.values.resize(begin + width);
  float* const to = changes.values.data() + begin;
  float* const base = bases_.data() + slot * width;
  bool changed = hogwild_take(values_.data() + slot * stride_, base, to, dim_);
  if (with_accumulators_) changed |= hogwild_take(accumulators_.data() + slot, base + dim_, to + dim_, 1);
  states_[slot].changed_since = kNoBatch;
  if (states_[slot].is_shared) {
    for (std::size_t c = 0; c < width; ++c) to[c] *= shared_weight_;
  }
  if (changed) {
    changes.rows.push_back(states_[slot].node);
  } else {
    changes.values.resize(begin);
  }
}

MergeRule ReplicaTable::next_merge(ReplicaSlot slot) {
  ReplicaState& state = states_[slot];
  const bool adds_up = state.is_shared || std::exchange(state.steps, 0) < kStepsThatOvershoot;
  return adds_up ? MergeRule::kAddUp : MergeRule::kAdapt;
}

void ReplicaTable::merge(ReplicaSlot slot, MergeRule rule, std::span<const float> fresh) {
  float* const base = bases_.data() + slot * wire_width();
  const auto merge_values = rule == MergeRule::kAddUp ? hogwild_merge : hogwild_merge_adaptively;
  merge_values(values_.data() + slot * stride_, base, fresh.data(), dim_);
  if (with_accumulators_) hogwild_merge(accumulators_.data() + slot, base + dim_, fresh.data() + dim_, 1);
}

bool ReplicaTable::meet(ReplicaSlot slot, MergeRule rule, std::span<float> row) {
  float* const value = values_.data() + slot * stride_;
  float* const base = bases_.data() + slot * wire_width();
  const AdaptiveWeights weights =
      rule == MergeRule::kAddUp ? AdaptiveWeights{} : adaptive_weights(value, base, row.data(), dim_);
  bool changed = hogwild_meet(value, base, row.data(), dim_, weights);
  if (with_accumulators_) changed |= hogwild_meet(accumulators_.data() + slot, base + dim_, row.data() + dim_, 1, {});
  return changed;
}

}  // namespace knotwork::worker
