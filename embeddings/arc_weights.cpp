#include "embeddings/arc_weights.h"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <limits>
#include <span>
#include <string>

#include "partition/errors.h"

namespace knotwork::embeddings {

namespace {

// Returns whether the row's weights can be sampled from.
bool fill_row(std::span<const float> weights, std::span<std::uint32_t> shares) {
  double total = 0.0;
  for (const float weight : weights) {
    if (!(weight >= 0.0F) || !std::isfinite(weight)) return false;
    total += weight;
  }
  if (weights.empty()) return true;
  if (total <= 0.0) return false;
  double sum = 0.0;
  for (std::size_t k = 0; k < weights.size(); ++k) {
    sum += weights[k];
    const double end = std::min(std::floor(sum / total * 0x1.0p32), 0x1.0p32);
    // An arc whose share rounds to nothing keeps its predecessor's end and is never drawn; the first arc has none, so
    // it keeps the one number 0.
    shares[k] = static_cast<std::uint32_t>(std::max(end, 1.0) - 1.0);
  }
  shares.back() = std::numeric_limits<std::uint32_t>::max();
  return true;
}

}  // namespace

partition::HugeArray<std::uint32_t> cumulative_shares(const partition::Graph& graph) {
  partition::HugeArray<std::uint32_t> shares(graph.arrays().targets.size());
  const auto& offsets = graph.arrays().offsets;
  std::atomic<std::uint64_t> bad_node{partition::kInvalidNode};
  const auto rows = static_cast<std::int64_t>(graph.row_count());
#pragma omp parallel for schedule(dynamic, 4096)
  for (std::int64_t row = 0; row < rows; ++row) {
    const auto node = static_cast<partition::GlobalNode>(graph.first_node() + row);
    if (!fill_row(graph.weights(node), shares.span().subspan(offsets[row], graph.degree(node)))) bad_node = node;
  }
  if (bad_node != partition::kInvalidNode) {
    throw partition::InputError("arc weights of node number " +
                                std::to_string(graph.original(static_cast<partition::GlobalNode>(bad_node.load()))) +
                                ": expected finite weights that are not negative and not all 0");
  }
  return shares;
}

}  // namespace knotwork::embeddings
