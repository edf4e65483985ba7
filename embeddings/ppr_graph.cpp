#include "embeddings/ppr_graph.h"

#include <algorithm>
#include <memory>
#include <stdexcept>

#include "partition/errors.h"

namespace knotwork::embeddings {

using partition::ArcIndex;
using partition::GraphArrays;
using partition::GraphSummary;
using partition::HugeArray;
using partition::PartBounds;

namespace {

struct Storage {
  HugeArray<ArcIndex> offsets;
  HugeArray<GlobalNode> targets;
  HugeArray<float> weights;
  HugeArray<OriginalNode> original;

  Storage(std::size_t nodes, const GraphSummary& summary)
      : offsets(nodes + 1),
        targets(summary.arc_count),
        weights(summary.weighted ? summary.arc_count : 0),
        original(nodes) {}
};

Graph graph_of(const std::shared_ptr<Storage>& storage, const GraphSummary& summary) {
  const Storage& kept = *storage;
  return Graph(summary, PartBounds(static_cast<GlobalNode>(summary.node_count)),
               {.first_node = 0,
                .offsets = kept.offsets.span(),
                .targets = kept.targets.span(),
                .weights = kept.weights.span(),
                .original = kept.original.span(),
                .degree_rank = {},
                .owner = storage});
}

float strength_of(const Graph& graph, GlobalNode node, bool weighted) {
  if (graph.degree(node) == 0) return 1.0F;
  if (!weighted) return static_cast<float>(graph.degree(node));
  double sum = 0;
  for (const float weight : graph.weights(node)) sum += weight;
  return static_cast<float>(sum);
}

}  // namespace

Graph in_rank_order(const Graph& whole) {
  if (!whole.is_whole()) throw std::invalid_argument("personalized PageRank needs a whole graph");
  if (whole.parts().part_count() == 1) return whole;
  const GlobalNode nodes = whole.row_count();
  std::vector<GlobalNode> node_of_rank(nodes);
  for (GlobalNode node = 0; node < nodes; ++node) node_of_rank[whole.degree_rank(node)] = node;
  auto storage = std::make_shared<Storage>(nodes, whole.summary());
  for (GlobalNode rank = 0; rank < nodes; ++rank) {
    storage->offsets[rank + std::size_t{1}] = storage->offsets[rank] + whole.degree(node_of_rank[rank]);
    storage->original[rank] = whole.original(node_of_rank[rank]);
  }
#pragma omp parallel for schedule(dynamic, 4096)
  for (GlobalNode rank = 0; rank < nodes; ++rank) {
    const GlobalNode node = node_of_rank[rank];
    const ArcIndex first = storage->offsets[rank];
    std::ranges::transform(whole.neighbours(node), storage->targets.data() + first,
                           [&](GlobalNode target) { return whole.degree_rank(target); });
    if (whole.summary().weighted) std::ranges::copy(whole.weights(node), storage->weights.data() + first);
  }
  return graph_of(storage, whole.summary());
}

Graph transposed(const Graph& graph) {
  const GlobalNode nodes = graph.row_count();
  const GraphArrays& arrays = graph.arrays();
  auto storage = std::make_shared<Storage>(nodes, graph.summary());
  std::ranges::copy(arrays.original, storage->original.data());
  for (const GlobalNode target : arrays.targets) ++storage->offsets[target + std::size_t{1}];
  for (GlobalNode node = 0; node < nodes; ++node) storage->offsets[node + std::size_t{1}] += storage->offsets[node];
  std::vector<ArcIndex> next(storage->offsets.begin(), storage->offsets.end() - 1);
  for (GlobalNode node = 0; node < nodes; ++node) {
    for (ArcIndex arc = arrays.offsets[node]; arc < arrays.offsets[node + std::size_t{1}]; ++arc) {
      const ArcIndex place = next[arrays.targets[arc]]++;
      storage->targets[place] = node;
      if (graph.summary().weighted) storage->weights[place] = arrays.weights[arc];
    }
  }
  return graph_of(storage, graph.summary());
}

TransitionGraph::TransitionGraph(const Graph& whole, bool weighted)
    : weighted_(weighted),
      out_(in_rank_order(whole)),
      in_(out_.summary().directed ? transposed(out_) : out_),
      strengths_(out_.row_count()),
      inverse_strengths_(out_.row_count()) {
  if (weighted && !out_.summary().weighted) {
    throw partition::InputError(
        "weighted PageRank was asked for, but the graph has no weights; expected a third column");
  }
  for (GlobalNode node = 0; node < node_count(); ++node) {
    strengths_[node] = strength_of(out_, node, weighted);
    inverse_strengths_[node] = 1.0F / strengths_[node];
    if (is_dangling(node)) dangling_.push_back(node);
  }
}

}  // namespace knotwork::embeddings
