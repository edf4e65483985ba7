// LINE: stars are edges drawn in proportion to weight, and the blocks of a graph come apart under both orders.
#include "embeddings/line.h"

#include <cmath>
#include <map>
#include <numeric>
#include <vector>

#include <gtest/gtest.h>

#include "block_graph.h"
#include "partition/errors.h"
#include "partition/huge_array.h"

namespace knotwork::embeddings {
namespace {

// Draws of (neighbour, centre) against weight / total weight, as chi-square by degrees of freedom.
double edge_chi_square(const partition::Graph& graph, bool weighted) {
  const StarSampler stars(graph, weighted);
  std::map<std::pair<GlobalNode, GlobalNode>, double> counts;
  std::vector<GlobalNode> neighbours(1);  // one edge a star: draws are independent
  const std::uint64_t draws = 1'000'000;
  for (std::uint64_t star = 0; star < draws; ++star) {
    const GlobalNode centre = stars.draw(3, star, neighbours);
    counts[{neighbours[0], centre}] += 1.0;
  }
  double total = 0.0;
  double chi = 0.0;
  std::size_t arcs = 0;
  for (GlobalNode v = 0; v < graph.row_count(); ++v) {
    for (std::size_t i = 0; i < graph.degree(v); ++i) total += weighted ? graph.weights(v)[i] : 1.0;
  }
  EXPECT_NEAR(stars.total_strength(), total, 1e-6 * total);
  for (GlobalNode v = 0; v < graph.row_count(); ++v) {
    for (std::size_t i = 0; i < graph.degree(v); ++i) {
      const double expected = (weighted ? graph.weights(v)[i] : 1.0) / total * static_cast<double>(draws);
      const double count = counts[{graph.neighbours(v)[i], v}];
      counts.erase({graph.neighbours(v)[i], v});
      chi += (count - expected) * (count - expected) / expected;
      ++arcs;
    }
  }
  EXPECT_TRUE(counts.empty()) << "a star held something that is no edge";
  return chi / static_cast<double>(arcs - 1);
}

TEST(LineTest, stars_are_edges_drawn_in_proportion_to_weight) {
  const partition::Graph graph = block_graph(40, 0.4, 0.1, 2);
  for (const bool weighted : {false, true}) {
    const double chi = edge_chi_square(graph, weighted);
    EXPECT_GT(chi, 0.75) << weighted;
    EXPECT_LT(chi, 1.25) << weighted;  // some 400 degrees of freedom: standard deviation 0.07
  }
}

TEST(LineTest, blocks_of_a_graph_come_apart_under_both_orders) {
  const std::uint32_t size = 100;
  const partition::Graph graph = block_graph(size, 0.3, 0.02, 1);
  const NegativeSampler sampler(node_masses(graph, 0.75, true));
  const StarSampler stars(graph, true);
  SkipGramOptions options;
  options.dim = 8;
  options.loss_interval = 1;
  std::vector<OriginalNode> originals(size);
  std::iota(originals.begin(), originals.end(), 0U);
  const std::size_t stride = row_stride(options.dim);
  for (const bool first_order : {true, false}) {
    partition::HugeArray<float> input_values(size * stride);
    partition::HugeArray<float> output_values(size * stride);
    const DenseRows inputs = {input_values.data(), nullptr, stride, options.dim, 0};
    const DenseRows outputs = {output_values.data(), nullptr, stride, options.dim, 0};
    initialise_rows(inputs, originals, 1);
    LineTrainer trainer(options);
    const LocalTables tables = {inputs, first_order ? inputs : outputs, &sampler};
    train_stars(trainer, stars, 0, 2000, tables, 0.025F);
    const double first_loss = trainer.take_counters().mean_loss();
    train_stars(trainer, stars, 2000, 40000, tables, 0.025F);
    EXPECT_EQ(trainer.counters().words, 40000U);
    EXPECT_EQ(trainer.counters().pairs, 400000U);
    EXPECT_LT(trainer.counters().mean_loss(), first_loss) << first_order;
    // Mean of the unit vectors of each block: their products are mean cosines.
    std::vector<std::vector<double>> centroid(2, std::vector<double>(options.dim));
    for (GlobalNode node = 0; node < size; ++node) {
      double squares = 0.0;
      for (std::size_t k = 0; k < options.dim; ++k) squares += std::pow(inputs.row(node)[k], 2.0);
      for (std::size_t k = 0; k < options.dim; ++k) {
        centroid[node < size / 2 ? 0 : 1][k] += inputs.row(node)[k] / std::sqrt(squares) / (size / 2.0);
      }
    }
    const double inside = std::inner_product(centroid[0].begin(), centroid[0].end(), centroid[0].begin(), 0.0);
    const double across = std::inner_product(centroid[0].begin(), centroid[0].end(), centroid[1].begin(), 0.0);
    EXPECT_GT(inside, across + 0.2) << (first_order ? "first order" : "second order");
  }
}

TEST(LineTest, refuses_weights_that_are_not_there) {
  const partition::Graph weighted = block_graph(10, 0.9, 0.5, 1);
  partition::GraphSummary summary = weighted.summary();
  summary.weighted = false;
  partition::GraphArrays arrays = weighted.arrays();
  arrays.weights = {};
  const partition::Graph graph(summary, weighted.parts(), arrays);
  EXPECT_THROW(StarSampler(graph, true), partition::InputError);
  EXPECT_NO_THROW(StarSampler(graph, false));
}

}  // namespace
}  // namespace knotwork::embeddings
