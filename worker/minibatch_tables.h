// The node tables of mini-batch training, by global node, each rank with the rows of its own nodes:
//
//   inputs   features, or learnable id embeddings where there are none
//   results  what a network says of each node, embedding and outputs side by side, on its way to rank 0's files
//
// and, with asp and ssp, the tables of the network's weights (served_weights.h).
#pragma once

#include <algorithm>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>

#include "embeddings/embedding_file.h"
#include "ps/client.h"
#include "ps/shard.h"
#include "worker/graph_distribution.h"
#include "worker/minibatch_data.h"
#include "worker/minibatch_training.h"
#include "worker/node_rows.h"
#include "worker/row_servers.h"
#include "worker/sampled_batches.h"
#include "worker/served_weights.h"

namespace knotwork::worker {

class MinibatchTables {
 public:
  /// Collective. `weights`: how many the network has. Arguments must outlive the tables.
  MinibatchTables(cluster::Communicator& communicator, const DistributedGraph& graph, const MinibatchData& data,
                  const MinibatchOptions& options, std::uint32_t embedding_columns, std::size_t weights);

  /// Whether input rows are learnt: there are no features.
  bool learns_ids() const { return learns_ids_; }
  std::uint32_t input_columns() const { return input_columns_; }
  /// This rank's.
  ps::Table& inputs() { return shard_.table(kInputs); }
  /// Input rows of batches, from whatever rank.
  NodeRows& rows() { return *rows_; }
  /// Where the network's weights lie on the servers, and this rank's rows of them; nothing with bsp.
  const std::optional<WeightTables>& weights() const { return weights_; }
  ps::Table* weight_rows() { return weights_ ? &shard_.table(weights_->weights) : nullptr; }
  /// A client of all tables, for another thread or use than rows().
  std::unique_ptr<ps::Client> connect() { return servers_->connect(); }

  /// asp, ssp: gives a gradient of input_columns() floats for each of `nodes` (without repetition) to the rows' owners,
  /// who make a step of Adam with each. Returns the bytes that travel. rows() sees this rank's steps from now on.
  std::uint64_t push_gradients(std::span<const partition::GlobalNode> nodes, std::span<const float> gradients,
                               float learning_rate);
  /// Waits until all gradients so far have been applied.
  void flush() { client_->flush(); }

  /// Threads that copy rows and sample.
  unsigned helpers() const { return helpers_; }

  /// Collective: features of other ranks that stay here, for trainings from `seeds`.
  void fill_cache(std::span<const partition::GlobalNode> seeds);

  /// Collective. `find`: calls `keep(node, outputs, embedding)` for all nodes of this rank. Rank 0 appends the rows of
  /// all, in the order of original nodes; either writer may be null.
  template <typename Find>
  void export_results(const NodeDirectory& directory, Find find, embeddings::EmbeddingWriter* embedding,
                      embeddings::EmbeddingWriter* outputs) {
    find([this](partition::GlobalNode node, std::span<const float> output_row, std::span<const float> embedding_row) {
      std::ranges::copy(output_row, std::ranges::copy(embedding_row, shard_.table(kResults).row(node)).out);
    });
    write_results(directory, embedding, outputs);
  }

 private:
  static constexpr ps::TableIndex kInputs = 0;
  static constexpr ps::TableIndex kResults = 1;

  void add_tables(const MinibatchData& data, std::size_t weights);
  void fill_ids(ps::Table& table) const;
  void write_results(const NodeDirectory& directory, embeddings::EmbeddingWriter* embedding,
                     embeddings::EmbeddingWriter* outputs);

  cluster::Communicator& communicator_;
  const DistributedGraph& graph_;
  const MinibatchOptions& options_;
  bool learns_ids_;
  std::uint32_t input_columns_;
  std::uint32_t embedding_columns_;
  unsigned helpers_;
  ps::Shard shard_;
  std::optional<WeightTables> weights_;
  std::optional<RowServers> servers_;
  std::unique_ptr<ps::Client> client_;
  std::optional<NodeRows> rows_;
};

}  // namespace knotwork::worker
