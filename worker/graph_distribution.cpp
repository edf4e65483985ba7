#include "worker/graph_distribution.h"

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <memory>
#include <string>
#include <utility>

#include "cluster/shared_memory.h"
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
  if (!bytes.empty()) std::memcpy(values.data(), bytes.data(), bytes.size());
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

/// What every rank must know before the arrays come.
struct GraphShape {
  GraphSummary summary;
  PartBounds parts;
};
GraphShape broadcast_shape(cluster::Communicator& communicator, const std::optional<Graph>& whole) {
  GraphHeader header{};
  std::vector<GlobalNode> part_bounds;
  if (communicator.is_root()) {
    const GraphSummary& summary = whole->summary();
    header = {summary.node_count, summary.arc_count, summary.directed, summary.weighted};
    part_bounds.assign(whole->parts().bounds().begin(), whole->parts().bounds().end());
  }
  header = broadcast_array(communicator, std::span<const GraphHeader>(&header, 1)).front();
  part_bounds = broadcast_array(communicator, std::span<const GlobalNode>(part_bounds));
  return {.summary = {.node_count = header.node_count,
                      .arc_count = header.arc_count,
                      .directed = header.directed != 0,
                      .weighted = header.weighted != 0},
          .parts = PartBounds(std::move(part_bounds))};
}

/// The last `servers` ranks keep equal runs of all rows; the others, and ranks of jobs without servers, none.
ps::RowRange rows_of_server(const cluster::Communicator& communicator, int rank, std::uint64_t rows, int servers) {
  const int number = rank - (communicator.size() - servers);
  if (number < 0) return {};
  const auto bound = [&](int server) { return rows * static_cast<std::uint64_t>(server) / servers; };
  return {bound(number), bound(number + 1)};
}

/// On ranks other than 0: which rows are kept here, and, from rank 0, of which original nodes.
void place_rows(cluster::Communicator& communicator, std::uint64_t rows, int servers, DistributedGraph& graph) {
  graph.own_rows = rows_of_server(communicator, communicator.rank(), rows, servers);
  if (graph.own_rows.size() == 0) return;
  const HugeArray<OriginalNode> originals = receive_array<OriginalNode>(communicator, graph.own_rows.size());
  graph.served_originals.assign(originals.begin(), originals.end());
}

/// Places arrays one after another in shared memory, each at a cache line, and fills them where `from` is given.
class SharedArrays {
 public:
  explicit SharedArrays(std::span<std::byte> bytes) : bytes_(bytes) {}
  template <typename T>
  std::span<const T> place(std::size_t size, std::span<const T> from) {
    auto* values = reinterpret_cast<T*>(bytes_.data() + next_);
    next_ += bytes_of<T>(size);
    if (!from.empty()) std::memcpy(values, from.data(), from.size_bytes());
    return {values, size};
  }
  template <typename T>
  static std::size_t bytes_of(std::size_t size) {
    constexpr std::size_t kCacheLine = 64;
    return (size * sizeof(T) + kCacheLine - 1) / kCacheLine * kCacheLine;
  }

 private:
  std::span<std::byte> bytes_;
  std::size_t next_ = 0;
};

/// Collective. The whole graph in memory that all ranks share; nothing, on all ranks, if they can't share any.
std::optional<Graph> share_whole(cluster::Communicator& communicator, const std::optional<Graph>& whole,
                                 const GraphSummary& summary, const PartBounds& parts) {
  const std::size_t nodes = summary.node_count;
  const std::size_t weights = summary.weighted ? summary.arc_count : 0;
  const std::size_t ranks = parts.part_count() > 1 ? nodes : 0;
  const std::size_t bytes = SharedArrays::bytes_of<ArcIndex>(nodes + 1) +
                            SharedArrays::bytes_of<GlobalNode>(summary.arc_count) +
                            SharedArrays::bytes_of<float>(weights) + SharedArrays::bytes_of<OriginalNode>(nodes) +
                            SharedArrays::bytes_of<GlobalNode>(ranks);
  std::optional<cluster::SharedMemory> memory = cluster::share_memory(communicator, bytes);
  if (!memory) return std::nullopt;
  const auto kept = std::make_shared<const cluster::SharedMemory>(std::move(*memory));
  SharedArrays shared(kept->bytes());
  const GraphArrays from = whole ? whole->arrays() : GraphArrays{};
  GraphArrays arrays{.offsets = shared.place(nodes + 1, from.offsets),
                     .targets = shared.place(summary.arc_count, from.targets),
                     .weights = shared.place(weights, from.weights),
                     .original = shared.place(nodes, from.original),
                     .degree_rank = shared.place(ranks, from.degree_rank),
                     .owner = kept};
  if (communicator.is_root()) kept->settle(kept->bytes());
  communicator.barrier();
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

std::vector<GlobalNode> rank_bounds(const PartBounds& parts, int rank_count, int servers) {
  const int holders = rank_count - servers;
  if (servers < 0 || holders < 1) {
    throw InputError(std::to_string(servers) + " servers of " + std::to_string(rank_count) +
                     " processes leave none to train; expected fewer servers than processes");
  }
  std::vector<GlobalNode> bounds;
  bounds.reserve(rank_count + std::size_t{1});
  for (int rank = 0; rank < holders; ++rank) {
    bounds.push_back(parts.bounds()[parts_of_rank(parts.part_count(), rank, holders).first]);
  }
  bounds.resize(rank_count + std::size_t{1}, parts.node_count());
  return bounds;
}

Graph slice_by_arcs(const Graph& whole, int rank, int rank_count) {
  constexpr std::uint64_t kArcsOfRow = 8;
  const std::span<const ArcIndex> offsets = whole.arrays().offsets;
  const auto cost_before = [&](const ArcIndex& offset) {
    return offset + kArcsOfRow * static_cast<std::uint64_t>(&offset - offsets.data());
  };
  const auto bound = [&](int r) {
    const std::uint64_t wanted = cost_before(offsets.back()) * static_cast<std::uint64_t>(r) / rank_count;
    return static_cast<GlobalNode>(std::ranges::lower_bound(offsets, wanted, {}, cost_before) - offsets.begin());
  };
  return partition::slice_rows(whole, bound(rank), bound(rank + 1));
}

DistributedGraph scatter_graph(cluster::Communicator& communicator, const std::optional<Graph>& whole,
                               const partition::NodeNames& names, const ScatterOptions& options) {
  const auto [summary, parts] = broadcast_shape(communicator, whole);
  std::vector<GlobalNode> bounds = rank_bounds(parts, communicator.size(), options.servers);
  if (options.may_share && options.servers == 0 && communicator.size() > 1) {
    if (std::optional<Graph> shared = share_whole(communicator, whole, summary, parts)) {
      const PartRange own = parts_of_rank(parts.part_count(), communicator.rank(), communicator.size());
      return {partition::slice_parts(*shared, own.first, own.last), std::move(bounds), names, std::move(shared)};
    }
  }
  if (communicator.rank() != 0) {
    const GlobalNode first = bounds[communicator.rank()];
    const GlobalNode last = bounds[communicator.rank() + 1];
    DistributedGraph graph{receive_slice(communicator, summary, parts, first, last), std::move(bounds), {}};
    if (options.servers > 0) place_rows(communicator, summary.node_count, options.servers, graph);
    return graph;
  }
  for (int rank = 1; rank < communicator.size(); ++rank) {
    send_slice(communicator, rank, *whole, bounds[rank], bounds[rank + 1]);
    const ps::RowRange served = rows_of_server(communicator, rank, summary.node_count, options.servers);
    if (served.size() > 0)
      send_array(communicator, rank, whole->arrays().original.subspan(served.first, served.size()));
  }
  const PartRange own = parts_of_rank(parts.part_count(), 0, communicator.size() - options.servers);
  DistributedGraph graph{own.last == parts.part_count() ? *whole : partition::slice_parts(*whole, own.first, own.last),
                         std::move(bounds), names};
  if (options.servers > 0) graph.own_rows = {};
  return graph;
}

}  // namespace knotwork::worker
