// Trained networks on disk, as safetensors: a format that Python's torch, numpy and jax read (docs/formats.md).
//
//   8 bytes    N, the length of the header (little-endian)
//   N bytes    JSON: a tensor's name -> {"dtype": "F32", "shape": [...], "data_offsets": [begin, end]}, and
//              "__metadata__": what the network is
//   the rest   the tensors, row-major little-endian float32, one after another
#pragma once

#include <string>
#include <vector>

#include "embeddings/gnn/network.h"
#include "embeddings/gnn/objective.h"

namespace knotwork::embeddings::gnn {

/// All that is needed to use a network again.
struct NetworkModel {
  /// `seed` and `threads` are not kept.
  NetworkOptions network;
  /// Names of the output columns; empty: the outputs are an embedding.
  std::vector<std::string> labels;
  LabelLoss loss = LabelLoss::kSoftmax;
  /// Rows of features are scaled (normalise_rows).
  bool normalises_features = false;
  /// The network learnt a vector for each node instead of reading features; it can't embed other graphs.
  bool is_for_one_graph = false;
  std::vector<Parameter> parameters;
  std::vector<float> weights;
};

/// Writes beside `path` and renames. `program`: who wrote it. Throws InputError if the folder can't be written,
/// SystemError on a full disk.
void write_model(const std::string& path, const NetworkModel& model, const std::string& program);

/// Reads and checks everything: sizes and bounds before use, the checksum of the tensors, version and options. Throws
/// InputError in one line that says what was found and what was expected.
NetworkModel read_model(const std::string& path);

/// Throws InputError unless `model` has exactly the weights of a network with `parameters`.
void check_model(const NetworkModel& model, std::span<const Parameter> parameters, const std::string& path);

/// "gcn", ... in the order of the enumerators.
std::string model_name(Model model);

}  // namespace knotwork::embeddings::gnn
