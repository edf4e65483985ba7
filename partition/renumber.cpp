#include "partition/renumber.h"

#include <algorithm>
#include <stdexcept>
#include <utility>
#include <vector>

#include "partition/huge_array.h"

namespace knotwork::partition {

namespace {

struct RenumberedArrays {
  HugeArray<ArcIndex> offsets;
  HugeArray<GlobalNode> targets;
  HugeArray<float> weights;
  HugeArray<OriginalNode> original;
  HugeArray<GlobalNode> degree_rank;
};

struct SliceArrays {
  HugeArray<ArcIndex> offsets;
  std::shared_ptr<const void> whole;
};

std::vector<GlobalNode> bounds_of(std::span<const Part> part_of, Part parts) {
  std::vector<GlobalNode> bounds(parts + std::size_t{1}, 0);
  for (const Part part : part_of) ++bounds[part + std::size_t{1}];
  for (Part part = 0; part < parts; ++part) bounds[part + std::size_t{1}] += bounds[part];
  return bounds;
}

/// Stable counting sort by part. The old numbers are degree ranks, so stability is the order inside parts; returns the
/// new number of each old one and fills the old one (the degree rank) of each new one.
std::vector<GlobalNode> new_numbers(std::span<const Part> part_of, std::span<const GlobalNode> bounds,
                                    HugeArray<GlobalNode>& degree_rank) {
  std::vector<GlobalNode> next(bounds.begin(), bounds.end());
  std::vector<GlobalNode> renamed(part_of.size());
  for (std::size_t old = 0; old < part_of.size(); ++old) {
    renamed[old] = next[part_of[old]]++;
    degree_rank[renamed[old]] = static_cast<GlobalNode>(old);
  }
  return renamed;
}

void copy_rows(const Graph& whole, std::span<const GlobalNode> renamed, RenumberedArrays& out) {
  const auto node_count = static_cast<std::int64_t>(renamed.size());
#pragma omp parallel for schedule(dynamic, 1024)
  for (std::int64_t node = 0; node < node_count; ++node) {
    const GlobalNode old = out.degree_rank[node];
    const ArcIndex first = out.offsets[node];
    const std::span<const GlobalNode> list = whole.neighbours(old);
    for (std::size_t i = 0; i < list.size(); ++i) out.targets[first + i] = renamed[list[i]];
    if (whole.summary().weighted) {
      const std::span<const float> weights = whole.weights(old);
      std::copy(weights.begin(), weights.end(), out.weights.begin() + first);
    }
    out.original[node] = whole.original(old);
  }
}

}  // namespace

Graph renumber_by_parts(const Graph& whole, std::span<const Part> part_of, Part parts) {
  if (!whole.is_whole() || whole.parts().part_count() != 1 || part_of.size() != whole.row_count() || parts == 0 ||
      std::any_of(part_of.begin(), part_of.end(), [parts](Part part) { return part >= parts; })) {
    throw std::invalid_argument("renumber_by_parts needs a whole graph of one part and a part for each of its nodes");
  }
  const std::size_t node_count = part_of.size();
  auto arrays = std::make_shared<RenumberedArrays>();
  PartBounds bounds(bounds_of(part_of, parts));
  arrays->degree_rank = HugeArray<GlobalNode>(node_count);
  arrays->original = HugeArray<OriginalNode>(node_count);
  arrays->offsets = HugeArray<ArcIndex>(node_count + 1);
  arrays->targets = HugeArray<GlobalNode>(whole.arrays().targets.size());
  if (whole.summary().weighted) arrays->weights = HugeArray<float>(whole.arrays().targets.size());
  const std::vector<GlobalNode> renamed = new_numbers(part_of, bounds.bounds(), arrays->degree_rank);
  for (std::size_t node = 0; node < node_count; ++node) {
    arrays->offsets[node + 1] = arrays->offsets[node] + whole.degree(arrays->degree_rank[node]);
  }
  copy_rows(whole, renamed, *arrays);
  const RenumberedArrays& done = *arrays;
  return Graph(whole.summary(), std::move(bounds),
               {.offsets = done.offsets.span(),
                .targets = done.targets.span(),
                .weights = done.weights.span(),
                .original = done.original.span(),
                // With one part every entry would be its own index: the empty span says so in no memory.
                .degree_rank = parts == 1 ? std::span<const GlobalNode>() : done.degree_rank.span(),
                .owner = arrays});
}

Graph slice_parts(const Graph& whole, Part first, Part last) {
  if (!whole.is_whole() || first >= last || last > whole.parts().part_count()) {
    throw std::invalid_argument("slice_parts needs a whole graph and a range of its parts");
  }
  return slice_rows(whole, whole.parts().first(first), whole.parts().last(last - 1));
}

Graph slice_rows(const Graph& whole, GlobalNode first_node, GlobalNode last_node) {
  if (!whole.is_whole() || first_node > last_node || last_node > whole.summary().node_count) {
    throw std::invalid_argument("slice_rows needs a whole graph and a range of its rows");
  }
  const std::size_t row_count = last_node - first_node;
  const GraphArrays& held = whole.arrays();
  const ArcIndex first_arc = held.offsets[first_node];
  const std::size_t arc_count = held.offsets[first_node + row_count] - first_arc;
  auto arrays = std::make_shared<SliceArrays>();
  arrays->whole = held.owner;
  arrays->offsets = HugeArray<ArcIndex>(row_count + 1);
  for (std::size_t row = 0; row <= row_count; ++row) arrays->offsets[row] = held.offsets[first_node + row] - first_arc;
  return Graph(whole.summary(), whole.parts(),
               {.first_node = first_node,
                .offsets = std::as_const(arrays->offsets).span(),
                .targets = held.targets.subspan(first_arc, arc_count),
                .weights = held.weights.empty() ? held.weights : held.weights.subspan(first_arc, arc_count),
                .original = held.original.subspan(first_node, row_count),
                .degree_rank = held.degree_rank,
                .owner = arrays});
}

}  // namespace knotwork::partition
