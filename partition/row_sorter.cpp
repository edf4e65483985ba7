#include "partition/row_sorter.h"

#include <algorithm>
#include <bit>
#include <limits>

namespace knotwork::partition {

namespace {

constexpr std::size_t kShort = 24;
// Highway 1.0 asks the kernel for random bytes at every call, which costs as much as sorting some tens of keys.
constexpr std::size_t kLong = 64;

template <typename Key>
void insertion_sort(std::span<Key> keys) {
  for (std::size_t i = 1; i < keys.size(); ++i) {
    const Key key = keys[i];
    std::size_t place = i;
    for (; place > 0 && keys[place - 1] > key; --place) keys[place] = keys[place - 1];
    keys[place] = key;
  }
}

}  // namespace

template <typename Key>
void RowSorter::sort_keys(std::span<Key> keys) {
  if (keys.size() <= kShort) {
    insertion_sort(keys);
  } else if (keys.size() < kLong) {
    std::sort(keys.begin(), keys.end());
  } else {
    sorter_(keys.data(), keys.size(), hwy::SortAscending());
  }
}

std::uint32_t RowSorter::sort_and_merge(std::span<std::uint32_t> targets) {
  sort_keys(targets);
  return static_cast<std::uint32_t>(std::unique(targets.begin(), targets.end()) - targets.begin());
}

std::uint32_t RowSorter::sort_and_merge(std::span<std::uint32_t> targets, std::span<float> weights) {
  const auto target_of = [](std::uint64_t key) { return static_cast<std::uint32_t>(key >> 32); };
  packed_.resize(targets.size());
  for (std::size_t i = 0; i < targets.size(); ++i) {
    packed_[i] = (static_cast<std::uint64_t>(targets[i]) << 32) | std::bit_cast<std::uint32_t>(weights[i]);
  }
  sort_keys(std::span(packed_));
  std::size_t kept = 0;
  for (std::size_t i = 0; i < packed_.size();) {
    const std::uint32_t target = target_of(packed_[i]);
    double sum = 0.0;
    for (; i < packed_.size() && target_of(packed_[i]) == target; ++i) {
      sum += static_cast<double>(std::bit_cast<float>(static_cast<std::uint32_t>(packed_[i])));
    }
    targets[kept] = target;
    weights[kept] = static_cast<float>(std::min(sum, double{std::numeric_limits<float>::max()}));
    ++kept;
  }
  return static_cast<std::uint32_t>(kept);
}

}  // namespace knotwork::partition
