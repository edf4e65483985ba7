#include "worker/graph_distribution.h"

#include <cstddef>
#include <cstring>
#include <memory>
#include <string>
#include <utility>

#include "partition/errors.h"
#include "partition/huge_array.h"
#include "partition/renumber.h"
#include "worker/rank_arrays.h"

namespace knotwork::worker {

using partition::ArcIndex;
using partition::GlobalNode;
using partition::Graph;
using partition::GraphArrays;
using partition::GraphSummary;
using partition::HugeArray;
using partition::InputError;
using partition::OriginalNode;
using partition::Part;
using partition::PartBounds;

namespace {

/// What every rank must know before the arrays come.
struct GraphHeader {
  std::uint64_t node_count;
  ArcIndex arc_count;
  std::uint8_t directed;
  std::uint8_t weighted;
};

/// The arrays of a received slice.
struct SliceStorage {
  HugeArray<ArcIndex> offsets;
  HugeArray<GlobalNode> targets;
  HugeArray<float> weights;
  HugeArray<OriginalNode> original;
  HugeArray<GlobalNode> degree_rank;
};

constexpr int kSliceTag = 1;

template <typename T>
void send_array(cluster::Communicator& communicator, cluster::Rank rank, std::span<const T> values) {
  communicator.send(std::as_bytes(values), rank, kSliceTag);
}

/// One array from rank 0. Throws ClusterError's kin if the ranks disagree on its length.
template <typename T>
HugeArray<T> receive_array(cluster::Communicator& communicator, std::size_t size) {
  const cluster::Bytes bytes = communicator.receive(0, kSliceTag);
  if (bytes.size() != size * sizeof(T)) {
    throw cluster::ClusterError("rank 0 sent a slice of " + std::to_string(bytes.size()) + " bytes, expected " +
                                std::to_string(size * sizeof(T)));
  }
  HugeArray<T> values(size);
  std::memcpy(values.data(), bytes.data(), bytes.size());
  return values;
}

template <typename T>
std::vector<T> broadcast_array(cluster::Communicator& communicator, std::span<const T> root_values) {
  cluster::Bytes bytes = to_bytes(root_values);
  communicator.broadcast(bytes, 0);
  return from_bytes<T>(bytes);
}

void send_slice(cluster::Communicator& communicator, int rank, const Graph& whole, GlobalNode first, GlobalNode last) {
  const GraphArrays& arrays = whole.arrays();
  const auto offsets = arrays.offsets.subspan(first, last - first + std::size_t{1});
  const ArcIndex arcs = offsets.back() - offsets.front();
  send_array(communicator, rank, offsets);
  send_array(communicator, rank, arrays.targets.subspan(offsets.front(), arcs));
  if (whole.summary().weighted) send_array(communicator, rank, arrays.weights.subspan(offsets.front(), arcs));
  send_array(communicator, rank, arrays.original.subspan(first, last - first));
  if (!arrays.degree_rank.empty()) send_array(communicator, rank, arrays.degree_rank);
}

Graph receive_slice(cluster::Communicator& communicator, const GraphSummary& summary, const PartBounds& parts,
                    GlobalNode first, GlobalNode last) {
  auto storage = std::make_shared<SliceStorage>();
  const std::size_t rows = last - first;
  storage->offsets = receive_array<ArcIndex>(communicator, rows + 1);
  const ArcIndex base = storage->offsets[0];
  for (ArcIndex& offset : storage->offsets) offset -= base;
  const ArcIndex arcs = storage->offsets[rows];
  storage->targets = receive_array<GlobalNode>(communicator, arcs);
  if (summary.weighted) storage->weights = receive_array<float>(communicator, arcs);
  storage->original = receive_array<OriginalNode>(communicator, rows);
  if (parts.part_count() > 1) storage->degree_rank = receive_array<GlobalNode>(communicator, summary.node_count);
  const SliceStorage& kept = *storage;
  GraphArrays arrays{.first_node = first,
                     .offsets = kept.offsets.span(),
                     .targets = kept.targets.span(),
                     .weights = kept.weights.span(),
                     .original = kept.original.span(),
                     .degree_rank = kept.degree_rank.span(),
                     .owner = storage};
  return Graph(summary, parts, std::move(arrays));
}

}  // namespace

PartRange parts_of_rank(Part part_count, int rank, int rank_count) {
  if (static_cast<std::uint64_t>(rank_count) > part_count) {
    throw InputError(std::to_string(rank_count) + " ranks but only " + std::to_string(part_count) +
                     " parts; expected at least one part for each rank (partition with -k " +
                     std::to_string(rank_count) + ")");
  }
  const auto bound = [&](int r) { return static_cast<Part>(std::uint64_t{part_count} * r / rank_count); };
  return {bound(rank), bound(rank + 1)};
}

std::vector<GlobalNode> rank_bounds(const PartBounds& parts, int rank_count) {
  std::vector<GlobalNode> bounds;
  bounds.reserve(rank_count + std::size_t{1});
  for (int rank = 0; rank < rank_count; ++rank) {
    bounds.push_back(parts.bounds()[parts_of_rank(parts.part_count(), rank, rank_count).first]);
  }
  bounds.push_back(parts.node_count());
  return bounds;
}

DistributedGraph scatter_graph(cluster::Communicator& communicator, const std::optional<Graph>& whole,
                               const partition::NodeNames& names) {
  GraphHeader header{};
  std::vector<GlobalNode> part_bounds;
  if (communicator.is_root()) {
    const GraphSummary& summary = whole->summary();
    header = {summary.node_count, summary.arc_count, summary.directed, summary.weighted};
    part_bounds.assign(whole->parts().bounds().begin(), whole->parts().bounds().end());
  }
  header = broadcast_array(communicator, std::span<const GraphHeader>(&header, 1)).front();
  part_bounds = broadcast_array(communicator, std::span<const GlobalNode>(part_bounds));
  const PartBounds parts(std::move(part_bounds));
  const GraphSummary summary{.node_count = header.node_count,
                             .arc_count = header.arc_count,
                             .directed = header.directed != 0,
                             .weighted = header.weighted != 0};
  std::vector<GlobalNode> bounds = rank_bounds(parts, communicator.size());
  if (communicator.rank() != 0) {
    const GlobalNode first = bounds[communicator.rank()];
    const GlobalNode last = bounds[communicator.rank() + 1];
    Graph slice = receive_slice(communicator, summary, parts, first, last);
    return {std::move(slice), std::move(bounds), {}};
  }
  for (int rank = 1; rank < communicator.size(); ++rank) {
    send_slice(communicator, rank, *whole, bounds[rank], bounds[rank + 1]);
  }
  const PartRange own = parts_of_rank(parts.part_count(), 0, communicator.size());
  Graph slice = own.last == parts.part_count() ? *whole : partition::slice_parts(*whole, own.first, own.last);
  return {std::move(slice), std::move(bounds), names};
}

}  // namespace knotwork::worker
