#include "embeddings/gnn/node_split.h"

#include <algorithm>
#include <numeric>
#include <optional>
#include <string_view>

#include "embeddings/line_file.h"
#include "partition/errors.h"
#include "partition/random.h"

namespace knotwork::embeddings::gnn {
namespace {

using partition::InputError;
using partition::OriginalNode;

NodeRole parse_role(std::string_view word, const LineFile& file) {
  if (word == "train") return NodeRole::kTrain;
  if (word == "valid" || word == "val") return NodeRole::kValid;
  if (word == "test") return NodeRole::kTest;
  throw InputError(file.place() + ": '" + std::string(word) + "'; expected node TAB train, valid or test");
}

}  // namespace

std::vector<NodeRole> read_node_split(const std::string& path, const partition::NodeNames& names) {
  LineFile file(path);
  std::vector<NodeRole> roles(names.size(), NodeRole::kNone);
  std::string_view line;
  while (file.next(line)) {
    const std::string_view name = take_field(line);
    const NodeRole role = parse_role(take_field(line), file);
    if (!line.empty())
      throw InputError(file.place() + ": '" + std::string(line) + "' after the role; expected node TAB role");
    const std::optional<OriginalNode> node = names.find(name);
    if (!node) throw InputError(file.place() + ": node '" + std::string(name) + "' is not in the graph");
    if (roles[*node] != NodeRole::kNone)
      throw InputError(file.place() + ": node '" + std::string(name) +
                       "' has a role already; expected train, valid and test nodes not to overlap");
    roles[*node] = role;
  }
  if (std::ranges::find(roles, NodeRole::kTrain) == roles.end())
    throw InputError(path + ": no node to train on; expected lines of node TAB train");
  return roles;
}

std::vector<NodeRole> random_node_split(const NodeLabels& labels, std::size_t nodes, std::uint64_t seed) {
  constexpr double kTrainShare = 0.6;
  constexpr double kValidShare = 0.2;
  std::vector<NodeRole> roles(nodes, NodeRole::kNone);
  for (const OriginalNode node : labels.nodes) {
    const auto random = partition::random_block(seed, partition::RandomPurpose::kSplit, node, 0, 0);
    const double at = partition::unit_double(random[0], random[1]);
    roles[node] = at < kTrainShare                 ? NodeRole::kTrain
                  : at < kTrainShare + kValidShare ? NodeRole::kValid
                                                   : NodeRole::kTest;
  }
  return roles;
}

RowLabels labels_of(const NodeLabels& labels, std::span<const NodeRole> roles, NodeRole role,
                    std::span<const std::uint32_t> row_of) {
  std::vector<std::size_t> chosen;
  for (std::size_t i = 0; i < labels.nodes.size(); ++i)
    if (roles[labels.nodes[i]] == role) chosen.push_back(i);
  std::ranges::sort(chosen, {}, [&](std::size_t i) { return row_of[labels.nodes[i]]; });
  RowLabels result;
  for (const std::size_t i : chosen) {
    result.rows.push_back(row_of[labels.nodes[i]]);
    result.labels.insert(result.labels.end(), labels.of(i).begin(), labels.of(i).end());
    result.offsets.push_back(result.labels.size());
  }
  return result;
}

void check_split(const NodeLabels& labels, std::span<const NodeRole> roles, const partition::NodeNames& names,
                 const std::string& path) {
  std::vector<bool> labelled(roles.size());
  std::vector<bool> trained(labels.label_names.size());
  for (std::size_t i = 0; i < labels.nodes.size(); ++i) {
    labelled[labels.nodes[i]] = true;
    if (roles[labels.nodes[i]] != NodeRole::kTrain) continue;
    for (const std::uint32_t label : labels.of(i)) trained[label] = true;
  }
  for (OriginalNode node = 0; node < roles.size(); ++node) {
    if (roles[node] != NodeRole::kNone && !labelled[node])
      throw InputError(path + ": node '" + names.name(node) +
                       "' has no label; expected labels of all nodes of the split");
  }
  for (std::size_t i = 0; i < labels.nodes.size(); ++i) {
    if (roles[labels.nodes[i]] == NodeRole::kNone) continue;
    for (const std::uint32_t label : labels.of(i)) {
      if (!trained[label])
        throw InputError(path + ": no train node has label '" + labels.label_names[label] + "', which node '" +
                         names.name(labels.nodes[i]) + "' has; expected an example of every label to train on");
    }
  }
}

}  // namespace knotwork::embeddings::gnn
