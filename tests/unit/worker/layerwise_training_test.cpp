// Layers that are trained one by one: what is put together is what was trained, and no layer hears of those behind it.
#include "worker/layerwise_training.h"

#include <stdexcept>
#include <vector>

#include <gtest/gtest.h>

#include "embeddings/gnn/torch/models.h"
#include "partition/build_graph.h"

namespace knotwork::worker {
namespace {

namespace gnn = embeddings::gnn;
using partition::Edge;

constexpr std::uint32_t kNodes = 60;
constexpr std::uint32_t kClasses = 3;
constexpr std::uint32_t kInputs = 12;
constexpr std::uint32_t kEpochs = 150;  // of each layer

/// A ring whose nodes know those of their class, with features that hint at the class.
class Classes : public ::testing::Test {
 protected:
  Classes() {
    std::vector<Edge> edges;
    for (std::uint32_t node = 0; node < kNodes; ++node) {
      edges.push_back({node, (node + kClasses) % kNodes});
      edges.push_back({node, (node + 2 * kClasses) % kNodes});
    }
    edges.push_back({0, 1});
    partition::BuildReport report;
    graph_ = full_graph(partition::build_graph(partition::EdgeArrays::copy_of(edges), kNodes, false, report),
                        gnn::Normalisation::kSymmetric, false);
    for (std::uint32_t row = 0; row < kNodes; ++row) {
      const std::uint32_t node = graph_.nodes[row];
      for (std::uint32_t k = 0; k < kInputs; ++k)
        features_.push_back(k == node % kClasses ? 2.0F : static_cast<float>((node * 7 + k * 5) % 11) / 11);
      gnn::RowLabels& part = node % 4 == 0 ? task_.train : node % 4 == 1 ? task_.valid : task_.test;
      part.rows.push_back(row);
      part.labels.push_back(node % kClasses);
      part.offsets.push_back(part.labels.size());
    }
  }

  gnn::Batch batch(std::size_t depth) const {
    return {.blocks = std::vector<const gnn::MessageBlock*>(depth, &graph_.block),
            .inputs = {.dense = features_, .columns = kInputs},
            .nodes = graph_.nodes};
  }
  static gnn::NetworkOptions network(gnn::Model model, std::uint32_t layers) {
    return {.model = model, .inputs = kInputs, .outputs = kClasses, .layers = layers, .hidden = 8, .dropout = 0.2};
  }
  FullGraphReport train(const gnn::NetworkOptions& options, gnn::NetworkState& state) {
    const MakeNetwork make = [](const gnn::NetworkOptions& layer) { return gnn::make_network(layer); };
    return train_layerwise(make, options, batch(options.layers), task_, {.epochs = kEpochs, .patience = 0}, state, {});
  }

  FullGraph graph_;
  std::vector<float> features_;
  LabelTask task_;
};

TEST_F(Classes, LayersPutTogetherAreWhatWasTrained) {
  for (const gnn::Model model : {gnn::Model::kGcn, gnn::Model::kSage}) {
    gnn::NetworkState state;
    const gnn::NetworkOptions options = network(model, 3);
    const FullGraphReport done = train(options, state);
    ASSERT_EQ(3 * kEpochs, done.curve.size());
    EXPECT_EQ(3 * kEpochs, done.curve.back().epoch);
    const auto whole = gnn::make_network(options);
    const gnn::Rows rows = whole->forward(state.weights, batch(3), {});
    // The loss that the last layer's best epoch had, on rows that came through all layers now.
    EXPECT_NEAR(done.curve[done.best_epoch - 1].valid_loss,
                gnn::label_loss(rows.outputs, kClasses, task_.valid, task_.loss, {}), 1e-5);
    EXPECT_EQ(done.test.accuracy, gnn::label_scores(rows.outputs, kClasses, task_.test, task_.loss).accuracy);
    EXPECT_GT(done.test.accuracy, 0.8);
    for (const std::size_t first : {0U, kEpochs, 2 * kEpochs})
      EXPECT_LT(done.curve[first + kEpochs - 1].loss, done.curve[first].loss);
  }
}

TEST_F(Classes, NoLayerHearsOfThoseBehindIt) {
  gnn::NetworkState two;
  gnn::NetworkState three;
  train(network(gnn::Model::kGcn, 2), two);
  train(network(gnn::Model::kGcn, 3), three);
  const std::size_t first_layer = (kInputs + 1) * 8;
  EXPECT_TRUE(std::equal(two.weights.begin(), two.weights.begin() + first_layer, three.weights.begin()));
}

TEST_F(Classes, ModelsWithoutLayersThatStandAloneAreRefused) {
  gnn::NetworkState state;
  EXPECT_THROW(train(network(gnn::Model::kAppnp, 2), state), std::invalid_argument);
  EXPECT_THROW(train(network(gnn::Model::kGat, 2), state), std::invalid_argument);
}

}  // namespace
}  // namespace knotwork::worker
