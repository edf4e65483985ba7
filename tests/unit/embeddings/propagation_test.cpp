// The product against a plain loop (to the bit) and a dense product in double; blocks, storage, runs of rows, scales.
#include "embeddings/propagation.h"

#include <bit>
#include <cmath>
#include <cstdint>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <hwy/targets.h>

#include "partition/build_graph.h"
#include "partition/errors.h"
#include "partition/random.h"

namespace knotwork::embeddings {
namespace {

using partition::Edge;
using partition::Graph;

float random_float(std::uint32_t a, std::uint32_t b) {
  return partition::unit_float(partition::random_block(5, partition::RandomPurpose::kGenerate, a, b, 9)[0]) - 0.5F;
}

/// A graph with a hub, a node without edges, and a pair apart from the rest.
Graph odd_graph(bool weighted, bool directed = false) {
  constexpr std::uint32_t kNodes = 90;
  std::vector<Edge> edges;
  std::vector<float> weights;
  for (std::uint32_t node = 1; node < 80; ++node) {
    edges.push_back({0, node});
    edges.push_back({node, 1 + (node * 7) % 79});
    edges.push_back({node, 1 + (node * 31 + 5) % 79});
  }
  edges.push_back({87, 88});
  for (std::size_t i = 0; i < edges.size(); ++i) weights.push_back(0.3F + static_cast<float>(i % 11));
  partition::BuildReport report;
  auto arrays = weighted ? partition::EdgeArrays::copy_of(edges, weights) : partition::EdgeArrays::copy_of(edges);
  return partition::build_graph(std::move(arrays), kNodes, directed, report);
}

struct Case {
  std::size_t width;
  BlockStorage storage;
  bool weighted;
};

class Product : public ::testing::TestWithParam<Case> {};

float stored(float value, BlockStorage storage) {
  if (storage == BlockStorage::kFloat32) return value;
  const auto bits = std::bit_cast<std::uint32_t>(value);
  // Nearest by the definition: of the two neighbours in the upper half, the closer; the even one if both are.
  const std::uint32_t down = bits & 0xffff0000U;
  const std::uint32_t rest = bits & 0xffffU;
  const bool up = rest > 0x8000U || (rest == 0x8000U && ((bits >> 16) & 1U) == 1U);
  return std::bit_cast<float>(up ? down + 0x10000U : down);
}

TEST_P(Product, IsAPlainLoopToTheBit) {
  const auto [width, storage, weighted] = GetParam();
  const Graph graph = odd_graph(weighted);
  const std::size_t rows = graph.row_count();
  const PropagationPlan plan{.columns = width, .taps = std::vector<Tap>(2), .weighted = weighted, .self_weight = 0.25};
  const NodeScales scales = node_scales(graph, plan, {});
  ColumnBlock source(rows, width, storage);
  ColumnBlock origin(rows, width, storage);
  ColumnBlock result(rows, width, storage);
  std::vector<float> x(rows * width);
  std::vector<float> x0(rows * width);
  for (std::size_t i = 0; i < x.size(); ++i) {
    x[i] = random_float(static_cast<std::uint32_t>(i), 1);
    x0[i] = random_float(static_cast<std::uint32_t>(i), 2);
  }
  for (std::size_t row = 0; row < rows; ++row) {
    store_row(std::span(x).subspan(row * width, width), source, row);
    store_row(std::span(x0).subspan(row * width, width), origin, row);
  }
  std::vector<float> collected(rows * width, 2.0F);
  std::vector<float> expected_collected(rows * width, 2.0F);
  std::vector<float> collected_scale(rows);
  for (std::size_t row = 0; row < rows; ++row) collected_scale[row] = 1.0F + static_cast<float>(row) / 7.0F;
  const ProductStep step{
      .offsets = graph.arrays().offsets,
      .targets = graph.arrays().targets,
      .weights = graph.arrays().weights,
      .scale = scales.product,
      .self_weight = 0.25F,
      .restart_weight = 0.125F,
      .source = &source,
      .origin = &origin,
      .result = &result,
      .collected = {
          .values = collected.data(), .stride = width, .weight = 6.67F, .scale = collected_scale, .adds = true}};
  std::vector<float> expected(rows * width);
  for (std::uint32_t row = 0; row < rows; ++row) {
    for (std::size_t c = 0; c < width; ++c) {
      // volatile: every operation rounds on its own.
      volatile float sum = 0;
      for (std::size_t k = 0; k < graph.degree(row); ++k) {
        volatile float term = stored(x[graph.neighbours(row)[k] * width + c], storage);
        if (weighted) term = graph.weights(row)[k] * term;
        sum = sum + term;
      }
      volatile float own = 0.25F * stored(x[row * width + c], storage);
      sum = sum + own;
      sum = scales.product[row] * sum;
      volatile float back = 0.125F * stored(x0[row * width + c], storage);
      sum = sum + back;
      expected[row * width + c] = stored(sum, storage);
      volatile float kept = collected_scale[row] * sum;
      kept = 6.67F * kept;
      kept = 2.0F + kept;
      expected_collected[row * width + c] = kept;
    }
  }
  // Every instruction set of this machine gives the same bits.
  for (const std::int64_t target : hwy::SupportedAndGeneratedTargets()) {
    hwy::SetSupportedTargetsForTest(target);
    std::fill(collected.begin(), collected.end(), 2.0F);
    multiply(step, balanced_runs(graph.arrays().offsets, 50), 2);
    hwy::SetSupportedTargetsForTest(0);
    std::vector<float> row_values(width);
    for (std::size_t row = 0; row < rows; ++row) {
      load_row(result, row, row_values);
      for (std::size_t c = 0; c < width; ++c) {
        ASSERT_EQ(row_values[c], expected[row * width + c]) << hwy::TargetName(target) << " row " << row;
        ASSERT_EQ(collected[row * width + c], expected_collected[row * width + c]) << hwy::TargetName(target);
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(
    Blocks, Product,
    ::testing::Values(Case{16, BlockStorage::kFloat32, false}, Case{16, BlockStorage::kFloat32, true},
                      Case{32, BlockStorage::kFloat32, false}, Case{64, BlockStorage::kFloat32, true},
                      Case{16, BlockStorage::kBfloat16, false}, Case{32, BlockStorage::kBfloat16, true},
                      Case{64, BlockStorage::kBfloat16, false}));

TEST(NodeScales, RandomWalkAndSymmetric) {
  const Graph graph = odd_graph(true);
  const NodeScales walk = node_scales(graph, {.taps = {{}, {}}, .weighted = true, .degree_exponent = -0.5}, {});
  const NodeScales symmetric =
      node_scales(graph, {.taps = {{}, {}}, .weighted = true, .symmetric = true, .self_weight = 1, .damping = 0.9}, {});
  EXPECT_TRUE(walk.collected.empty());
  std::uint64_t isolated = 0;
  for (std::uint32_t row = 0; row < graph.row_count(); ++row) {
    double strength = 0;
    for (const float weight : graph.weights(row)) strength += weight;
    isolated += strength == 0;
    EXPECT_FLOAT_EQ(walk.product[row], strength == 0 ? 0.0F : static_cast<float>(1 / strength));
    EXPECT_FLOAT_EQ(walk.initial[row], strength == 0 ? 1.0F : static_cast<float>(1 / std::sqrt(strength)));
    EXPECT_FLOAT_EQ(symmetric.product[row], static_cast<float>(0.9 / (strength + 1)));
    EXPECT_FLOAT_EQ(symmetric.initial[row] * symmetric.collected[row], 1.0F);
  }
  EXPECT_EQ(walk.isolated, isolated);
  EXPECT_EQ(isolated, 8U);
}

TEST(NodeScales, DirectedDegreesAreThoseOfArcsThatLeadHere) {
  const Graph graph = odd_graph(false, true);
  std::vector<std::uint64_t> arcs_to(graph.row_count());
  for (const auto target : graph.arrays().targets) ++arcs_to[target];
  const NodeScales scales = node_scales(graph, {.taps = {{}, {}}, .degree_exponent = -1}, arcs_to);
  for (std::uint32_t row = 0; row < graph.row_count(); ++row)
    EXPECT_FLOAT_EQ(scales.initial[row], arcs_to[row] == 0 ? 1.0F : 1.0F / static_cast<float>(arcs_to[row]));
}

TEST(NodeScales, RefusesWeightsThatFloatsCannotAddUp) {
  for (const float weight : {1e-38F, 3e38F}) {
    partition::BuildReport report;
    const std::vector<Edge> edges{{0, 1}, {1, 2}};
    const std::vector<float> weights{1.0F, weight};
    const Graph graph = partition::build_graph(partition::EdgeArrays::copy_of(edges, weights), 3, false, report);
    try {
      node_scales(graph, {.taps = {{}, {}}, .weighted = true}, {});
      FAIL() << weight;
    } catch (const partition::InputError& error) {
      EXPECT_THAT(error.what(), ::testing::HasSubstr("scale all weights"));
    }
  }
}

TEST(BalancedRuns, CoverAllRowsOnce) {
  const Graph graph = odd_graph(false);
  for (const std::uint64_t arcs : {1U, 20U, 1000000U}) {
    const std::vector<std::uint32_t> runs = balanced_runs(graph.arrays().offsets, arcs);
    EXPECT_EQ(runs.front(), 0U);
    EXPECT_EQ(runs.back(), graph.row_count());
    for (std::size_t i = 1; i < runs.size(); ++i) {
      ASSERT_LT(runs[i - 1], runs[i]);
      const auto held = graph.arrays().offsets[runs[i]] - graph.arrays().offsets[runs[i - 1]];
      // A run ends with the row that fills it.
      if (runs[i] - runs[i - 1] > 1) {
        EXPECT_LT(held, arcs + 80);
      }
    }
  }
  EXPECT_EQ(balanced_runs(std::vector<partition::ArcIndex>{0}, 10), std::vector<std::uint32_t>{0});
}

}  // namespace
}  // namespace knotwork::embeddings
