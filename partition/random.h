// Randomness is a function, not a state: every random number is Philox-4x32-10 of
// (seed, purpose, original node, walk, step), so results are the same for any number of threads, ranks and parts.
// Salmon, Moraes, Dror, Shaw: "Parallel random numbers: as easy as 1, 2, 3", SC 2011; the library is Random123.
#pragma once

#include <array>
#include <cstdint>

// Philox on integers needs none of the 54,000 lines of vector intrinsics that Random123 would include here.
#define R123_USE_X86INTRIN_H 0
#define R123_USE_SSE 0
#include <Random123/philox.h>

namespace knotwork::partition {

/// What a random number is for. Values are part of the reproducibility contract: never renumber, only add.
enum class RandomPurpose : std::uint8_t {
  kWalkStep = 1,
  kWindow = 2,
  kNegative = 3,
  kSubsample = 4,
  kInitialise = 5,
  kShuffle = 6,
  kSplit = 7,
  kGenerate = 8,
  kPartition = 9,
  kEdgeSample = 10,
  kEvaluate = 11,
  kNegativePool = 12,
  kProjection = 13,
  kFeatureProjection = 14,
  kFingerprint = 16,
  kDropout = 17,
  kWeight = 18,
  kLinkSample = 19,
  kNeighbourSample = 20,
};

/// Four independent 32-bit numbers.
using RandomBlock = std::array<std::uint32_t, 4>;

/// The Philox block at (seed, purpose, node, walk, step, trial). `trial` counts rejections and must stay below 2^24.
inline RandomBlock random_block(std::uint64_t seed, RandomPurpose purpose, std::uint32_t node, std::uint32_t walk,
                                std::uint32_t step, std::uint32_t trial = 0) {
  const r123::Philox4x32::ctr_type counter = {
      {node, walk, step, (static_cast<std::uint32_t>(purpose) << 24) | (trial & 0xffffffU)}};
  const r123::Philox4x32::key_type key = {{static_cast<std::uint32_t>(seed), static_cast<std::uint32_t>(seed >> 32)}};
  const r123::Philox4x32::ctr_type block = r123::Philox4x32()(counter, key);
  return {block[0], block[1], block[2], block[3]};
}

/// Maps 32 random bits to 0 .. bound-1 by multiplication (Lemire 2019, without the rejection: bias below bound / 2^32).
inline std::uint32_t bounded(std::uint32_t random, std::uint32_t bound) {
  return static_cast<std::uint32_t>((static_cast<std::uint64_t>(random) * bound) >> 32);
}

/// Maps 32 random bits to [0, 1).
inline float unit_float(std::uint32_t random) {
  return static_cast<float>(random >> 8) * 0x1.0p-24F;
}
inline double unit_double(std::uint32_t high, std::uint32_t low) {
  const std::uint64_t bits = ((static_cast<std::uint64_t>(high) << 32) | low) >> 11;
  return static_cast<double>(bits) * 0x1.0p-53;
}

}  // namespace knotwork::partition
