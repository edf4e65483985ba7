// A batch that N ranks share changes rows as a batch of one rank does.
#include "worker/row_gradients.h"

#include <cmath>
#include <optional>
#include <span>
#include <vector>

#include <gtest/gtest.h>

#include "tests/unit/worker/graphs.h"
#include "worker/graph_distribution.h"

namespace knotwork::worker {
namespace {

using partition::GlobalNode;
using partition::Graph;

constexpr std::uint32_t kDim = 5;
constexpr GlobalNode kNodes = 120;

float gradient_of(int rank, int step, GlobalNode node, std::size_t column) {
  return std::sin(static_cast<float>(rank * 1000 + step * 100) + static_cast<float>(node) * 0.7F +
                  static_cast<float>(column));
}

/// Which nodes a rank's batch has: overlapping sets, some nodes in none.
bool has(int rank, int step, GlobalNode node) {
  return (node + static_cast<GlobalNode>(step)) % 3 != 0 && (node * 31 + static_cast<GlobalNode>(rank)) % 4 != 3;
}

/// A graph over all ranks, and this rank's rows of a table of learnt rows.
class RowGradientsTest : public ::testing::Test {
 protected:
  static DistributedGraph scattered() {
    const Graph parted = cut(block_graph(2, kNodes / 2, 4, 1), static_cast<partition::Part>(world().size()));
    return scatter_graph(world(), world().is_root() ? std::optional<Graph>(parted) : std::nullopt,
                         partition::NodeNames());
  }

  const DistributedGraph graph = scattered();
  const ps::RowRange range{graph.slice.first_node(), graph.slice.last_node()};
  ps::Table table{{.name = "ids", .row_count = kNodes, .dim = kDim, .optimizer = {.kind = ps::OptimizerKind::kAdam}},
                  range};
};

TEST_F(RowGradientsTest, one_step_of_adam_with_the_sum_of_all_ranks) {
  const int ranks = world().size();
  std::vector<double> row(kNodes * kDim), first(row), second(row), steps(kNodes);
  constexpr float kRate = 0.01F;
  std::uint64_t sent = 0;
  for (int step = 0; step < 4; ++step) {
    std::vector<GlobalNode> nodes;
    std::vector<float> gradients;
    for (GlobalNode node = 0; node < kNodes; ++node) {
      if (!has(world().rank(), step, node)) continue;
      nodes.push_back(node);
      for (std::size_t c = 0; c < kDim; ++c) gradients.push_back(gradient_of(world().rank(), step, node, c));
    }
    const GradientTraffic traffic = apply_row_gradients(world(), graph.rank_bounds, table, nodes, gradients, kRate);
    EXPECT_EQ(traffic.bytes, traffic.rows * (4 + 4 * kDim));
    sent += traffic.rows;
    for (GlobalNode node = 0; node < kNodes; ++node) {  // Kingma and Ba, algorithm 1, in double precision.
      bool any = false;
      for (int rank = 0; rank < ranks; ++rank) any |= has(rank, step, node);
      if (!any) continue;
      ++steps[node];
      for (std::size_t c = 0; c < kDim; ++c) {
        const std::size_t at = node * kDim + c;
        double sum = 0;
        for (int rank = 0; rank < ranks; ++rank) {
          if (has(rank, step, node)) sum += gradient_of(rank, step, node, c);
        }
        first[at] = 0.9 * first[at] + 0.1 * sum;
        second[at] = 0.999 * second[at] + 0.001 * sum * sum;
        row[at] -= kRate * first[at] / (1 - std::pow(0.9, steps[node])) /
                   (std::sqrt(second[at] / (1 - std::pow(0.999, steps[node]))) + 1e-8);
      }
    }
  }
  for (GlobalNode node = graph.slice.first_node(); node < graph.slice.last_node(); ++node) {
    for (std::size_t c = 0; c < kDim; ++c) EXPECT_NEAR(table.row(node)[c], row[node * kDim + c], 1e-5);
  }
  EXPECT_EQ(sent > 0, ranks > 1);
}

TEST_F(RowGradientsTest, rows_that_a_snapshot_is_still_to_read_are_set_aside) {
  for (GlobalNode node = graph.slice.first_node(); node < graph.slice.last_node(); ++node) {
    for (std::size_t c = 0; c < kDim; ++c) table.row(node)[c] = gradient_of(7, 0, node, c);
  }
  FrozenRows frozen(table);
  std::vector<GlobalNode> nodes;
  for (GlobalNode node = 0; node < kNodes; ++node) nodes.push_back(node);
  const std::vector<float> ones(std::size_t{kNodes} * kDim, 1.0F);
  for (int step = 0; step < 2; ++step) {
    apply_row_gradients(world(), graph.rank_bounds, table, nodes, ones, 0.01F, &frozen);
  }
  std::vector<float> values(range.size() * kDim);
  std::vector<float> state(range.size() * table.state_width());
  frozen.read_values(0, std::as_writable_bytes(std::span(values)));
  frozen.read_state(0, std::as_writable_bytes(std::span(state)));
  for (std::size_t i = 0; i < range.size(); ++i) {
    const auto node = static_cast<GlobalNode>(range.first + i);
    EXPECT_NE(table.row(node)[0], gradient_of(7, 0, node, 0));
    for (std::size_t c = 0; c < kDim; ++c) EXPECT_EQ(values[i * kDim + c], gradient_of(7, 0, node, c));
  }
  for (const float value : state) EXPECT_EQ(value, 0.0F);
}

}  // namespace
}  // namespace knotwork::worker
