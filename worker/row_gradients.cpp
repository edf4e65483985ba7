#include "worker/row_gradients.h"

#include <algorithm>
#include <cstring>
#include <tsl/robin_map.h>
#include <vector>

#include "worker/rank_arrays.h"

namespace knotwork::worker {

using cluster::Bytes;
using partition::GlobalNode;

namespace {

/// Rows and their sums, in order of appearance.
class Sums {
 public:
  explicit Sums(std::size_t dim) : dim_(dim) {}

  void add(GlobalNode node, const float* gradient) {
    const auto [at, is_new] = places_.insert({node, rows_.size()});
    if (is_new) {
      rows_.push_back(node);
      values_.insert(values_.end(), gradient, gradient + dim_);
      return;
    }
    float* const sum = values_.data() + at->second * dim_;
    for (std::size_t c = 0; c < dim_; ++c) sum[c] += gradient[c];
  }
  std::span<const ps::RowIndex> rows() const { return rows_; }
  std::span<const float> values() const { return values_; }

 private:
  std::size_t dim_;
  tsl::robin_map<GlobalNode, std::size_t> places_;
  std::vector<ps::RowIndex> rows_;
  std::vector<float> values_;
};

/// A message is its nodes, then their rows.
void add_message(const Bytes& message, std::size_t dim, Sums& sums) {
  const std::size_t row_bytes = dim * sizeof(float);
  const std::size_t count = message.size() / (sizeof(GlobalNode) + row_bytes);
  std::vector<float> gradient(dim);
  for (std::size_t i = 0; i < count; ++i) {
    GlobalNode node = 0;
    std::memcpy(&node, message.data() + i * sizeof(GlobalNode), sizeof(GlobalNode));
    std::memcpy(gradient.data(), message.data() + count * sizeof(GlobalNode) + i * row_bytes, row_bytes);
    sums.add(node, gradient.data());
  }
}

Bytes message_of(std::span<const std::uint32_t> places, std::span<const GlobalNode> nodes,
                 std::span<const float> gradients, std::size_t dim) {
  Bytes message(places.size() * (sizeof(GlobalNode) + dim * sizeof(float)));
  std::byte* to = message.data();
  for (const std::uint32_t place : places) {
    std::memcpy(to, &nodes[place], sizeof(GlobalNode));
    to += sizeof(GlobalNode);
  }
  for (const std::uint32_t place : places) {
    std::memcpy(to, gradients.data() + place * dim, dim * sizeof(float));
    to += dim * sizeof(float);
  }
  return message;
}

}  // namespace

GradientTraffic apply_row_gradients(cluster::Communicator& communicator, std::span<const GlobalNode> bounds,
                                    ps::Table& own, std::span<const GlobalNode> nodes, std::span<const float> gradients,
                                    float learning_rate, FrozenRows* frozen) {
  const std::size_t dim = own.dim();
  const auto apply = [&](std::span<const ps::RowIndex> rows, std::span<const float> values) {
    for (std::size_t i = 0; frozen != nullptr && i < rows.size(); ++i) frozen->before_change(rows[i]);
    own.apply_gradients(rows, values, learning_rate);
  };
  if (communicator.size() == 1) {
    apply(std::vector<ps::RowIndex>(nodes.begin(), nodes.end()), gradients);
    return {};
  }
  std::vector<std::vector<std::uint32_t>> places(bounds.size() - 1);
  for (std::uint32_t i = 0; i < nodes.size(); ++i) {
    const auto above = std::ranges::upper_bound(bounds.subspan(1), nodes[i]);
    places[static_cast<std::size_t>(above - bounds.begin() - 1)].push_back(i);
  }
  GradientTraffic traffic;
  std::vector<Bytes> to_each;
  for (std::size_t rank = 0; rank < places.size(); ++rank) {
    to_each.push_back(message_of(places[rank], nodes, gradients, dim));
    if (rank == static_cast<std::size_t>(communicator.rank())) continue;
    traffic.rows += places[rank].size();
    traffic.bytes += to_each.back().size();
  }
  Sums sums(dim);
  for (const Bytes& message : communicator.exchange(to_each)) add_message(message, dim, sums);
  apply(sums.rows(), sums.values());
  return traffic;
}

}  // namespace knotwork::worker
