#include "jobs/network_inputs.h"

#include <algorithm>
#include <utility>

#include "embeddings/classification.h"
#include "embeddings/gnn/node_split.h"
#include "embeddings/node_features.h"
#include "jobs/console.h"
#include "jobs/figures.h"
#include "jobs/report.h"
#include "partition/errors.h"

namespace knotwork::jobs {
namespace {

namespace gnn = embeddings::gnn;
using partition::InputError;

// Rows that are fuller than this are multiplied as dense ones.
constexpr double kDenseShare = 0.25;

std::vector<float> dense_rows(const gnn::SparseRows& rows) {
  std::vector<float> dense(std::size_t{rows.rows()} * rows.columns);
  for (std::uint32_t row = 0; row < rows.rows(); ++row) {
    for (std::uint64_t at = rows.offsets[row]; at < rows.offsets[row + 1]; ++at)
      dense[std::size_t{row} * rows.columns + rows.numbers[at]] = rows.values[at];
  }
  return dense;
}

}  // namespace

embeddings::NodeFeatures read_features(const std::string& path, const partition::NodeNames& names, Session& session) {
  embeddings::FeatureReport report;
  embeddings::NodeFeatures features = embeddings::read_node_features(path, names, report);
  if (report.unknown_nodes > 0) {
    session.console.notice("features of " + grouped_count(report.unknown_nodes) +
                           " nodes that the graph doesn't have were left out");
  }
  if (report.nodes_without > 0)
    session.console.notice(grouped_count(report.nodes_without) + " nodes have no features: zeros");
  session.report.set("nodes_without_features", report.nodes_without);
  return features;
}

bool normalises(const embeddings::NodeFeatures& features, std::optional<bool> chosen) {
  return chosen.value_or(std::ranges::none_of(features.values(), [](float value) { return value < 0; }));
}

NodeInputs read_node_inputs(const std::string& path, const partition::NodeNames& names,
                            const std::vector<partition::OriginalNode>& nodes, std::optional<std::uint32_t> columns,
                            std::optional<bool> normalise, Session& session) {
  NodeInputs inputs;
  if (path.empty()) {
    inputs.columns = static_cast<std::uint32_t>(nodes.size());
    inputs.sparse = gnn::identity_rows(inputs.columns);
    return inputs;
  }
  const embeddings::NodeFeatures features = read_features(path, names, session).select(nodes);
  inputs.columns = columns.value_or(static_cast<std::uint32_t>(features.columns()));
  if (features.columns() > inputs.columns)
    throw InputError(path + ": has " + std::to_string(features.columns()) + " features; the network was trained on " +
                     std::to_string(inputs.columns));
  inputs.sparse = gnn::sparse_rows(inputs.columns, {features.offsets().begin(), features.offsets().end()},
                                   {features.numbers().begin(), features.numbers().end()},
                                   {features.values().begin(), features.values().end()});
  inputs.normalised = normalises(features, normalise);
  if (inputs.normalised) gnn::normalise_rows(inputs.sparse);
  const double cells = static_cast<double>(nodes.size()) * inputs.columns;
  if (static_cast<double>(inputs.sparse.values.size()) > kDenseShare * cells) {
    inputs.dense = dense_rows(inputs.sparse);
    inputs.sparse = {};
  }
  return inputs;
}

NodeLabelling read_node_labelling(const std::string& labels_path, const std::string& split_path,
                                  const partition::NodeNames& names, const std::vector<std::uint32_t>& row_of,
                                  std::uint64_t seed, Session& session) {
  const embeddings::NodeLabels labels = embeddings::read_node_labels(labels_path, names);
  const std::vector<gnn::NodeRole> roles =
      split_path.empty() ? gnn::random_node_split(labels, names.size(), seed) : gnn::read_node_split(split_path, names);
  if (split_path.empty())
    session.console.notice(
        "no --split: 60 % of the labelled nodes are trained on, 20 % choose the model, 20 % test it");
  gnn::check_split(labels, roles, names, split_path.empty() ? labels_path : split_path);
  NodeLabelling labelling;
  labelling.names = labels.label_names;
  labelling.task.train = gnn::labels_of(labels, roles, gnn::NodeRole::kTrain, row_of);
  labelling.task.valid = gnn::labels_of(labels, roles, gnn::NodeRole::kValid, row_of);
  labelling.task.test = gnn::labels_of(labels, roles, gnn::NodeRole::kTest, row_of);
  const bool single = labels.labels.size() == labels.nodes.size();
  labelling.task.loss = single ? gnn::LabelLoss::kSoftmax : gnn::LabelLoss::kSigmoid;
  session.report.set("labels", std::uint64_t{labels.label_names.size()});
  session.report.set("train_nodes", std::uint64_t{labelling.task.train.rows.size()});
  session.report.set("valid_nodes", std::uint64_t{labelling.task.valid.rows.size()});
  session.report.set("test_nodes", std::uint64_t{labelling.task.test.rows.size()});
  return labelling;
}

}  // namespace knotwork::jobs
