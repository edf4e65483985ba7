#include "worker/minibatch_data.h"

#include <array>

#include "worker/rank_arrays.h"

namespace knotwork::worker {

using cluster::Bytes;
using embeddings::NodeFeatures;
using embeddings::gnn::RowLabels;
using partition::GlobalNode;
using partition::OriginalNode;

namespace {

enum Role : std::uint32_t { kTrain, kValidation, kTest };

/// Collective: what rank 0 has for each rank; `to_each` is empty elsewhere.
Bytes scattered(cluster::Communicator& communicator, std::vector<Bytes> to_each) {
  to_each.resize(static_cast<std::size_t>(communicator.size()));
  return std::move(communicator.exchange(to_each).front());
}

/// A labelled node as it travels, its labels behind it: global node, role, number of labels.
void append_labels(const RowLabels& labels, Role role, std::span<const GlobalNode> global,
                   std::span<const GlobalNode> bounds, std::vector<std::vector<std::uint32_t>>& to_each) {
  for (std::size_t i = 0; i < labels.rows.size(); ++i) {
    const GlobalNode node = global[labels.rows[i]];
    std::size_t rank = 0;
    while (node >= bounds[rank + 1]) ++rank;
    std::vector<std::uint32_t>& words = to_each[rank];
    words.insert(words.end(), {node, role, static_cast<std::uint32_t>(labels.of(i).size())});
    words.insert(words.end(), labels.of(i).begin(), labels.of(i).end());
  }
}

}  // namespace

NodeFeatures scatter_features(cluster::Communicator& communicator, const DistributedGraph& graph,
                              const NodeFeatures* all) {
  const std::vector<OriginalNode> original = gather_at_root(communicator, graph.slice.arrays().original);
  std::array<std::vector<Bytes>, 3> messages;
  for (int rank = 0; all != nullptr && rank < communicator.size(); ++rank) {
    const std::size_t first = graph.rank_bounds[rank];
    const NodeFeatures rows = all->select(std::span(original).subspan(first, graph.rank_bounds[rank + 1] - first));
    messages[0].push_back(to_bytes(rows.offsets()));
    messages[1].push_back(to_bytes(rows.numbers()));
    messages[2].push_back(to_bytes(rows.values()));
  }
  const std::uint64_t columns =
      communicator.allreduce(std::uint64_t{all == nullptr ? 0 : all->columns()}, cluster::Reduction::kMax);
  std::array<Bytes, 3> received;
  for (std::size_t i = 0; i < messages.size(); ++i) received[i] = scattered(communicator, std::move(messages[i]));
  return {columns, from_bytes<std::uint64_t>(received[0]), from_bytes<std::uint32_t>(received[1]),
          from_bytes<float>(received[2])};
}

MinibatchData scatter_labels(cluster::Communicator& communicator, const DistributedGraph& graph,
                             const LabelTask* task) {
  const std::vector<OriginalNode> original = gather_at_root(communicator, graph.slice.arrays().original);
  std::vector<Bytes> messages;
  if (task != nullptr) {
    std::vector<GlobalNode> global(original.size());
    for (GlobalNode node = 0; node < original.size(); ++node) global[original[node]] = node;
    std::vector<std::vector<std::uint32_t>> to_each(static_cast<std::size_t>(communicator.size()));
    append_labels(task->train, kTrain, global, graph.rank_bounds, to_each);
    append_labels(task->valid, kValidation, global, graph.rank_bounds, to_each);
    append_labels(task->test, kTest, global, graph.rank_bounds, to_each);
    for (const auto& words : to_each) messages.push_back(to_bytes(std::span<const std::uint32_t>(words)));
  }
  const std::vector<std::uint32_t> words = from_bytes<std::uint32_t>(scattered(communicator, std::move(messages)));
  constexpr std::uint32_t kNoRole = 0xffffffffU;
  std::vector<std::uint32_t> roles(graph.slice.row_count(), kNoRole);
  std::vector<std::span<const std::uint32_t>> labels(graph.slice.row_count());
  for (std::size_t at = 0; at < words.size(); at += 3 + words[at + 2]) {
    const std::size_t local = words[at] - graph.slice.first_node();
    roles[local] = words[at + 1];
    labels[local] = std::span(words).subspan(at + 3, words[at + 2]);
  }
  MinibatchData data;
  data.label_offsets.push_back(0);
  for (std::size_t local = 0; local < roles.size(); ++local) {
    data.labels.insert(data.labels.end(), labels[local].begin(), labels[local].end());
    data.label_offsets.push_back(data.labels.size());
    const GlobalNode node = graph.slice.first_node() + static_cast<GlobalNode>(local);
    if (roles[local] == kTrain) data.train.push_back(node);
    if (roles[local] == kValidation) data.validation.push_back(node);
    if (roles[local] == kTest) data.test.push_back(node);
  }
  return data;
}

}  // namespace knotwork::worker
