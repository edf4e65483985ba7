// Table: gathers, adds and optimizer steps under striped row locks.
#include "ps/table.h"

#include <algorithm>
#include <cstring>
#include <stdexcept>
#include <thread>
#include <utility>

namespace knotwork::ps {

namespace {

constexpr std::size_t kFloatsPerCacheLine = 16;
/// Power of two. 4096 one-byte locks stay in L1/L2, and two of a handful of threads rarely want the same one.
constexpr std::size_t kLockStripes = 4096;
/// Rows ahead of the one at hand that are fetched: all of a usual row, since the hardware has to see some lines before
/// it follows; of a long row it follows the rest.
constexpr std::size_t kPrefetchRows = 4;
constexpr std::size_t kPrefetchFloats = 8 * kFloatsPerCacheLine;

TableSpec checked(TableSpec spec, RowRange range) {
  if (spec.dim == 0 || spec.dim > kMaxDim) {
    throw std::invalid_argument("table '" + spec.name + "': dim " + std::to_string(spec.dim) + ", expected 1 to " +
                                std::to_string(kMaxDim));
  }
  if (spec.name.size() > kMaxTableName) throw std::invalid_argument("table name too long: " + spec.name);
  if (range.first > range.last || range.last > spec.row_count) {
    throw std::invalid_argument("table '" + spec.name + "': rows " + std::to_string(range.first) + " to " +
                                std::to_string(range.last) + " of " + std::to_string(spec.row_count));
  }
  return spec;
}

/// Checked first: a range that can't be has no size.
RowMemory value_memory(const TableSpec& spec, RowRange range) {
  return RowMemory(range.size() * Table::stride_of(checked(spec, range)));
}

// The three ways in which rows are touched while training threads may be writing them in place: see table.h. Not
// inlined, so that the thread sanitizer's reports carry their names.

[[gnu::noinline]] void hogwild_copy(float* to, const float* from, std::size_t count) {
  std::memcpy(to, from, count * sizeof(float));
}

[[gnu::noinline]] void hogwild_add(float* __restrict row, const float* __restrict delta, std::size_t count) {
  for (std::size_t c = 0; c < count; ++c) row[c] += delta[c];
}

[[gnu::noinline]] void hogwild_step(const OptimizerSpec& optimizer, std::span<float> row, std::span<float> state,
                                    std::span<const float> gradient, float learning_rate) {
  apply_gradient(optimizer, row, state, gradient, learning_rate);
}

}  // namespace

/// Holds the lock of a row's stripe. Spins, since it is held for some tens of nanoseconds; yields when the holder was
/// put to sleep.
class Table::RowLock {
 public:
  RowLock(std::atomic_flag* locks, RowIndex row) : flag_(locks[row & (kLockStripes - 1)]) {
    constexpr int kSpinsBeforeYield = 64;
    for (int spins = 0; flag_.test_and_set(std::memory_order_acquire); ++spins) {
      if (spins >= kSpinsBeforeYield) std::this_thread::yield();
    }
  }
  ~RowLock() { flag_.clear(std::memory_order_release); }
  RowLock(const RowLock&) = delete;
  RowLock& operator=(const RowLock&) = delete;

 private:
  std::atomic_flag& flag_;
};

// NOLINTNEXTLINE(performance-unnecessary-value-param): the other constructor keeps it
Table::Table(TableSpec spec, RowRange range)
    : Table(spec, range, value_memory(spec, range),
            RowMemory(range.size() * ps::state_width(spec.optimizer, spec.dim))) {}

Table::Table(TableSpec spec, RowRange range, RowMemory values, RowMemory state)
    : spec_(checked(std::move(spec), range)),
      range_(range),
      stride_(stride_of(spec_)),
      state_width_(ps::state_width(spec_.optimizer, spec_.dim)),
      values_(std::move(values)),
      state_(std::move(state)),
      locks_(std::make_unique<std::atomic_flag[]>(kLockStripes)) {
  if (values_.size() != range.size() * stride_ || state_.size() != range.size() * state_width_) {
    throw std::invalid_argument("table '" + spec_.name + "': memory of another size than its rows");
  }
}

std::size_t Table::stride_of(const TableSpec& spec) {
  return (spec.dim + kFloatsPerCacheLine - 1) / kFloatsPerCacheLine * kFloatsPerCacheLine;
}

void Table::check(std::span<const RowIndex> rows, std::size_t floats, std::size_t width) const {
  if (floats != rows.size() * width) {
    throw std::invalid_argument("table '" + spec_.name + "': " + std::to_string(floats) + " floats for " +
                                std::to_string(rows.size()) + " rows of " + std::to_string(width));
  }
  for (const RowIndex row : rows) {
    if (!range_.contains(row)) {
      throw std::out_of_range("table '" + spec_.name + "': row " + std::to_string(row) + " is not in " +
                              std::to_string(range_.first) + " to " + std::to_string(range_.last));
    }
  }
}

template <int kForWriting>
[[gnu::always_inline]] inline void Table::prefetch(RowIndex index) const {
  const float* const values = row(index);
  for (std::size_t c = 0; c < std::min(stride_, kPrefetchFloats); c += kFloatsPerCacheLine) {
    __builtin_prefetch(values + c, kForWriting);
  }
}

void Table::pull(std::span<const RowIndex> rows, std::span<float> out, bool with_state) const {
  const std::size_t width = wire_width(with_state);
  check(rows, out.size(), width);
  float* to = out.data();
  for (std::size_t i = 0; i < rows.size(); ++i, to += width) {
    if (i + kPrefetchRows < rows.size()) prefetch<0>(rows[i + kPrefetchRows]);
    const RowLock lock(locks_.get(), rows[i]);
    hogwild_copy(to, row(rows[i]), spec_.dim);
    if (width > spec_.dim) {
      hogwild_copy(to + spec_.dim, state_.data() + (rows[i] - range_.first) * state_width_, state_width_);
    }
  }
}

void Table::add(std::span<const RowIndex> rows, std::span<const float> deltas, bool with_state) {
  const std::size_t width = wire_width(with_state);
  check(rows, deltas.size(), width);
  if (with_state && !state_is_additive(spec_.optimizer)) {
    throw std::invalid_argument("table '" + spec_.name + "': the state of adam can't be added up");
  }
  const float* from = deltas.data();
  for (std::size_t i = 0; i < rows.size(); ++i, from += width) {
    if (i + kPrefetchRows < rows.size()) prefetch<1>(rows[i + kPrefetchRows]);
    const RowLock lock(locks_.get(), rows[i]);
    hogwild_add(row(rows[i]), from, spec_.dim);
    if (width > spec_.dim) {
      hogwild_add(state_.data() + (rows[i] - range_.first) * state_width_, from + spec_.dim, state_width_);
    }
  }
}

void Table::apply_gradients(std::span<const RowIndex> rows, std::span<const float> gradients, float learning_rate) {
  check(rows, gradients.size(), spec_.dim);
  for (std::size_t i = 0; i < rows.size(); ++i) {
    if (i + kPrefetchRows < rows.size()) prefetch<1>(rows[i + kPrefetchRows]);
    const RowLock lock(locks_.get(), rows[i]);
    const std::span<float> state(state_.data() + (rows[i] - range_.first) * state_width_, state_width_);
    hogwild_step(spec_.optimizer, {row(rows[i]), spec_.dim}, state, gradients.subspan(i * spec_.dim, spec_.dim),
                 learning_rate);
  }
}

}  // namespace knotwork::ps
