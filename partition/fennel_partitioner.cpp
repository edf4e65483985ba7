#include "partition/fennel_partitioner.h"

#include <algorithm>
#include <cmath>

namespace knotwork::partition {

namespace {

constexpr double kGamma = 1.5;
/// Passes over the stream: the cut falls steeply over the first few and little after.
constexpr int kPasses = 10;

/// Nodes in breadth-first order from the highest-degree node of each component: a node comes when some of its
/// neighbours have a part already, which the first pass lives on.
std::vector<GlobalNode> breadth_first_order(const SymmetricView& graph) {
  std::vector<GlobalNode> order;
  order.reserve(graph.node_count);
  std::vector<bool> seen(graph.node_count, false);
  for (GlobalNode root = 0; root < graph.node_count; ++root) {
    if (seen[root]) continue;
    seen[root] = true;
    order.push_back(root);
    for (std::size_t head = order.size() - 1; head < order.size(); ++head) {
      for (const GlobalNode target : graph.neighbours(order[head])) {
        if (seen[target]) continue;
        seen[target] = true;
        order.push_back(target);
      }
    }
  }
  return order;
}

/// The state of a stream: who is where, how full the parts are, and what a neighbour in each part counts.
class FennelStream {
 public:
  FennelStream(const SymmetricView& graph, const PartitionOptions& options)
      : graph_(graph),
        capacity_(part_capacity(graph.node_count, options)),
        part_of_(graph.node_count, kInvalidPart),
        sizes_(options.parts, 0),
        held_(options.parts, 0.0) {
    const double nodes = graph.node_count;
    double edges = static_cast<double>(graph.targets.size()) / 2;
    if (!graph.weights.empty()) {
      edges = 0;
      for (const float weight : graph.weights) edges += weight;
      edges /= 2;
    }
    alpha_ = std::sqrt(static_cast<double>(options.parts)) * edges / (nodes * std::sqrt(nodes));
  }

  void place(GlobalNode node) {
    if (part_of_[node] != kInvalidPart) --sizes_[part_of_[node]];
    const ArcIndex first = graph_.offsets[node];
    for (ArcIndex arc = first; arc < graph_.offsets[node + 1]; ++arc) {
      const Part part = part_of_[graph_.targets[arc]];
      if (part == kInvalidPart) continue;
      if (held_[part] == 0) touched_.push_back(part);
      held_[part] += graph_.weights.empty() ? 1.0 : static_cast<double>(graph_.weights[arc]);
    }
    const Part best = best_part();
    for (const Part part : touched_) held_[part] = 0;
    touched_.clear();
    ++sizes_[best];
    part_of_[node] = best;
  }

  std::vector<Part> take_parts() { return std::move(part_of_); }

 private:
  /// Ties go to the emptier, then to the smaller part.
  Part best_part() const {
    Part best = kInvalidPart;
    double best_score = 0;
    for (Part part = 0; part < sizes_.size(); ++part) {
      if (sizes_[part] >= capacity_) continue;
      const double score = held_[part] - alpha_ * kGamma * std::sqrt(static_cast<double>(sizes_[part]));
      const bool better =
          best == kInvalidPart || score > best_score || (score == best_score && sizes_[part] < sizes_[best]);
      if (!better) continue;
      best = part;
      best_score = score;
    }
    return best;
  }

  const SymmetricView& graph_;
  std::uint64_t capacity_;
  double alpha_ = 0;
  std::vector<Part> part_of_;
  std::vector<std::uint64_t> sizes_;
  /// Weight of the node's neighbours in each part; zero except while a node is being placed.
  std::vector<double> held_;
  std::vector<Part> touched_;
};

}  // namespace

std::uint64_t part_capacity(std::uint64_t node_count, const PartitionOptions& options) {
  const std::uint64_t needed = (node_count + options.parts - 1) / options.parts;
  const double allowed = (1 + options.imbalance) * static_cast<double>(node_count) / options.parts;
  return std::max(needed, static_cast<std::uint64_t>(allowed));
}

std::vector<Part> fennel_partition(const SymmetricView& graph, const PartitionOptions& options) {
  static_assert(kGamma == 1.5, "best_part takes the square root for |S|^(gamma - 1)");
  const std::vector<GlobalNode> order = breadth_first_order(graph);
  FennelStream stream(graph, options);
  for (int pass = 0; pass < kPasses; ++pass) {
    for (const GlobalNode node : order) stream.place(node);
  }
  return stream.take_parts();
}

}  // namespace knotwork::partition
