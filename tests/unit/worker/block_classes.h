// Nodes in four blocks whose labels are to be learnt: data, a trainer's run on one rank or all, what it has learnt.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "cluster/single_process.h"
#include "embeddings/node_features.h"
#include "tests/unit/worker/graphs.h"
#include "tests/unit/worker/linear_network.h"
#include "tests/unit/worker/row_collector.h"
#include "worker/minibatch_training.h"

namespace knotwork::worker {

inline constexpr std::uint32_t kClasses = 4;
inline constexpr std::uint32_t kNodes = 240;
inline constexpr std::uint32_t kColumns = 9;

inline bool is_trained_on(partition::OriginalNode node) {
  return node % 7 < 3;
}

inline float feature_of(partition::OriginalNode node, std::uint32_t column) {
  const auto words = partition::random_block(3, partition::RandomPurpose::kGenerate, node, column, 9);
  return partition::unit_float(words[0]) - 0.5F + (node / 60 == column ? 0.5F : 0.0F);
}

inline embeddings::NodeFeatures features_of(const partition::Graph& slice) {
  std::vector<std::uint64_t> offsets{0};
  std::vector<std::uint32_t> numbers;
  std::vector<float> values;
  for (const partition::OriginalNode node : slice.arrays().original) {
    for (std::uint32_t c = 0; c < kColumns; ++c) {
      numbers.push_back(c);
      values.push_back(feature_of(node, c));
    }
    offsets.push_back(numbers.size());
  }
  return {kColumns, std::move(offsets), std::move(numbers), std::move(values)};
}

/// The label of a node is its block; three of seven nodes are trained on, one validates.
inline MinibatchData data_of(const partition::Graph& slice, const embeddings::NodeFeatures* features) {
  MinibatchData data{.features = features};
  data.label_offsets.push_back(0);
  for (partition::GlobalNode node = slice.first_node(); node < slice.last_node(); ++node) {
    const partition::OriginalNode original = slice.original(node);
    data.labels.push_back(original / 60);
    data.label_offsets.push_back(data.labels.size());
    if (is_trained_on(original)) data.train.push_back(node);
    if (original % 7 == 3) data.validation.push_back(node);
  }
  return data;
}

struct Learnt {
  MinibatchReport report;
  embeddings::gnn::NetworkState state;
  std::vector<float> rows;  ///< rank 0 only
  MinibatchScores scores;
};

/// Collective. Where training is stopped, only the report and the state tell something.
inline Learnt learn(cluster::Communicator& communicator, const DistributedGraph& graph, MinibatchOptions options,
                    bool has_features, const MinibatchProgress& progress = {}, SnapshotKeeper* keeper = nullptr,
                    SnapshotReader* from = nullptr) {
  const embeddings::NodeFeatures features = features_of(graph.slice);
  const MinibatchData data = data_of(graph.slice, has_features ? &features : nullptr);
  options.output_columns = kClasses;
  options.id_columns = kColumns;
  options.servers.ipc = true;
  LinearNetwork network(kColumns, kClasses);
  MinibatchTrainer trainer(communicator, graph, network, data, options);
  Learnt learnt{.report = trainer.train(progress, keeper, from)};
  learnt.state = trainer.state();
  RowCollector rows(kNodes, kClasses);
  trainer.export_rows(communicator.is_root() ? &rows : nullptr, nullptr);
  learnt.rows = rows.values;
  learnt.scores = trainer.score(data.validation);
  return learnt;
}

inline partition::Graph whole_graph() {
  return block_graph(4, 60, 6, 2);
}

inline DistributedGraph distributed(bool may_share = false) {
  const partition::Graph parted = cut(whole_graph(), static_cast<partition::Part>(world().size()));
  return scatter_graph(world(), world().is_root() ? std::optional<partition::Graph>(parted) : std::nullopt,
                       partition::NodeNames(), {.may_share = may_share});
}

inline Learnt learn_alone(const MinibatchOptions& options, bool has_features) {
  cluster::SingleProcess alone;
  const DistributedGraph graph{whole_graph(), {0, kNodes}, {}};
  return learn(alone, graph, options, has_features);
}

inline void expect_near(std::span<const float> found, std::span<const float> expected, double tolerance) {
  ASSERT_EQ(found.size(), expected.size());
  for (std::size_t i = 0; i < found.size(); ++i) ASSERT_NEAR(found[i], expected[i], tolerance) << "at " << i;
}

inline const MinibatchOptions kSmall{.adam = {.learning_rate = 0.05},
                                     .fan_outs = {3, 4},
                                     .batch = 32,
                                     .epochs = 5,
                                     .negatives = 20,
                                     .inference_batch = 50};

}  // namespace knotwork::worker
