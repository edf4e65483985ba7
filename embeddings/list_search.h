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
  template <class KeyAt>
  void run(const std::uint32_t* keys, const KeyAt& key_at) {
    std::uint32_t pending[kMaxLanes];
    std::size_t left = count;
    for (std::size_t i = 0; i < count; ++i) pending[i] = static_cast<std::uint32_t>(i);
    while (left > 0) {
      std::size_t kept = 0;
      for (std::size_t k = 0; k < left; ++k) {
        const std::uint32_t i = pending[k];
        pending[kept] = i;
        kept += length[i] > kAtOnce ? 1 : 0;
        if (length[i] > kAtOnce) {
          halve(i, key_at);
          prefetch(keys, base[i], length[i]);
        } else {
          while (length[i] > 1) halve(i, key_at);
        }
      }
      left = kept;
    }
  }

 private:
  template <class KeyAt>
  void halve(std::uint32_t i, const KeyAt& key_at) {
    const std::uint32_t half = length[i] / 2;
    base[i] += key_at(base[i] + half - 1) < wanted[i] ? half : 0;
    length[i] -= half;
  }

  static void prefetch(const std::uint32_t* keys, partition::ArcIndex first, std::uint32_t list_length) {
    if (list_length > kAtOnce) {
      __builtin_prefetch(keys + first + list_length / 2 - 1);
    } else {
      __builtin_prefetch(keys + first);
      __builtin_prefetch(keys + first + list_length - 1);
    }
  }
};

}  // namespace knotwork::embeddings
