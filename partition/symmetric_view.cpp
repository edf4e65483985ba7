#include "partition/symmetric_view.h"

#include <algorithm>
#include <atomic>
#include <utility>
#include <vector>

#include "partition/huge_array.h"

namespace knotwork::partition {

namespace {

struct SymmetricArrays {
  HugeArray<ArcIndex> offsets;
  HugeArray<GlobalNode> targets;
  HugeArray<float> weights;
};

/// Where each node's list will begin if nothing is merged: its out-arcs and its in-arcs.
HugeArray<ArcIndex> doubled_offsets(const GraphArrays& arrays, std::size_t node_count) {
  HugeArray<ArcIndex> offsets(node_count + 1);
#pragma omp parallel for
  for (std::size_t arc = 0; arc < arrays.targets.size(); ++arc) {
    std::atomic_ref<ArcIndex>(offsets[arrays.targets[arc] + 1]).fetch_add(1, std::memory_order_relaxed);
  }
  for (std::size_t node = 0; node < node_count; ++node) {
    offsets[node + 1] += offsets[node] + (arrays.offsets[node + 1] - arrays.offsets[node]);
  }
  return offsets;
}

/// Both directions of every arc, in no particular order within a list.
void scatter_arcs(const GraphArrays& arrays, bool weighted, const HugeArray<ArcIndex>& starts, SymmetricArrays& out) {
  const std::size_t node_count = starts.size() - 1;
  HugeArray<ArcIndex> next(node_count);
  std::copy_n(starts.begin(), node_count, next.begin());
  const auto place = [&](GlobalNode at, GlobalNode target, std::size_t arc) {
    const ArcIndex slot = std::atomic_ref<ArcIndex>(next[at]).fetch_add(1, std::memory_order_relaxed);
    out.targets[slot] = target;
    if (weighted) out.weights[slot] = arrays.weights[arc];
  };
#pragma omp parallel for schedule(dynamic, 1024)
  for (std::size_t node = 0; node < node_count; ++node) {
    for (ArcIndex arc = arrays.offsets[node]; arc < arrays.offsets[node + 1]; ++arc) {
      place(static_cast<GlobalNode>(node), arrays.targets[arc], arc);
      place(arrays.targets[arc], static_cast<GlobalNode>(node), arc);
    }
  }
}

/// Sorts one list by target and merges doubles (a target occurs at most twice); returns the merged length.
std::size_t sort_and_merge(std::span<GlobalNode> targets, std::span<float> weights,
                           std::vector<std::pair<GlobalNode, float>>& scratch) {
  scratch.clear();
  for (std::size_t i = 0; i < targets.size(); ++i) scratch.emplace_back(targets[i], weights.empty() ? 0 : weights[i]);
  std::sort(scratch.begin(), scratch.end());
  std::size_t kept = 0;
  for (const auto& [target, weight] : scratch) {
    if (kept > 0 && targets[kept - 1] == target) {
      if (!weights.empty()) weights[kept - 1] += weight;
      continue;
    }
    targets[kept] = target;
    if (!weights.empty()) weights[kept] = weight;
    ++kept;
  }
  return kept;
}

/// Sorts and merges every list where it lies, then moves the lists together.
void merge_lists(SymmetricArrays& arrays, bool weighted) {
  const std::size_t node_count = arrays.offsets.size() - 1;
  HugeArray<ArcIndex> merged(node_count + 1);
#pragma omp parallel
  {
    std::vector<std::pair<GlobalNode, float>> scratch;
#pragma omp for schedule(dynamic, 256)
    for (std::size_t node = 0; node < node_count; ++node) {
      const ArcIndex first = arrays.offsets[node];
      const ArcIndex length = arrays.offsets[node + 1] - first;
      merged[node + 1] =
          sort_and_merge(arrays.targets.span().subspan(first, length),
                         weighted ? arrays.weights.span().subspan(first, length) : std::span<float>(), scratch);
    }
  }
  for (std::size_t node = 0; node < node_count; ++node) {
    const ArcIndex first = arrays.offsets[node];
    const ArcIndex length = merged[node + 1];
    merged[node + 1] += merged[node];
    std::copy_n(arrays.targets.begin() + first, length, arrays.targets.begin() + merged[node]);
    if (weighted) std::copy_n(arrays.weights.begin() + first, length, arrays.weights.begin() + merged[node]);
  }
  arrays.offsets = std::move(merged);
}

}  // namespace

SymmetricView symmetric_view(const Graph& whole) {
  const GraphArrays& held = whole.arrays();
  const auto node_count = static_cast<GlobalNode>(whole.summary().node_count);
  if (!whole.summary().directed) {
    return {.node_count = node_count,
            .offsets = held.offsets,
            .targets = held.targets,
            .weights = held.weights,
            .owner = held.owner};
  }
  auto arrays = std::make_shared<SymmetricArrays>();
  const bool weighted = whole.summary().weighted;
  arrays->offsets = doubled_offsets(held, node_count);
  arrays->targets = HugeArray<GlobalNode>(arrays->offsets[node_count]);
  if (weighted) arrays->weights = HugeArray<float>(arrays->offsets[node_count]);
  scatter_arcs(held, weighted, arrays->offsets, *arrays);
  merge_lists(*arrays, weighted);
  const ArcIndex arc_count = arrays->offsets[node_count];
  return {.node_count = node_count,
          .offsets = arrays->offsets.span(),
          .targets = std::as_const(arrays->targets).span().first(arc_count),
          .weights = std::as_const(arrays->weights).span().first(weighted ? arc_count : 0),
          .owner = arrays};
}

std::uint64_t symmetric_view_bytes(const Graph& whole) {
  if (!whole.summary().directed) return 0;
  return 16 * whole.summary().node_count + (whole.summary().weighted ? 16 : 8) * whole.summary().arc_count;
}

}  // namespace knotwork::partition
