// What graph neural networks read besides the graph: features, labels, splits; as rows in a network's order.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "embeddings/gnn/network.h"
#include "embeddings/gnn/sparse_rows.h"
#include "embeddings/node_features.h"
#include "jobs/command.h"
#include "partition/node_names.h"
#include "worker/full_graph_training.h"

namespace knotwork::jobs {

/// Reads a file of features; says and reports what was left out. Throws partition::InputError.
embeddings::NodeFeatures read_features(const std::string& path, const partition::NodeNames& names, Session& session);

/// Whether rows are to be scaled to sum 1: as chosen, or if no value is negative.
bool normalises(const embeddings::NodeFeatures& features, std::optional<bool> chosen);

/// Input rows of all nodes of a graph: dense if many of their values are not zero, else sparse.
struct NodeInputs {
  embeddings::gnn::SparseRows sparse;
  std::vector<float> dense;
  std::uint32_t columns = 0;
  bool normalised = false;

  embeddings::gnn::InputRows rows() const {
    return {.sparse = dense.empty() ? &sparse : nullptr, .dense = dense, .columns = columns};
  }
};

/// Reads `path`, or makes one-hot rows if it is empty. `nodes`: original node of each row. `columns`: what a trained
/// network expects; empty: as many as there are. `normalise`: empty: if no value is negative. Says and reports what was
/// left out. Throws partition::InputError.
NodeInputs read_node_inputs(const std::string& path, const partition::NodeNames& names,
                            const std::vector<partition::OriginalNode>& nodes, std::optional<std::uint32_t> columns,
                            std::optional<bool> normalise, Session& session);

struct NodeLabelling {
  worker::LabelTask task;
  std::vector<std::string> names;
};

/// Reads labels and the split (empty: a random one). Throws partition::InputError.
NodeLabelling read_node_labelling(const std::string& labels_path, const std::string& split_path,
                                  const partition::NodeNames& names, const std::vector<std::uint32_t>& row_of,
                                  std::uint64_t seed, Session& session);

}  // namespace knotwork::jobs
