#include "worker/node_inference.h"

#include <algorithm>
#include <vector>

#include "embeddings/gnn/objective.h"
#include "embeddings/neighbour_sampler.h"
#include "worker/minibatch_objective.h"
#include "worker/prediction_counts.h"

namespace knotwork::worker {

namespace gnn = embeddings::gnn;
using cluster::Reduction;
using partition::GlobalNode;

namespace {

/// Nothing is drawn; any epoch will do.
constexpr std::uint32_t kNoEpoch = 0;

}  // namespace

NodeInference::NodeInference(cluster::Communicator& communicator, const DistributedGraph& graph,
                             const NodeDirectory& directory, gnn::Network& network, const MinibatchData& data,
                             const MinibatchOptions& options, MinibatchTables& tables)
    : communicator_(communicator),
      graph_(graph),
      network_(network),
      data_(data),
      options_(options),
      tables_(tables),
      batches_(
          communicator, graph, directory,
          embeddings::NeighbourSampleOptions{
              .fan_outs = std::vector(options.fan_outs.size(), embeddings::kAllNeighbours), .threads = options.threads},
          network.normalisation()) {}

void NodeInference::visit(std::span<const float> weights, std::span<const GlobalNode> nodes, const Visit& visit) {
  const std::size_t size = options_.inference_batch;
  const std::uint64_t own = (nodes.size() + size - 1) / size;
  const std::uint64_t count = communicator_.allreduce(own, Reduction::kMax);
  const std::size_t columns = network_.embedding_columns();
  SampledBatch batch;
  for (std::uint64_t number = 0; number < count; ++number) {
    const std::size_t first = std::min(number * size, nodes.size());
    const std::size_t last = std::min(first + size, nodes.size());
    batch.seeds.assign(nodes.begin() + static_cast<std::ptrdiff_t>(first),
                       nodes.begin() + static_cast<std::ptrdiff_t>(last));
    batches_.make(kNoEpoch, batch);
    if (batch.seeds.empty()) continue;
    tables_.rows().start(batch.nodes, batch.rows);
    tables_.rows().finish(batch.rows);
    const gnn::Rows found = network_.forward(weights, batch.view(tables_.input_columns()), {});
    for (std::size_t row = 0; row < batch.output_rows; ++row) {
      visit(batch.nodes[row], found.outputs.subspan(row * options_.output_columns, options_.output_columns),
            found.embedding.subspan(row * columns, columns));
    }
  }
}

MinibatchScores NodeInference::score(std::span<const float> weights, std::span<const GlobalNode> nodes) {
  PredictionCounts counts(options_.output_columns, options_.label_loss);
  double loss = 0;
  visit(weights, nodes, [&](GlobalNode node, std::span<const float> outputs, std::span<const float> /*embedding*/) {
    const gnn::RowLabels labels = labels_of(data_, graph_.slice, std::span(&node, 1));
    counts.add(outputs, labels.of(0));
    loss += gnn::label_loss(outputs, outputs.size(), labels, options_.label_loss, {});
  });
  const auto all = static_cast<double>(communicator_.allreduce(std::uint64_t{nodes.size()}, Reduction::kSum));
  loss = communicator_.allreduce(loss, Reduction::kSum);
  return {.labels = counts.scores(communicator_), .loss = all > 0 ? loss / all : 0};
}

}  // namespace knotwork::worker
