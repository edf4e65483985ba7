#include "worker/minibatch_objective.h"

#include "partition/errors.h"
#include "partition/random.h"

namespace knotwork::worker {

namespace gnn = embeddings::gnn;
using partition::GlobalNode;
using partition::Graph;
using partition::InputError;
using partition::RandomPurpose;

namespace {

/// Negatives are drawn in proportion to degree^0.75 (Hamilton et al., section 3.2, as word2vec).
constexpr double kNegativeExponent = 0.75;
/// Words of kLinkSample: who the partner of a seed is, and which negatives a batch has.
constexpr std::uint32_t kPartnerDraw = 0;
constexpr std::uint32_t kNegativeDraw = 1;

std::vector<GlobalNode> nodes_with_neighbours(const Graph& slice) {
  std::vector<GlobalNode> nodes;
  for (GlobalNode node = slice.first_node(); node < slice.last_node(); ++node) {
    if (slice.degree(node) > 0) nodes.push_back(node);
  }
  return nodes;
}

}  // namespace

gnn::RowLabels labels_of(const MinibatchData& data, const Graph& slice, std::span<const GlobalNode> nodes) {
  gnn::RowLabels labels;
  for (std::uint32_t row = 0; row < nodes.size(); ++row) {
    const std::size_t local = nodes[row] - slice.first_node();
    const std::size_t first = data.label_offsets[local];
    const std::size_t last = data.label_offsets[local + 1];
    labels.rows.push_back(row);
    labels.labels.insert(labels.labels.end(), data.labels.begin() + static_cast<std::ptrdiff_t>(first),
                         data.labels.begin() + static_cast<std::ptrdiff_t>(last));
    labels.offsets.push_back(labels.labels.size());
  }
  return labels;
}

MinibatchObjective::MinibatchObjective(cluster::Communicator& communicator, const DistributedGraph& graph,
                                       const MinibatchData& data, const MinibatchOptions& options)
    : graph_(graph),
      data_(data),
      options_(options),
      own_(options.goal == MinibatchGoal::kLabels ? data.train : nodes_with_neighbours(graph.slice)),
      batches_(communicator, graph.slice, own_, options.batch, options.seed) {
  if (batches_.seed_count() == 0) throw InputError("nothing to train on: no node has a label of the training split");
  if (options.goal == MinibatchGoal::kLabels) return;
  census_ = take_census(communicator, graph.slice, false);
  negatives_ = census_.sampler(kNegativeExponent);
}

void MinibatchObjective::choose_seeds(std::uint32_t epoch, std::uint32_t batch_number,
                                      std::vector<GlobalNode>& seeds) const {
  batches_.own_seeds(epoch, batch_number, seeds);
  if (options_.goal == MinibatchGoal::kLinks) add_pairs(epoch, batch_number, seeds);
}

void MinibatchObjective::add_pairs(std::uint32_t epoch, std::uint32_t batch_number,
                                   std::vector<GlobalNode>& seeds) const {
  const std::size_t heads = seeds.size();
  if (heads == 0) return;
  for (std::size_t i = 0; i < heads; ++i) {
    const GlobalNode node = seeds[i];
    const auto words = partition::random_block(options_.seed, RandomPurpose::kLinkSample, graph_.slice.original(node),
                                               epoch, kPartnerDraw);
    const std::span<const GlobalNode> list = graph_.slice.neighbours(node);
    seeds.push_back(list[partition::bounded(words[0], static_cast<std::uint32_t>(list.size()))]);
  }
  for (std::uint32_t i = 0; i < options_.negatives; ++i) {
    const auto words =
        partition::random_block(options_.seed, RandomPurpose::kLinkSample, batch_number, epoch, kNegativeDraw, i);
    seeds.push_back(census_.global[negatives_.sample(words[0], words[1])]);
  }
}

double MinibatchObjective::loss(const SampledBatch& batch, std::span<const float> outputs, std::span<float> by_outputs,
                                std::uint32_t size) const {
  if (options_.goal == MinibatchGoal::kLabels) {
    const std::span<const GlobalNode> seeds(batch.nodes.data(), batch.output_rows);
    return gnn::label_loss(outputs, options_.output_columns, labels_of(data_, graph_.slice, seeds), options_.label_loss,
                           by_outputs, size);
  }
  const std::size_t heads = (batch.seeds.size() - options_.negatives) / 2;
  const auto rows = [&](std::size_t first, std::size_t count) {
    const auto begin = batch.seed_rows.begin() + static_cast<std::ptrdiff_t>(first);
    return std::vector<std::uint32_t>(begin, begin + static_cast<std::ptrdiff_t>(count));
  };
  const gnn::LinkSample sample{.heads = rows(0, heads),
                               .tails = rows(heads, heads),
                               .negatives = rows(2 * heads, options_.negatives),
                               .negative_weight = options_.negative_weight};
  return gnn::link_loss(outputs, options_.output_columns, sample, by_outputs, size);
}

}  // namespace knotwork::worker
