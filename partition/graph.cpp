#include "partition/graph.h"

#include <algorithm>
#include <stdexcept>
#include <utility>

namespace knotwork::partition {

PartBounds::PartBounds(std::vector<GlobalNode> bounds) : bounds_(std::move(bounds)) {
  if (bounds_.size() < 2 || bounds_.front() != 0 || !std::is_sorted(bounds_.begin(), bounds_.end())) {
    throw std::invalid_argument("part bounds must start at 0, rise, and hold at least one part");
  }
}

Part PartBounds::part_of(GlobalNode node) const {
  const auto above = std::upper_bound(bounds_.begin(), bounds_.end(), node);
  return static_cast<Part>(above - bounds_.begin() - 1);
}

Graph::Graph(GraphSummary summary, PartBounds parts, GraphArrays arrays)
    : summary_(summary),
      parts_(std::move(parts)),
      arrays_(std::move(arrays)),
      last_node_(arrays_.first_node +
                 static_cast<GlobalNode>(arrays_.offsets.empty() ? 0 : arrays_.offsets.size() - 1)) {
  if (arrays_.offsets.empty() || arrays_.original.size() != row_count() ||
      arrays_.targets.size() != arrays_.offsets.back() ||
      (summary_.weighted && arrays_.weights.size() != arrays_.targets.size()) ||
      (parts_.part_count() > 1 && arrays_.degree_rank.size() != summary_.node_count)) {
    throw std::invalid_argument("graph arrays have inconsistent sizes");
  }
}

bool Graph::has_arc(GlobalNode node, GlobalNode target) const {
  const std::span<const GlobalNode> list = neighbours(node);
  const GlobalNode wanted = degree_rank(target);
  const auto found = std::lower_bound(list.begin(), list.end(), wanted,
                                      [this](GlobalNode held, GlobalNode rank) { return degree_rank(held) < rank; });
  return found != list.end() && *found == target;
}

}  // namespace knotwork::partition
