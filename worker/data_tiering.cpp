#include "worker/data_tiering.h"

#include <algorithm>
#include <numeric>

#include "worker/rank_arrays.h"

namespace knotwork::worker {

using cluster::Bytes;
using partition::GlobalNode;
using partition::Graph;

namespace {

/// Expected uses by global node.
using Uses = std::vector<float>;

float draws_of(const Graph& slice, GlobalNode node, std::uint32_t fan_out) {
  const std::uint32_t degree = slice.degree(node);
  return degree == 0 ? 0.0F : std::min(1.0F, static_cast<float>(fan_out) / static_cast<float>(degree));
}

/// Adds what this rank's nodes draw in a hop, at `now`, to `next`.
void add_draws(const Graph& slice, std::uint32_t fan_out, const Uses& now, Uses& next) {
  for (GlobalNode node = slice.first_node(); node < slice.last_node(); ++node) {
    if (now[node] == 0) continue;
    const float share = now[node] * draws_of(slice, node, fan_out);
    for (const GlobalNode target : slice.neighbours(node)) next[target] += share;
  }
}

/// Collective. Brings what each rank found of others' nodes to their owners; afterwards only own nodes have values.
void send_to_owners(cluster::Communicator& communicator, const DistributedGraph& graph, Uses& uses) {
  struct Entry {
    GlobalNode node;
    float uses;
  };
  std::vector<Bytes> to_each;
  for (std::size_t rank = 0; rank + 1 < graph.rank_bounds.size(); ++rank) {
    std::vector<Entry> entries;
    for (GlobalNode node = graph.rank_bounds[rank]; node < graph.rank_bounds[rank + 1]; ++node) {
      if (uses[node] == 0 || graph.slice.holds(node)) continue;
      entries.push_back({node, uses[node]});
      uses[node] = 0;
    }
    to_each.push_back(to_bytes(std::span<const Entry>(entries)));
  }
  for (const Bytes& bytes : communicator.exchange(to_each)) {
    for (const Entry& entry : from_bytes<Entry>(bytes)) uses[entry.node] += entry.uses;
  }
}

/// Collective. How all ranks' draws fall on all nodes: shares that add up to 1, on every rank.
Uses shares_of_draws(cluster::Communicator& communicator, const DistributedGraph& graph, const Uses& seeds,
                     std::span<const std::uint32_t> fan_outs) {
  Uses uses = seeds;
  for (const std::uint32_t fan_out : fan_outs) {
    Uses next = uses;
    add_draws(graph.slice, fan_out, uses, next);
    send_to_owners(communicator, graph, next);
    uses = std::move(next);
  }
  const std::span<const float> own(uses.data() + graph.slice.first_node(), graph.slice.row_count());
  Uses all = concatenate(communicator, own);
  const double sum = std::accumulate(all.begin(), all.end(), 0.0);
  for (float& value : all) value = sum > 0 ? static_cast<float>(value / sum) : 0.0F;
  return all;
}

}  // namespace

std::vector<GlobalNode> hot_remote_nodes(cluster::Communicator& communicator, const DistributedGraph& graph,
                                         std::span<const GlobalNode> seeds, std::span<const std::uint32_t> fan_outs,
                                         std::size_t count) {
  Uses uses(graph.slice.summary().node_count);
  for (const GlobalNode seed : seeds) uses[seed] += 1;
  const Uses shares = shares_of_draws(communicator, graph, uses, fan_outs);
  double drawn_elsewhere = 0;
  for (const std::uint32_t fan_out : fan_outs) {
    double destinations_elsewhere = 0;
    for (GlobalNode node = 0; node < uses.size(); ++node) {
      if (!graph.slice.holds(node)) destinations_elsewhere += uses[node];
    }
    // A node elsewhere draws as many as the average one; its degree is not known here.
    const double mean_degree = static_cast<double>(graph.slice.summary().arc_count) / static_cast<double>(uses.size());
    drawn_elsewhere += destinations_elsewhere * std::min(mean_degree, static_cast<double>(fan_out));
    Uses next = uses;
    add_draws(graph.slice, fan_out, uses, next);
    uses = std::move(next);
  }
  std::vector<GlobalNode> nodes;
  for (GlobalNode node = 0; node < uses.size(); ++node) {
    uses[node] += static_cast<float>(drawn_elsewhere * shares[node]);
    if (uses[node] > 0 && !graph.slice.holds(node)) nodes.push_back(node);
  }
  if (nodes.size() > count) {
    const auto hotter = [&](GlobalNode a, GlobalNode b) { return uses[a] != uses[b] ? uses[a] > uses[b] : a < b; };
    std::ranges::nth_element(nodes, nodes.begin() + static_cast<std::ptrdiff_t>(count), hotter);
    nodes.resize(count);
    std::ranges::sort(nodes);
  }
  return nodes;
}

}  // namespace knotwork::worker
