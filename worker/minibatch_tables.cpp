#include "worker/minibatch_tables.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "embeddings/start_order.h"
#include "partition/random.h"
#include "worker/data_tiering.h"

namespace knotwork::worker {

using partition::GlobalNode;
using partition::Graph;

namespace {

/// Rows that rank 0 pulls at a time.
constexpr std::size_t kExportRows = 8192;

}  // namespace

MinibatchTables::MinibatchTables(cluster::Communicator& communicator, const DistributedGraph& graph,
                                 const MinibatchData& data, const MinibatchOptions& options,
                                 std::uint32_t embedding_columns, std::size_t weights)
    : communicator_(communicator),
      graph_(graph),
      options_(options),
      learns_ids_(data.features == nullptr),
      input_columns_(learns_ids_ ? options.id_columns : static_cast<std::uint32_t>(data.features->columns())),
      embedding_columns_(embedding_columns),
      helpers_(communicator.size() == 1 || graph.whole ? 1 : options.threads) {
  add_tables(data, weights);
  RowServerOptions of_servers = options.servers;
  if (weights_) of_servers.exact_tables = {weights_->weights, weights_->clocks.table};
  servers_.emplace(communicator, shard_, of_servers);
  client_ = servers_->connect();
  communicator.barrier();  // All rows are in place.
  rows_.emplace(*client_, kInputs, shard_.table(kInputs), helpers_, learns_ids_ && weights_);
}

void MinibatchTables::add_tables(const MinibatchData& data, std::size_t weights) {
  const Graph& slice = graph_.slice;
  const ps::RowRange range{slice.first_node(), slice.last_node()};
  ps::TableSpec inputs{.name = learns_ids_ ? "id embeddings" : "features",
                       .row_count = slice.summary().node_count,
                       .dim = input_columns_};
  if (learns_ids_) {
    inputs.optimizer = {.kind = ps::OptimizerKind::kAdam,
                        .epsilon = static_cast<float>(options_.adam.epsilon),
                        .beta1 = static_cast<float>(options_.adam.beta1),
                        .beta2 = static_cast<float>(options_.adam.beta2)};
  }
  shard_.add_table(inputs, range);
  shard_.add_table(
      {.name = "results", .row_count = slice.summary().node_count, .dim = embedding_columns_ + options_.output_columns},
      range);
  if (!options_.consistency.is_bulk_synchronous()) {
    weights_ = add_weight_tables(shard_, weights, options_.adam, communicator_.rank(), communicator_.size());
  }
  ps::Table& table = shard_.table(kInputs);
  if (learns_ids_) return fill_ids(table);
  for (GlobalNode node = slice.first_node(); node < slice.last_node(); ++node) {
    data.features->fill(node - slice.first_node(), 0, {table.row(node), table.dim()});
  }
}

/// Uniform, with rows of length 1 on average.
void MinibatchTables::fill_ids(ps::Table& table) const {
  const float reach = std::sqrt(3.0F / static_cast<float>(table.dim()));
  const Graph& slice = graph_.slice;
  for (GlobalNode node = slice.first_node(); node < slice.last_node(); ++node) {
    for (std::uint32_t c = 0; c < table.dim(); ++c) {
      const auto words =
          partition::random_block(options_.seed, partition::RandomPurpose::kInitialise, slice.original(node), 0, c / 4);
      table.row(node)[c] = reach * (2 * partition::unit_float(words[c % 4]) - 1);
    }
  }
}

std::uint64_t MinibatchTables::push_gradients(std::span<const GlobalNode> nodes, std::span<const float> gradients,
                                              float learning_rate) {
  const std::vector<ps::RowIndex> rows(nodes.begin(), nodes.end());
  client_->push(kInputs, rows, gradients, ps::PushKind::kGradient, learning_rate);
  const auto remote = std::ranges::count_if(nodes, [&](GlobalNode node) { return !graph_.slice.holds(node); });
  return static_cast<std::uint64_t>(remote) * (sizeof(ps::RowIndex) + client_->row_bytes(kInputs));
}

void MinibatchTables::fill_cache(std::span<const GlobalNode> seeds) {
  if (communicator_.size() == 1 || learns_ids_) return;
  const std::size_t count = options_.cache_bytes / NodeRows::bytes_per_cached_row(input_columns_);
  if (options_.tiers) {
    rows_->cache(hot_remote_nodes(communicator_, graph_, seeds, options_.fan_outs, count));
    return;
  }
  std::vector<GlobalNode> nodes;
  const auto all = static_cast<std::uint32_t>(graph_.slice.summary().node_count);
  const embeddings::StartOrder order(options_.seed, 0, all);
  for (std::uint32_t place = 0; place < all && nodes.size() < count; ++place) {
    if (!graph_.slice.holds(order.at(place))) nodes.push_back(order.at(place));
  }
  std::ranges::sort(nodes);
  rows_->cache(nodes);
}

void MinibatchTables::write_results(const NodeDirectory& directory, embeddings::EmbeddingWriter* embedding,
                                    embeddings::EmbeddingWriter* outputs) {
  communicator_.barrier();
  if (communicator_.is_root()) {
    std::vector<ps::RowIndex> nodes(directory.originals.size());
    for (std::size_t node = 0; node < nodes.size(); ++node) nodes[directory.originals[node]] = node;
    const std::size_t width = shard_.table(kResults).dim();
    std::vector<float> rows;
    std::vector<float> part;
    const auto append = [&](embeddings::EmbeddingWriter* writer, std::size_t first, std::size_t count) {
      if (writer == nullptr) return;
      part.clear();
      for (std::size_t at = first; at < rows.size(); at += width) part.insert(part.end(), &rows[at], &rows[at] + count);
      writer->append(part);
    };
    for (std::size_t first = 0; first < nodes.size(); first += kExportRows) {
      const auto some = std::span(nodes).subspan(first, std::min(kExportRows, nodes.size() - first));
      rows.resize(some.size() * width);
      client_->pull(kResults, some, rows);
      append(embedding, 0, embedding_columns_);
      append(outputs, embedding_columns_, options_.output_columns);
    }
  }
  communicator_.barrier();
}

}  // namespace knotwork::worker
