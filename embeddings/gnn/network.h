// Graph neural networks as the rest of Knotwork sees them: a function from weights and a batch of the graph to rows,
// and its derivative. Nothing here knows LibTorch.
//
// LibTorch is large, so it lives in a module of its own (knotwork_gnn.so, from embeddings/gnn/torch) that is opened
// when a network is asked for (module_loader.h). The module keeps no state between two passes: weights, optimizer,
// losses, sampling, ranks and files are the host's business, as plain rows of floats. So
//
//   one step of training = gather input rows, forward(), a loss's gradient (objective.h), backward(),
//                          add up the gradients of all ranks, adam_step() (weights.h)
//
// Networks work on blocks. A block carries messages from its sources to its targets, and its targets are the first of
// its sources (as in DGL and PyTorch Geometric). A batch is one block a layer, from the input rows to the output rows:
// the targets of one block are the sources of the next. Training on the full graph takes the same square block for
// every layer.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "embeddings/gnn/message_block.h"
#include "embeddings/gnn/sparse_rows.h"
#include "partition/ids.h"

namespace knotwork::embeddings::gnn {

/// docs/gnn.md has formula and paper of each; so have the files embeddings/gnn/torch/<model>.cpp.
enum class Model : std::uint8_t { kGcn, kSage, kGat, kSgc, kAppnp, kDagnn };

/// How GraphSAGE sums up neighbours.
enum class Aggregator : std::uint8_t { kMean, kMax, kGcn };

/// What a network is. Fields that a model has no use for are ignored.
struct NetworkOptions {
  Model model = Model::kGcn;
  /// Columns of the input rows, and of the output rows (classes, or dimensions of an embedding).
  std::uint32_t inputs = 0;
  std::uint32_t outputs = 0;
  /// gcn, sage, gat: layers that pass messages. appnp, dagnn: layers of the perceptron before messages are passed.
  std::uint32_t layers = 2;
  /// Columns of hidden layers; gat: of each head.
  std::uint32_t hidden = 16;
  /// gat: attention heads of hidden layers (concatenated) and of the last one (averaged).
  std::uint32_t heads = 8;
  std::uint32_t output_heads = 1;
  /// sgc, appnp, dagnn: times that messages are passed.
  std::uint32_t hops = 2;
  /// appnp: share of its own row that a node takes in each hop.
  double alpha = 0.1;
  /// Share of the inputs of each layer that is dropped while training.
  double dropout = 0.5;
  /// gat: share of the attention coefficients that is dropped while training.
  double attention_dropout = 0.6;
  /// gat: slope of the leaky ReLU of attention scores.
  double negative_slope = 0.2;
  Aggregator aggregator = Aggregator::kMean;
  /// sage: output rows have length 1.
  bool unit_rows = false;
  /// Of dropout; weights are initialised by the host.
  std::uint64_t seed = 1;
  std::uint32_t threads = 1;
};

/// How a weight begins (weights.h).
enum class Initialisation : std::uint8_t { kGlorot, kZero };

/// A matrix in the flat array of weights, row-major: weights[offset] ... weights[offset + rows * columns - 1].
struct Parameter {
  std::string name;
  std::uint32_t rows = 0;
  std::uint32_t columns = 0;
  std::size_t offset = 0;
  Initialisation initialisation = Initialisation::kGlorot;
  /// Of the first layer: there are models whose weight decay is for it alone.
  bool is_first_layer = false;

  std::size_t size() const { return static_cast<std::size_t>(rows) * columns; }
};

/// Input rows of a batch: sparse (a pointer that outlives the pass) or dense (row-major, `columns` floats each).
struct InputRows {
  const SparseRows* sparse = nullptr;
  std::span<const float> dense;
  std::uint32_t columns = 0;
};

/// What one pass is about. Everything it points to outlives the pass, and backward() too.
struct Batch {
  /// Network::depth() blocks, input side first. Pointers may be equal.
  std::vector<const MessageBlock*> blocks;
  InputRows inputs;
  /// Original node of each input row: dropout is a function of it, so it is the same however rows are numbered.
  std::span<const partition::OriginalNode> nodes;
};

/// What forward() found; spans are valid until the next forward().
struct Rows {
  /// targets x NetworkOptions::outputs: logits of classes, or the rows of an embedding.
  std::span<const float> outputs;
  /// targets x Network::embedding_columns(): the last hidden layer (gcn, sage, gat); the outputs where there is none.
  std::span<const float> embedding;
};

/// One pass at a time. A pass is a pure function of its arguments: the same bits for any number of threads.
class Network {
 public:
  Network() = default;
  Network(const Network&) = delete;
  Network& operator=(const Network&) = delete;
  virtual ~Network() = default;

  /// Layout of the weights: their offsets follow each other without gaps.
  virtual std::span<const Parameter> parameters() const = 0;
  /// Blocks of a batch.
  virtual std::uint32_t depth() const = 0;
  /// How the blocks of this model are to be normalised (message_block.h).
  virtual Normalisation normalisation() const = 0;
  virtual std::uint32_t embedding_columns() const = 0;

  /// `training`: with dropout, drawn from (seed, original node, step, layer); backward() may follow.
  /// Throws std::invalid_argument if sizes don't fit together.
  struct Mode {
    bool training = false;
    std::uint32_t step = 0;
    /// Whether backward() will be asked for derivatives by dense input rows; without, it need not find them.
    bool derives_inputs = true;
  };
  virtual Rows forward(std::span<const float> weights, const Batch& batch, Mode mode) = 0;

  /// After forward() with the same weights and batch: derivatives of a loss by weights, and, unless `by_inputs` is
  /// empty, by dense input rows, from those by outputs. Overwrites both. Throws std::invalid_argument as above.
  virtual void backward(std::span<const float> by_outputs, std::span<float> by_weights, std::span<float> by_inputs) = 0;
};

/// Raised with every change of what this header says: host and module are built together.
inline constexpr std::uint32_t kModuleVersion = 2;

/// What the module exports, as `extern "C" const ModuleEntry* knotwork_gnn_module()`.
struct ModuleEntry {
  std::uint32_t version = kModuleVersion;
  /// "LibTorch 1.13.1".
  const char* library = nullptr;
  std::unique_ptr<Network> (*make_network)(const NetworkOptions& options) = nullptr;
};
inline constexpr const char* kModuleSymbol = "knotwork_gnn_module";

}  // namespace knotwork::embeddings::gnn
