// Compiled once for every instruction set and chosen at run time (Highway). The 16 lanes are 1, 2 or 4 vectors; a row
// of values is one cache line, whose address is known some arcs ahead and prefetched.
#include "embeddings/ppr_sweep.h"

#include <algorithm>
#include <cstddef>

// Arrays of vectors need types of known size; see skipgram_kernel.cpp.
#define HWY_DISABLED_TARGETS (HWY_SVE | HWY_SVE2 | HWY_SVE_256 | HWY_SVE2_128 | HWY_RVV | HWY_SSSE3)
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "embeddings/ppr_sweep.cpp"
// clang-format off
#include <hwy/foreach_target.h>
// clang-format on
#include <hwy/highway.h>

HWY_BEFORE_NAMESPACE();
namespace knotwork::embeddings::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

using Floats = hn::CappedTag<float, 16>;
using FloatVector = hn::Vec<Floats>;
constexpr std::size_t kLanes = 16;
constexpr std::size_t kWidth = hn::MaxLanes(Floats());
constexpr std::size_t kVectors = kLanes / kWidth;
constexpr std::size_t kArcsAhead = 12;
// Sums of scores are kept in float for so many rows, then in double.
constexpr GlobalNode kRowsAtATime = 64;

template <bool kWeighted>
HWY_INLINE void sweep_row(const PprSweep& sweep, GlobalNode node, const float* added, FloatVector* mass) {
  const Floats d;
  FloatVector sums[kVectors];
  for (std::size_t i = 0; i < kVectors; ++i) sums[i] = hn::Zero(d);
  const partition::ArcIndex end = sweep.in_offsets[node + std::size_t{1}];
  for (partition::ArcIndex arc = sweep.in_offsets[node]; arc < end; ++arc) {
    // Beyond the list lies the next node's, which is read next.
    const partition::ArcIndex ahead = std::min(arc + kArcsAhead, sweep.arc_count - 1);
    __builtin_prefetch(sweep.values + std::size_t{sweep.in_sources[ahead]} * kLanes);
    const float* const row = sweep.values + std::size_t{sweep.in_sources[arc]} * kLanes;
    for (std::size_t i = 0; i < kVectors; ++i) {
      FloatVector value = hn::Load(d, row + i * kWidth);
      if constexpr (kWeighted) value = hn::Mul(value, hn::Set(d, sweep.in_weights[arc]));
      sums[i] = hn::Add(sums[i], value);
    }
  }
  float* const out = sweep.values + std::size_t{node} * kLanes;
  const FloatVector inverse = hn::Set(d, sweep.inverse_strengths[node]);
  for (std::size_t i = 0; i < kVectors; ++i) {
    const FloatVector score = hn::Add(hn::Mul(sums[i], hn::Set(d, sweep.damping)), hn::LoadU(d, added + i * kWidth));
    mass[i] = hn::Add(mass[i], score);
    hn::Store(hn::Mul(score, inverse), d, out + i * kWidth);
  }
}

template <bool kWeighted>
HWY_INLINE void sweep_nodes(const PprSweep& sweep, GlobalNode node_count, std::span<const PprInjection> injections,
                            std::span<double, kLanes> mass) {
  const Floats d;
  HWY_ALIGN constexpr float kNothing[kLanes] = {};
  for (GlobalNode node = 0; node < node_count;) {
    const GlobalNode block_end = std::min(node_count - node, kRowsAtATime) + node;
    FloatVector sums[kVectors];
    for (std::size_t i = 0; i < kVectors; ++i) sums[i] = hn::Zero(d);
    for (; node < block_end; ++node) {
      if (!injections.empty() && injections.front().node == node) {
        sweep_row<kWeighted>(sweep, node, injections.front().scores.data(), sums);
        injections = injections.subspan(1);
      } else {
        sweep_row<kWeighted>(sweep, node, kNothing, sums);
      }
    }
    HWY_ALIGN float lanes[kLanes];
    for (std::size_t i = 0; i < kVectors; ++i) hn::Store(sums[i], d, lanes + i * kWidth);
    for (std::size_t lane = 0; lane < kLanes; ++lane) mass[lane] += lanes[lane];
  }
}

void sweep_all(const PprSweep& sweep, GlobalNode node_count, std::span<const PprInjection> injections,
               std::span<double, kLanes> mass) {
  if (sweep.in_weights == nullptr) {
    sweep_nodes<false>(sweep, node_count, injections, mass);
  } else {
    sweep_nodes<true>(sweep, node_count, injections, mass);
  }
}

}  // namespace knotwork::embeddings::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace knotwork::embeddings {

HWY_EXPORT(sweep_all);

void ppr_sweep_all(const PprSweep& sweep, GlobalNode node_count, std::span<const PprInjection> injections,
                   std::span<double, 16> mass) {
  HWY_DYNAMIC_DISPATCH(sweep_all)(sweep, node_count, injections, mass);
}

}  // namespace knotwork::embeddings
#endif
