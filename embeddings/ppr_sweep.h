// The inner loop of ppr_power.h in SIMD: one Gauss-Seidel sweep for 16 sources.
#pragma once

#include <array>
#include <span>

#include "embeddings/ppr_graph.h"

namespace knotwork::embeddings {

/// What a sweep reads and writes; arrays by degree rank. `values`: 16 floats a node, 64-byte aligned.
struct PprSweep {
  const partition::ArcIndex* in_offsets;
  const GlobalNode* in_sources;
  partition::ArcIndex arc_count;
  /// Null: all weights are 1.
  const float* in_weights;
  const float* inverse_strengths;
  float* values;
  /// 1 - alpha.
  float damping;
};

/// What is added to a node's scores in each sweep: restarts, and walks that come back from dangling nodes.
struct PprInjection {
  GlobalNode node;
  std::array<float, 16> scores;
};

/// For all nodes in order: score = damping * (sum over arcs that enter of weight * value) + injected, value = score /
/// strength. `injections`: by rising node, one a node. The sums of all scores are added to `mass` (16 numbers). The
/// same bits on every machine and for each lane whatever the others hold: products and sums are never fused.
void ppr_sweep_all(const PprSweep& sweep, GlobalNode node_count, std::span<const PprInjection> injections,
                   std::span<double, 16> mass);

}  // namespace knotwork::embeddings
