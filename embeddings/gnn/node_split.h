// Which labelled nodes are trained on, which choose the model, and which judge it.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "embeddings/classification.h"
#include "embeddings/gnn/objective.h"
#include "partition/ids.h"
#include "partition/node_names.h"

namespace knotwork::embeddings::gnn {

enum class NodeRole : std::uint8_t { kNone, kTrain, kValid, kTest };

/// Reads `node TAB train|valid|test` lines (plain or .gz, `#` lines skipped); one role for each of the names' original
/// nodes. Throws InputError: a malformed line, another word, an unknown node, a node with two roles, no train node.
std::vector<NodeRole> read_node_split(const std::string& path, const partition::NodeNames& names);

/// Labelled nodes at random: 60 % train, 20 % valid, 20 % test; a function of seed and original node.
std::vector<NodeRole> random_node_split(const NodeLabels& labels, std::size_t nodes, std::uint64_t seed);

/// Labels of the nodes with that role, as rows. `row_of`: the row of each original node.
RowLabels labels_of(const NodeLabels& labels, std::span<const NodeRole> roles, NodeRole role,
                    std::span<const std::uint32_t> row_of);

/// Throws InputError: a node with a role but without a label; a label that some node has, but no train node.
void check_split(const NodeLabels& labels, std::span<const NodeRole> roles, const partition::NodeNames& names,
                 const std::string& path);

}  // namespace knotwork::embeddings::gnn
