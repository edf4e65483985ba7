// Many binary searches at once: each pass makes one probe of every search and prefetches its next one, so that the
// cache misses of different searches overlap instead of following one another.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "embeddings/walk_random.h"
#include "partition/ids.h"

namespace knotwork::embeddings {

/// A batch of searches for the first position in [base, base + length) whose key is >= wanted. Keys rise; if all are
/// below `wanted` the result is the last position. REQUIRES length >= 1.
struct ListSearches {
  /// Stretches of up to this many keys (one or two cache lines of 4-byte keys) are searched at one go.
  static constexpr std::uint32_t kAtOnce = 16;

  std::size_t count = 0;
  partition::ArcIndex base[kMaxLanes];
  std::uint32_t length[kMaxLanes];
  std::uint32_t wanted[kMaxLanes];

  /// Adds a search and prefetches its first probe. `keys`: the 4-byte array that positions count in.
  void add(const std::uint32_t* keys, partition::ArcIndex first, std::uint32_t list_length, std::uint32_t wanted_key) {
    base[count] = first;
    length[count] = list_length;
    wanted[count] = wanted_key;
    ++count;
    prefetch(keys, first, list_length);
  }

  /// Runs all searches; afterwards base[i] is the result of search i. `key_at(position)` reads a key.
  /// Free of branches that depend on a single search: they would be mispredicted once a search.
  template <class KeyAt>
  void run(const std::uint32_t* keys, const KeyAt& key_at) {
    std::uint32_t pending[kMaxLanes];
    std::size_t left = 0;
    const std::size_t all = count;
    for (std::size_t i = 0; i < all; ++i) {
      pending[left] = static_cast<std::uint32_t>(i);
      left += length[i] > kAtOnce ? 1 : 0;
    }
    while (left > 0) {
      std::size_t kept = 0;
      for (std::size_t k = 0; k < left; ++k) {
        const std::uint32_t i = pending[k];
        const Stretch rest = halved({base[i], length[i]}, wanted[i], key_at);
        prefetch(keys, rest.first, rest.length);
        base[i] = rest.first;
        length[i] = rest.length;
        pending[kept] = i;
        kept += rest.length > kAtOnce ? 1 : 0;
      }
      left = kept;
    }
    for (std::size_t i = 0; i < all; ++i) {
      Stretch rest{base[i], length[i]};
      for (std::uint32_t size = kAtOnce; size > 1; size /= 2) rest = halved(rest, wanted[i], key_at);
      base[i] = rest.first;
    }
  }

 private:
  struct Stretch {
    partition::ArcIndex first;
    std::uint32_t length;
  };

  /// One probe. A stretch of one key stays as it is.
  template <class KeyAt>
  static Stretch halved(Stretch from, std::uint32_t wanted_key, const KeyAt& key_at) {
    const std::uint32_t half = from.length / 2;
    const std::uint32_t probe = half - (half > 0 ? 1 : 0);
    // A mask rather than a conditional, which compilers turn into a branch.
    const std::uint32_t below = 0U - static_cast<std::uint32_t>(key_at(from.first + probe) < wanted_key);
    return {from.first + (half & below), from.length - half};
  }

  /// The next probe; for the last stretch both its ends, which may lie in two cache lines.
  static void prefetch(const std::uint32_t* keys, partition::ArcIndex first, std::uint32_t list_length) {
    const std::uint32_t probe = list_length > kAtOnce ? list_length / 2 - 1 : list_length - 1;
    __builtin_prefetch(keys + first + probe);
    __builtin_prefetch(keys + first);
  }
};

}  // namespace knotwork::embeddings
