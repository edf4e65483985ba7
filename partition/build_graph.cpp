// Two scatters and two sorts of rows; see the header for the plan.
#include "partition/build_graph.h"

#ifdef _OPENMP
#include <omp.h>
#endif

#include <algorithm>
#include <array>
#include <atomic>
#include <bit>
#include <cmath>
#include <limits>
#include <memory>
#include <stdexcept>
#include <utility>

#include <hwy/contrib/sort/vqsort.h>

namespace knotwork::partition {

namespace {

using Node = std::uint32_t;

int team_size(unsigned threads) {
#ifdef _OPENMP
  return threads == 0 ? omp_get_max_threads() : static_cast<int>(threads);
#else
  static_cast<void>(threads);
  return 1;
#endif
}

// Rows of targets. Row r is [offsets[r], offsets[r] + kept[r]) after sorting and merging; what lies between its end
// and offsets[r + 1] is slack.
struct Rows {
  HugeArray<ArcIndex> offsets;
  HugeArray<Node> targets;
  HugeArray<float> weights;
  HugeArray<Node> kept;

  std::size_t count() const { return kept.size(); }
};

std::uint32_t fetch_increment(std::uint32_t& counter) {
  return std::atomic_ref<std::uint32_t>(counter).fetch_add(1, std::memory_order_relaxed);
}

// Places arcs into rows through cursors that all threads share. Arcs wait in a small batch while their cache lines are
// fetched: an atomic increment drains the store buffer, so a store that misses would stall every arc.
class ArcScatter {
 public:
  explicit ArcScatter(Rows& rows) : rows_(rows) {}
  ArcScatter(const ArcScatter&) = delete;
  ArcScatter& operator=(const ArcScatter&) = delete;
  ~ArcScatter() { flush(); }

  void push(Node row, Node target, float weight) {
    __builtin_prefetch(&rows_.offsets[row + std::size_t{1}], 1);
    batch_[used_++] = {row, target, weight, 0};
    if (used_ == kBatch) flush();
  }

 private:
  static constexpr std::size_t kBatch = 64;
  struct Arc {
    Node row;
    Node target;
    float weight;
    ArcIndex place;
  };

  void flush() {
    const bool weighted = !rows_.weights.empty();
    for (std::size_t i = 0; i < used_; ++i) {
      std::atomic_ref<ArcIndex> cursor(rows_.offsets[batch_[i].row + std::size_t{1}]);
      batch_[i].place = cursor.fetch_add(1, std::memory_order_relaxed);
      __builtin_prefetch(&rows_.targets[batch_[i].place], 1);
      if (weighted) __builtin_prefetch(&rows_.weights[batch_[i].place], 1);
    }
    for (std::size_t i = 0; i < used_; ++i) {
      rows_.targets[batch_[i].place] = batch_[i].target;
      if (weighted) rows_.weights[batch_[i].place] = batch_[i].weight;
    }
    used_ = 0;
  }

  Rows& rows_;
  std::array<Arc, kBatch> batch_;
  std::size_t used_ = 0;
};

// Allocates rows for the given lengths and sets offsets[r + 1] to the start of row r: a scatter moves it to the end.
Rows rows_for(HugeArray<Node>&& lengths, bool weighted) {
  Rows rows;
  const std::size_t count = lengths.size();
  rows.offsets = HugeArray<ArcIndex>(count + 1);
  ArcIndex start = 0;
  for (std::size_t row = 0; row < count; ++row) {
    rows.offsets[row + 1] = start;
    start += lengths[row];
  }
  rows.targets = HugeArray<Node>(start);
  if (weighted) rows.weights = HugeArray<float>(start);
  rows.kept = std::move(lengths);
  return rows;
}

// Sorts one row and merges equal targets; weights of equal targets are added in rising order, so that the sum depends
// neither on threads nor on the order in the file.
class RowSorter {
 public:
  Node sort_and_merge(std::span<Node> targets) {
    sort_keys(targets);
    return static_cast<Node>(std::unique(targets.begin(), targets.end()) - targets.begin());
  }

  Node sort_and_merge(std::span<Node> targets, std::span<float> weights) {
    packed_.resize(targets.size());
    for (std::size_t i = 0; i < targets.size(); ++i) {
      packed_[i] = (static_cast<std::uint64_t>(targets[i]) << 32) | std::bit_cast<std::uint32_t>(weights[i]);
    }
    sort_keys(std::span(packed_));
    std::size_t kept = 0;
    for (std::size_t i = 0; i < packed_.size();) {
      const Node target = static_cast<Node>(packed_[i] >> 32);
      double sum = 0.0;
      for (; i < packed_.size() && static_cast<Node>(packed_[i] >> 32) == target; ++i) {
        sum += std::bit_cast<float>(static_cast<std::uint32_t>(packed_[i]));
      }
      targets[kept] = target;
      weights[kept] = static_cast<float>(std::min(sum, double{std::numeric_limits<float>::max()}));
      ++kept;
    }
    return static_cast<Node>(kept);
  }

 private:
  static constexpr std::size_t kShort = 24;
  // Highway 1.0 asks the kernel for random bytes at every call, which costs as much as sorting some tens of keys.
  static constexpr std::size_t kLong = 64;

  template <typename Key>
  void sort_keys(std::span<Key> keys) {
    if (keys.size() <= kShort) {
      insertion_sort(keys);
    } else if (keys.size() < kLong) {
      std::sort(keys.begin(), keys.end());
    } else {
      sorter_(keys.data(), keys.size(), hwy::SortAscending());
    }
  }

  template <typename Key>
  static void insertion_sort(std::span<Key> keys) {
    for (std::size_t i = 1; i < keys.size(); ++i) {
      const Key key = keys[i];
      std::size_t place = i;
      for (; place > 0 && keys[place - 1] > key; --place) keys[place] = keys[place - 1];
      keys[place] = key;
    }
  }

  hwy::Sorter sorter_;
  std::vector<std::uint64_t> packed_;
};

// Sorts and merges every row; kept[r] becomes the row's new length. Returns how many entries were merged away.
std::uint64_t sort_rows(Rows& rows, int team) {
  std::uint64_t merged = 0;
  const bool weighted = !rows.weights.empty();
#pragma omp parallel num_threads(team) reduction(+ : merged)
  {
    RowSorter sorter;
#pragma omp for schedule(dynamic, 256)
    for (std::size_t row = 0; row < rows.count(); ++row) {
      const ArcIndex begin = rows.offsets[row];
      const std::size_t length = rows.offsets[row + 1] - begin;
      const std::span<Node> targets(rows.targets.data() + begin, length);
      rows.kept[row] = weighted ? sorter.sort_and_merge(targets, {rows.weights.data() + begin, length})
                                : sorter.sort_and_merge(targets);
      merged += length - rows.kept[row];
    }
  }
  return merged;
}

// The row and the target under which an edge is first stored: an undirected edge lies in the row of its larger node.
Edge placed(Edge edge, bool directed) {
  if (!directed && edge.source < edge.target) std::swap(edge.source, edge.target);
  return edge;
}

struct RowLengths {
  HugeArray<Node> lengths;
  std::uint64_t self_loops = 0;
};

bool is_usable_weight(float weight) {
  return weight > 0.0F && std::isfinite(weight);
}

RowLengths count_row_lengths(const EdgeArrays& edges, OriginalNode node_count, bool directed, int team) {
  RowLengths counted{HugeArray<Node>(node_count), 0};
  std::uint64_t self_loops = 0;
  bool bad = false;
#pragma omp parallel for num_threads(team) schedule(dynamic) reduction(+ : self_loops) reduction(|| : bad)
  for (std::size_t c = 0; c < edges.chunks.size(); ++c) {
    const EdgeChunk& chunk = edges.chunks[c];
    for (const Edge& edge : chunk.edges) {
      if (edge.source >= node_count || edge.target >= node_count) {
        bad = true;
      } else if (edge.source == edge.target) {
        ++self_loops;
      } else {
        fetch_increment(counted.lengths[placed(edge, directed).source]);
      }
    }
    bad = bad || !std::all_of(chunk.weights.begin(), chunk.weights.end(), is_usable_weight);
  }
  if (bad) {
    throw std::invalid_argument("an edge has a node beyond the node count or a weight that is not positive and finite");
  }
  counted.self_loops = self_loops;
  return counted;
}

// Step 1: rows of distinct edges, each edge once.
Rows distinct_rows(EdgeArrays&& edges, OriginalNode node_count, bool directed, BuildReport& report, int team) {
  const bool weighted = !edges.chunks.empty() && !edges.chunks.front().weights.empty();
  RowLengths counted = count_row_lengths(edges, node_count, directed, team);
  report.self_loops_dropped = counted.self_loops;
  Rows rows = rows_for(std::move(counted.lengths), weighted);
#pragma omp parallel num_threads(team)
  {
    ArcScatter scatter(rows);
#pragma omp for schedule(dynamic)
    for (std::size_t c = 0; c < edges.chunks.size(); ++c) {
      const EdgeChunk chunk = std::move(edges.chunks[c]);
      for (std::size_t i = 0; i < chunk.edges.size(); ++i) {
        const Edge edge = placed(chunk.edges[i], directed);
        if (edge.source != edge.target) scatter.push(edge.source, edge.target, weighted ? chunk.weights[i] : 1.0F);
      }
    }
  }
  edges.chunks.clear();
  report.duplicates_merged = sort_rows(rows, team);
  return rows;
}

// Step 2: degrees (in plus out) of the merged rows.
HugeArray<Node> degrees_of(const Rows& rows, int team) {
  HugeArray<Node> degrees(rows.count());
#pragma omp parallel for num_threads(team) schedule(dynamic, 256)
  for (std::size_t row = 0; row < rows.count(); ++row) {
    const Node* const targets = rows.targets.data() + rows.offsets[row];
    for (Node i = 0; i < rows.kept[row]; ++i) fetch_increment(degrees[targets[i]]);
    std::atomic_ref<Node>(degrees[row]).fetch_add(rows.kept[row], std::memory_order_relaxed);
  }
  return degrees;
}

// Nodes by falling degree, ties by smaller node: a counting sort.
HugeArray<OriginalNode> nodes_by_degree(const HugeArray<Node>& degrees) {
  const Node highest = degrees.empty() ? 0 : *std::max_element(degrees.begin(), degrees.end());
  HugeArray<Node> next(std::size_t{highest} + 1);
  for (const Node degree : degrees) ++next[highest - degree];
  Node start = 0;
  for (Node& entry : next) start += std::exchange(entry, start);
  HugeArray<OriginalNode> order(degrees.size());
  for (std::size_t node = 0; node < degrees.size(); ++node) {
    order[next[highest - degrees[node]]++] = static_cast<OriginalNode>(node);
  }
  return order;
}

// Step 3: the rows by rank; an undirected edge goes into the rows of both its nodes.
Rows ranked_rows(Rows&& distinct, const HugeArray<Node>& degrees, const HugeArray<OriginalNode>& original,
                 bool directed, int team) {
  const std::size_t node_count = original.size();
  HugeArray<Node> rank(node_count);
  HugeArray<Node> lengths(node_count);
#pragma omp parallel for num_threads(team)
  for (std::size_t r = 0; r < node_count; ++r) {
    rank[original[r]] = static_cast<Node>(r);
    lengths[r] = directed ? distinct.kept[original[r]] : degrees[original[r]];
  }
  const bool weighted = !distinct.weights.empty();
  Rows rows = rows_for(std::move(lengths), weighted);
#pragma omp parallel num_threads(team)
  {
    ArcScatter scatter(rows);
#pragma omp for schedule(dynamic, 256)
    for (std::size_t row = 0; row < node_count; ++row) {
      const Node from = rank[row];
      const ArcIndex begin = distinct.offsets[row];
      for (ArcIndex arc = begin; arc < begin + distinct.kept[row]; ++arc) {
        const Node to = rank[distinct.targets[arc]];
        const float weight = weighted ? distinct.weights[arc] : 1.0F;
        scatter.push(from, to, weight);
        if (!directed) scatter.push(to, from, weight);
      }
    }
  }
  distinct = Rows{};
  sort_rows(rows, team);
  return rows;
}

// What the finished graph keeps alive.
struct OwnedArrays {
  HugeArray<ArcIndex> offsets;
  HugeArray<Node> targets;
  HugeArray<float> weights;
  HugeArray<OriginalNode> original;
};

void check_chunks(const EdgeArrays& edges) {
  const bool weighted = !edges.chunks.empty() && !edges.chunks.front().weights.empty();
  for (const EdgeChunk& chunk : edges.chunks) {
    if (chunk.weights.size() != (weighted ? chunk.edges.size() : 0)) {
      throw std::invalid_argument("edge chunks must all have one weight an edge, or none");
    }
  }
}

}  // namespace

EdgeArrays EdgeArrays::copy_of(std::span<const Edge> edges, std::span<const float> weights) {
  EdgeChunk chunk{HugeArray<Edge>(edges.size()), HugeArray<float>(weights.size())};
  std::copy(edges.begin(), edges.end(), chunk.edges.begin());
  std::copy(weights.begin(), weights.end(), chunk.weights.begin());
  EdgeArrays result;
  if (!edges.empty() || !weights.empty()) result.chunks.push_back(std::move(chunk));
  check_chunks(result);
  return result;
}

std::uint64_t EdgeArrays::edge_count() const {
  std::uint64_t count = 0;
  for (const EdgeChunk& chunk : chunks) count += chunk.edges.size();
  return count;
}

Graph build_graph(EdgeArrays&& edges, OriginalNode node_count, bool directed, BuildReport& report, unsigned threads) {
  std::erase_if(edges.chunks, [](const EdgeChunk& chunk) { return chunk.edges.empty() && chunk.weights.empty(); });
  check_chunks(edges);
  const int team = team_size(threads);
  Rows distinct = distinct_rows(std::move(edges), node_count, directed, report, team);
  const HugeArray<Node> degrees = degrees_of(distinct, team);
  const auto owned = std::make_shared<OwnedArrays>();
  owned->original = nodes_by_degree(degrees);
  Rows rows = ranked_rows(std::move(distinct), degrees, owned->original, directed, team);
  owned->offsets = std::move(rows.offsets);
  owned->targets = std::move(rows.targets);
  owned->weights = std::move(rows.weights);

  const GraphSummary summary{.node_count = node_count,
                             .arc_count = owned->targets.size(),
                             .directed = directed,
                             .weighted = !owned->weights.empty()};
  return Graph(summary, PartBounds(node_count),
               {.first_node = 0,
                .offsets = std::as_const(owned->offsets).span(),
                .targets = std::as_const(owned->targets).span(),
                .weights = std::as_const(owned->weights).span(),
                .original = std::as_const(owned->original).span(),
                .owner = owned});
}

}  // namespace knotwork::partition
