// Count, rank, part, sort, mirror; see the header for the plan.
#include "partition/build_graph.h"

#ifdef _OPENMP
#include <omp.h>
#endif

#include <algorithm>
#include <array>
#include <atomic>
#include <cmath>
#include <memory>
#include <stdexcept>
#include <type_traits>
#include <utility>

#include "partition/arc_buckets.h"
#include "partition/distinct_rows.h"
#include "partition/worker_team.h"

namespace knotwork::partition {

namespace {

using Node = std::uint32_t;

/// A bucket's arcs and rows should lie in a second-level cache of 512 KiB.
constexpr std::uint64_t kArcsPerBucket = std::uint64_t{1} << 16;

unsigned team_size(unsigned threads) {
#ifdef _OPENMP
  return threads == 0 ? static_cast<unsigned>(omp_get_max_threads()) : threads;
#else
  static_cast<void>(threads);
  return 1;
#endif
}

// Every worker has a counter for each node: no more workers than let the counters take about the bytes of the result.
unsigned worker_count(unsigned team, std::uint64_t edges, OriginalNode node_count) {
  const std::uint64_t affordable = 3 + (2 * edges / std::max<std::uint64_t>(node_count, 1));
  return static_cast<unsigned>(std::min<std::uint64_t>(team, affordable));
}

bool is_usable_weight(float weight) {
  return weight > 0.0F && std::isfinite(weight);
}

struct RawDegrees {
  /// By original node; duplicates count.
  HugeArray<Node> degrees;
  std::uint64_t self_loops = 0;
};

// Counts the ends of a chunk's edges. Returns its number of self-loops.
std::uint64_t count_ends(const EdgeChunk& chunk, std::span<Node> degrees) {
  std::uint64_t self_loops = 0;
  bool bad = !std::all_of(chunk.weights.begin(), chunk.weights.end(), is_usable_weight);
  for (const Edge& edge : chunk.edges) {
    if (edge.source >= degrees.size() || edge.target >= degrees.size()) {
      bad = true;
    } else if (edge.source == edge.target) {
      ++self_loops;
    } else {
      ++degrees[edge.source];
      ++degrees[edge.target];
    }
  }
  if (bad) {
    throw std::invalid_argument("an edge has a node beyond the node count or a weight that is not positive and finite");
  }
  return self_loops;
}

// Step 1.
RawDegrees raw_degrees(const EdgeArrays& edges, OriginalNode node_count, unsigned workers) {
  std::vector<HugeArray<Node>> own;
  for (unsigned w = 0; w < workers; ++w) own.emplace_back(node_count);
  std::atomic<std::uint64_t> self_loops{0};
  share_among_workers(workers, edges.chunks.size(), [&](unsigned worker, std::size_t chunk) {
    self_loops += count_ends(edges.chunks[chunk], own[worker].span());
  });
#pragma omp parallel for num_threads(static_cast <int>(workers))
  for (std::size_t node = 0; node < node_count; ++node) {
    for (unsigned w = 1; w < workers; ++w) own[0][node] += own[w][node];
  }
  return {std::move(own[0]), self_loops.load()};
}

struct Ranking {
  /// Original node of each rank, and back.
  HugeArray<OriginalNode> original;
  HugeArray<Node> rank;
  /// By rank.
  HugeArray<Node> degrees;
};

// Step 2. Nodes by falling degree, ties by smaller node: a counting sort.
Ranking ranked_by(const HugeArray<Node>& degrees) {
  const Node highest = degrees.empty() ? 0 : *std::max_element(degrees.begin(), degrees.end());
  HugeArray<Node> next(std::size_t{highest} + 1);
  for (const Node degree : degrees) ++next[highest - degree];
  Node start = 0;
  for (Node& entry : next) start += std::exchange(entry, start);
  Ranking ranking{HugeArray<OriginalNode>(degrees.size()), HugeArray<Node>(degrees.size()),
                  HugeArray<Node>(degrees.size())};
  for (std::size_t node = 0; node < degrees.size(); ++node) {
    const Node rank = next[highest - degrees[node]]++;
    ranking.original[rank] = static_cast<OriginalNode>(node);
    ranking.rank[node] = rank;
    ranking.degrees[rank] = degrees[node];
  }
  return ranking;
}

// The arc under which an edge between ranks is stored: an undirected edge lies in the row of its lesser node, so that
// rows of hubs are short.
template <typename ArcType>
ArcType stored_arc(Node source, Node target, bool directed, float weight) {
  // Not std::max: compilers make a branch of it, which is guessed wrong every other time.
  const Node swap = (source ^ target) & (Node{0} - static_cast<Node>(!directed && source < target));
  if constexpr (std::is_same_v<ArcType, WeightedArc>) {
    return {source ^ swap, target ^ swap, weight};
  } else {
    static_cast<void>(weight);
    return {source ^ swap, target ^ swap};
  }
}

// Pushes the arcs of a chunk. Ranks are looked up for some edges before the first of them is pushed, so that many of
// these random reads are under way at a time. Self-loops are left out.
template <typename ArcType>
void push_chunk(const EdgeChunk& chunk, const Ranking& ranking, bool directed, const RowBuckets& buckets,
                typename ArcBuckets<ArcType>::Writer& writer) {
  constexpr std::size_t kBatch = 64;
  std::array<ArcType, kBatch> batch;
  for (std::size_t begin = 0; begin < chunk.edges.size(); begin += kBatch) {
    const std::size_t count = std::min(kBatch, chunk.edges.size() - begin);
    for (std::size_t i = 0; i < count; ++i) {
      const auto [source, target] = chunk.edges[begin + i];
      const float weight = chunk.weights.empty() ? 1.0F : chunk.weights[begin + i];
      batch[i] = stored_arc<ArcType>(ranking.rank[source], ranking.rank[target], directed, weight);
    }
    for (std::size_t i = 0; i < count; ++i) {
      if (batch[i].row != batch[i].target) writer.push(buckets.bucket_of(batch[i].row), batch[i]);
    }
  }
}

// Step 3. Rows of distinct arcs between ranks. Frees the edges on the way, then what else is not needed any more: of
// the ranking only the original nodes stay.
template <typename ArcType>
DistinctRows rows_of_edges(EdgeArrays&& edges, Ranking& ranking, bool directed, unsigned workers) {
  const RowBuckets buckets(std::as_const(ranking.degrees).span(), kArcsPerBucket);
  ArcBuckets<ArcType> arcs(buckets.count(), workers, edges.edge_count());
  share_among_workers(workers, edges.chunks.size(), [&](unsigned worker, std::size_t c) {
    const EdgeChunk chunk = std::move(edges.chunks[c]);
    push_chunk<ArcType>(chunk, ranking, directed, buckets, arcs.writer(worker));
  });
  edges.chunks.clear();
  ranking.rank = {};
  ranking.degrees = {};
  return distinct_rows(buckets, std::move(arcs), workers);
}

// Degrees by rank after merging: in plus out.
HugeArray<Node> merged_degrees(const DistinctRows& distinct, [[maybe_unused]] unsigned workers) {
  HugeArray<Node> degrees(distinct.rows.count());
#pragma omp parallel for num_threads(static_cast <int>(workers))
  for (std::size_t rank = 0; rank < degrees.size(); ++rank) {
    degrees[rank] = distinct.rows.kept[rank];
    for (const HugeArray<Node>& incoming : distinct.incoming) degrees[rank] += incoming[rank];
  }
  return degrees;
}

bool is_ranking(const HugeArray<Node>& degrees, const HugeArray<OriginalNode>& original) {
  for (std::size_t rank = 1; rank < degrees.size(); ++rank) {
    if (degrees[rank - 1] < degrees[rank]) return false;
    if (degrees[rank - 1] == degrees[rank] && original[rank - 1] > original[rank]) return false;
  }
  return true;
}

// Frees the arcs of rows that a worker has left behind, some huge pages at a time.
class LeftRows {
 public:
  LeftRows(Rows& rows, ArcIndex begin) : rows_(rows), begin_(begin) {}

  /// Arcs before `end` are not needed any more.
  void leave(ArcIndex end) {
    constexpr ArcIndex kStep = ArcIndex{1} << 21;
    if (end - begin_ < kStep) return;
    // Arrays are aligned: a page ends at every multiple of kStep, so none is kept for having been cut in two.
    const ArcIndex last = end / kStep * kStep;
    rows_.targets.forget(begin_, last);
    if (!rows_.weights.empty()) rows_.weights.forget(begin_, last);
    begin_ = last;
  }

 private:
  Rows& rows_;
  ArcIndex begin_;
};

// Step 4, only if merging changed the order of degrees: new ranks, and the rows once more by these.
template <typename ArcType>
DistinctRows reranked(DistinctRows&& old, const HugeArray<Node>& degrees, Ranking& ranking, bool directed,
                      unsigned workers) {
  HugeArray<Node> by_node(degrees.size());
  for (std::size_t rank = 0; rank < degrees.size(); ++rank) by_node[ranking.original[rank]] = degrees[rank];
  const Ranking former = std::exchange(ranking, ranked_by(by_node));
  old.incoming.clear();
  const auto new_rank = [&](Node rank) { return ranking.rank[former.original[rank]]; };

  const RowBuckets buckets(std::as_const(ranking.degrees).span(), kArcsPerBucket);
  ArcBuckets<ArcType> arcs(buckets.count(), workers, old.rows.targets.size() - old.merged);
  for_each_worker(workers, [&](unsigned worker) {
    auto& writer = arcs.writer(worker);
    LeftRows left(old.rows, old.rows.offsets[old.first_rows[worker]]);
    for (Node row = old.first_rows[worker]; row < old.first_rows[worker + 1]; ++row) {
      const ArcIndex begin = old.rows.offsets[row];
      for (ArcIndex i = begin; i < begin + old.rows.kept[row]; ++i) {
        const float weight = old.rows.weights.empty() ? 1.0F : old.rows.weights[i];
        const auto arc = stored_arc<ArcType>(new_rank(row), new_rank(old.rows.targets[i]), directed, weight);
        writer.push(buckets.bucket_of(arc.row), arc);
      }
      left.leave(begin);
    }
  });
  old = DistinctRows{};
  ranking.rank = {};
  ranking.degrees = {};
  return distinct_rows(buckets, std::move(arcs), workers);
}

// Allocates rows of the given lengths.
Rows rows_for(HugeArray<Node>&& lengths, bool weighted) {
  Rows rows;
  rows.offsets = HugeArray<ArcIndex>(lengths.size() + 1);
  for (std::size_t row = 0; row < lengths.size(); ++row) rows.offsets[row + 1] = rows.offsets[row] + lengths[row];
  rows.targets = HugeArray<Node>(rows.offsets[lengths.size()]);
  if (weighted) rows.weights = HugeArray<float>(rows.targets.size());
  rows.kept = std::move(lengths);
  return rows;
}

// Step 5 for directed graphs: closes the gaps that merging left.
Rows packed(DistinctRows&& distinct, [[maybe_unused]] unsigned workers) {
  if (distinct.merged == 0) return std::move(distinct.rows);
  const Rows loose = std::move(distinct.rows);
  HugeArray<Node> lengths(loose.count());
  std::copy(loose.kept.begin(), loose.kept.end(), lengths.begin());
  Rows rows = rows_for(std::move(lengths), !loose.weights.empty());
#pragma omp parallel for num_threads(static_cast <int>(workers))
  for (std::size_t row = 0; row < loose.count(); ++row) {
    std::copy_n(loose.targets.data() + loose.offsets[row], loose.kept[row], rows.targets.data() + rows.offsets[row]);
    if (loose.weights.empty()) continue;
    std::copy_n(loose.weights.data() + loose.offsets[row], loose.kept[row], rows.weights.data() + rows.offsets[row]);
  }
  return rows;
}

// Stores reversed arcs. They wait in a small batch while their cache lines are fetched: stores leave a core in order,
// so that one that misses would hold up all behind it.
class ReversedArcs {
 public:
  explicit ReversedArcs(Rows& rows) : rows_(rows) {}
  ReversedArcs(const ReversedArcs&) = delete;
  ReversedArcs& operator=(const ReversedArcs&) = delete;
  ~ReversedArcs() { flush(); }

  void store(ArcIndex place, Node target, float weight) {
    __builtin_prefetch(&rows_.targets[place], 1);
    if (!rows_.weights.empty()) __builtin_prefetch(&rows_.weights[place], 1);
    batch_[used_++] = {place, target, weight};
    if (used_ == batch_.size()) flush();
  }

 private:
  struct Waiting {
    ArcIndex place;
    Node target;
    float weight;
  };

  void flush() {
    for (std::size_t i = 0; i < used_; ++i) {
      rows_.targets[batch_[i].place] = batch_[i].target;
      if (!rows_.weights.empty()) rows_.weights[batch_[i].place] = batch_[i].weight;
    }
    used_ = 0;
  }

  Rows& rows_;
  std::array<Waiting, 64> batch_;
  std::size_t used_ = 0;
};

// Step 5 for undirected graphs: each arc goes into the rows of both its nodes. A row holds the node's own arcs (to
// lower ranks, sorted) and behind them the reversed arcs of higher ranks, which arrive in rising order: no sort.
Rows mirrored(DistinctRows&& distinct, HugeArray<Node>&& degrees, unsigned workers) {
  const Rows& half = distinct.rows;
  const bool weighted = !half.weights.empty();
  Rows rows = rows_for(std::move(degrees), weighted);
  // From counts to where in the row each worker's reversed arcs begin.
#pragma omp parallel for num_threads(static_cast <int>(workers))
  for (std::size_t row = 0; row < half.count(); ++row) {
    Node next = half.kept[row];
    for (HugeArray<Node>& incoming : distinct.incoming) next += std::exchange(incoming[row], next);
  }
  for_each_worker(workers, [&](unsigned worker) {
    const std::span<Node> filled = distinct.incoming[worker].span();
    ReversedArcs reversed(rows);
    for (Node row = distinct.first_rows[worker]; row < distinct.first_rows[worker + 1]; ++row) {
      const ArcIndex begin = half.offsets[row];
      const std::size_t length = half.kept[row];
      std::copy_n(half.targets.data() + begin, length, rows.targets.data() + rows.offsets[row]);
      if (weighted) std::copy_n(half.weights.data() + begin, length, rows.weights.data() + rows.offsets[row]);
      for (ArcIndex arc = begin; arc < begin + length; ++arc) {
        const Node target = half.targets[arc];
        reversed.store(rows.offsets[target] + filled[target]++, row, weighted ? half.weights[arc] : 1.0F);
      }
    }
  });
  return rows;
}

struct RankedRows {
  Rows rows;
  HugeArray<OriginalNode> original;
};

template <typename ArcType>
RankedRows ranked_rows(EdgeArrays&& edges, OriginalNode node_count, bool directed, BuildReport& report, unsigned team) {
  const unsigned workers = worker_count(team, edges.edge_count(), node_count);
  Ranking ranking;
  {
    const RawDegrees raw = raw_degrees(edges, node_count, workers);
    report.self_loops_dropped = raw.self_loops;
    ranking = ranked_by(raw.degrees);
  }
  DistinctRows distinct = rows_of_edges<ArcType>(std::move(edges), ranking, directed, workers);
  report.duplicates_merged = distinct.merged;
  HugeArray<Node> degrees = merged_degrees(distinct, workers);
  if (!is_ranking(degrees, ranking.original)) {
    distinct = reranked<ArcType>(std::move(distinct), degrees, ranking, directed, workers);
    degrees = merged_degrees(distinct, workers);
  }
  Rows rows =
      directed ? packed(std::move(distinct), workers) : mirrored(std::move(distinct), std::move(degrees), workers);
  return {std::move(rows), std::move(ranking.original)};
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
  const unsigned team = team_size(threads);
  const bool weighted = !edges.chunks.empty() && !edges.chunks.front().weights.empty();
  auto [rows, original] = weighted ? ranked_rows<WeightedArc>(std::move(edges), node_count, directed, report, team)
                                   : ranked_rows<PlainArc>(std::move(edges), node_count, directed, report, team);
  const auto owned = std::make_shared<OwnedArrays>();
  owned->original = std::move(original);
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
