// Philox-4x32-10 (Salmon, Moraes, Dror, Shaw, SC 2011, section 4), one walker a vector lane. The scalar reference is
// Random123 through partition/random.h; tests/unit/embeddings/walk_random_test.cpp compares every word.
#include "embeddings/walk_random.h"

#include "partition/random.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "embeddings/walk_random.cpp"
#include <hwy/foreach_target.h>  // must precede highway.h
#include <hwy/highway.h>

HWY_BEFORE_NAMESPACE();
namespace knotwork::embeddings {
namespace HWY_NAMESPACE {

#if HWY_TARGET == HWY_SCALAR

void fill(std::uint64_t seed, RandomLanes& lanes, std::size_t count) {
  for (std::size_t i = 0; i < count; ++i) {
    const auto block = partition::random_block(seed, partition::RandomPurpose::kWalkStep, lanes.node[i], lanes.walk[i],
                                               lanes.counter[i], lanes.trial[i]);
    for (std::size_t w = 0; w < 4; ++w) lanes.words[w][i] = block[w];
  }
}

#else

namespace hn = hwy::HWY_NAMESPACE;

// High and low halves of the 64-bit products of all 32-bit lanes.
template <class D, class V>
HWY_INLINE void multiply(D tag, V a, V b, V& high, V& low) {
  const hn::RepartitionToWide<D> wide;
  const auto even = hn::MulEven(a, b);
  const auto odd = hn::MulEven(hn::BitCast(tag, hn::ShiftRight<32>(hn::BitCast(wide, a))), b);
  high = hn::OddEven(hn::BitCast(tag, odd), hn::BitCast(tag, hn::ShiftRight<32>(even)));
  low = hn::OddEven(hn::BitCast(tag, hn::ShiftLeft<32>(odd)), hn::BitCast(tag, even));
}

void fill(std::uint64_t seed, RandomLanes& lanes, std::size_t count) {
  const hn::CappedTag<std::uint32_t, 16> tag;
  const std::size_t width = hn::Lanes(tag);
  const auto purpose = hn::Set(tag, static_cast<std::uint32_t>(partition::RandomPurpose::kWalkStep) << 24);
  const auto trial_mask = hn::Set(tag, 0xffffffU);
  const auto multiplier0 = hn::Set(tag, 0xD2511F53U);
  const auto multiplier1 = hn::Set(tag, 0xCD9E8D57U);
  for (std::size_t i = 0; i < count; i += width) {
    auto c0 = hn::Load(tag, lanes.node + i);
    auto c1 = hn::Load(tag, lanes.walk + i);
    auto c2 = hn::Load(tag, lanes.counter + i);
    auto c3 = hn::Or(purpose, hn::And(trial_mask, hn::Load(tag, lanes.trial + i)));
    auto key0 = static_cast<std::uint32_t>(seed);
    auto key1 = static_cast<std::uint32_t>(seed >> 32);
    for (int round = 0; round < 10; ++round) {
      auto high0 = c0, low0 = c0, high1 = c0, low1 = c0;
      multiply(tag, c0, multiplier0, high0, low0);
      multiply(tag, c2, multiplier1, high1, low1);
      c0 = hn::Xor(hn::Xor(high1, c1), hn::Set(tag, key0));
      c1 = low1;
      c2 = hn::Xor(hn::Xor(high0, c3), hn::Set(tag, key1));
      c3 = low0;
      key0 += 0x9E3779B9U;
      key1 += 0xBB67AE85U;
    }
    hn::Store(c0, tag, lanes.words[0] + i);
    hn::Store(c1, tag, lanes.words[1] + i);
    hn::Store(c2, tag, lanes.words[2] + i);
    hn::Store(c3, tag, lanes.words[3] + i);
  }
}

#endif

}  // namespace HWY_NAMESPACE
}  // namespace knotwork::embeddings
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace knotwork::embeddings {

HWY_EXPORT(fill);

void fill_random_lanes(std::uint64_t seed, RandomLanes& lanes, std::size_t count) {
  HWY_DYNAMIC_DISPATCH(fill)(seed, lanes, count);
}

}  // namespace knotwork::embeddings
#endif
