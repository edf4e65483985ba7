#include "worker/row_sums.h"

#include <algorithm>
#include <cmath>
#include <cstring>

// The older x86 sets are left out to keep the binary and the build small.
#define HWY_DISABLED_TARGETS (HWY_SSSE3)
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "worker/row_sums.cpp"
// clang-format off
#include <hwy/foreach_target.h>
// clang-format on
#include <hwy/highway.h>

HWY_BEFORE_NAMESPACE();
namespace knotwork::worker::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

using Doubles = hn::CappedTag<double, 8>;
using DoubleVector = hn::Vec<Doubles>;

HWY_INLINE DoubleVector on_grid(DoubleVector change) {
  const Doubles d;
  const DoubleVector magic = hn::Set(d, kRoundToGrid);
  const DoubleVector cut = hn::Clamp(change, hn::Set(d, -kLargestChange), hn::Set(d, kLargestChange));
  return hn::Sub(hn::Add(cut, magic), magic);
}

// sums (of earlier changes, or nothing yet) plus `after` - `before`, on the grid. Returns whether any column changed.
bool add_change(const float* before, const float* after, std::size_t dim, bool is_first, double* sums) {
  const Doubles d;
  const hn::Rebind<float, Doubles> f;
  DoubleVector seen = hn::Zero(d);
  const std::size_t lanes = hn::Lanes(d);
  std::size_t i = 0;
  for (; i + lanes <= dim; i += lanes) {
    const DoubleVector change = on_grid(hn::PromoteTo(d, hn::Sub(hn::LoadU(f, after + i), hn::LoadU(f, before + i))));
    seen = hn::Or(seen, hn::Abs(change));
    const DoubleVector sum = is_first ? hn::Zero(d) : hn::LoadU(d, sums + i);
    hn::StoreU(hn::Add(sum, change), d, sums + i);
  }
  bool changed = !hn::AllTrue(d, hn::Eq(seen, hn::Zero(d)));
  for (; i < dim; ++i) {
    const double change = knotwork::worker::on_grid(after[i] - before[i]);
    changed = changed || change != 0;
    sums[i] = (is_first ? 0.0 : sums[i]) + change;
  }
  return changed;
}

}  // namespace knotwork::worker::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace knotwork::worker {

HWY_EXPORT(add_change);

namespace {

/// Rows share locks: a power of two.
constexpr std::size_t kLocks = 4096;

class Lock {
 public:
  explicit Lock(std::atomic_flag& flag) : flag_(flag) {
    while (flag_.test_and_set(std::memory_order_acquire)) {
    }
  }
  ~Lock() { flag_.clear(std::memory_order_release); }
  Lock(const Lock&) = delete;
  Lock& operator=(const Lock&) = delete;

 private:
  std::atomic_flag& flag_;
};

std::int64_t growth_on_grid(float growth) {
  const double value = growth;
  return std::llround((value < kLargestGrowth ? value : kLargestGrowth) / kAccumulatorGrid);
}

template <typename T>
void append(cluster::Bytes& out, const T* values, std::size_t count) {
  const auto bytes = std::as_bytes(std::span(values, count));
  out.insert(out.end(), bytes.begin(), bytes.end());
}

}  // namespace

RowSums::RowSums(std::size_t dim, bool has_state)
    : dim_(dim), has_state_(has_state), locks_(std::make_unique<std::atomic_flag[]>(kLocks)) {}

void RowSums::reset(std::size_t rows) {
  counts_.clear();
  growth_.clear();
  grow(rows);
}

void RowSums::grow(std::size_t rows) {
  counts_.resize(rows, 0);
  if (has_state_) growth_.resize(rows, 0);
  if (sums_.size() < rows * dim_) sums_.resize(rows * dim_);
}

void RowSums::add(std::size_t row, const float* before, const float* after, float growth) {
  const std::int64_t steps = has_state_ ? growth_on_grid(growth) : 0;
  const Lock lock(locks_[row % kLocks]);
  const bool changed =
      HWY_DYNAMIC_DISPATCH(add_change)(before, after, dim_, counts_[row] == 0, sums_.data() + row * dim_);
  if (!changed && steps == 0) return;
  ++counts_[row];
  if (has_state_) growth_[row] += steps;
}

void RowSums::scaled(std::size_t row, std::uint32_t full, float* out) const {
  const double scale = sum_scale(counts_[row], full);
  const double* const sums = sums_.data() + row * dim_;
  for (std::size_t i = 0; i < dim_; ++i) out[i] = static_cast<float>(sums[i] * scale);
  if (has_state_) out[dim_] = static_cast<float>(static_cast<double>(growth_[row]) * kAccumulatorGrid * scale);
}

std::size_t RowSums::packed_bytes() const {
  return sizeof(std::uint32_t) + (has_state_ ? sizeof(std::int64_t) : 0) + dim_ * sizeof(double);
}

void RowSums::pack(std::size_t row, cluster::Bytes& out) const {
  append(out, &counts_[row], 1);
  if (has_state_) append(out, &growth_[row], 1);
  append(out, sums_.data() + row * dim_, dim_);
}

void RowSums::add_packed(std::size_t row, std::span<const std::byte> packed) {
  std::uint32_t count = 0;
  std::int64_t growth = 0;
  std::memcpy(&count, packed.data(), sizeof count);
  packed = packed.subspan(sizeof count);
  if (has_state_) {
    std::memcpy(&growth, packed.data(), sizeof growth);
    packed = packed.subspan(sizeof growth);
  }
  double* const sums = sums_.data() + row * dim_;
  if (counts_[row] == 0) std::fill_n(sums, dim_, 0.0);
  for (std::size_t i = 0; i < dim_; ++i) {
    double change = 0;
    std::memcpy(&change, packed.data() + i * sizeof change, sizeof change);
    sums[i] += change;
  }
  counts_[row] += count;
  if (has_state_) growth_[row] += growth;
}

}  // namespace knotwork::worker
#endif  // HWY_ONCE
