// Philox blocks for many walkers at once: the same numbers as partition::random_block, computed a SIMD vector of
// walkers at a time with Highway's run-time dispatch (one binary for AVX2, AVX-512 and NEON).
#pragma once

#include <cstddef>
#include <cstdint>

namespace knotwork::embeddings {

/// Most walkers that a thread keeps in flight. A multiple of every vector width.
inline constexpr std::size_t kMaxLanes = 128;

/// One Philox counter a lane and the block it gives: words[w][i] is
/// random_block(seed, kWalkStep, node[i], walk[i], counter[i], trial[i])[w].
struct RandomLanes {
  alignas(64) std::uint32_t node[kMaxLanes] = {};
  alignas(64) std::uint32_t walk[kMaxLanes] = {};
  alignas(64) std::uint32_t counter[kMaxLanes] = {};
  alignas(64) std::uint32_t trial[kMaxLanes] = {};
  alignas(64) std::uint32_t words[4][kMaxLanes] = {};
};

/// Fills the words of lanes 0 .. count-1 (and of some lanes above, up to the next multiple of 16).
void fill_random_lanes(std::uint64_t seed, RandomLanes& lanes, std::size_t count);

}  // namespace knotwork::embeddings
