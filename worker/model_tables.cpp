#include "worker/model_tables.h"

#include <utility>

namespace knotwork::worker {

namespace {

ps::TableSpec node_table_spec(std::uint64_t node_count, const std::string& name, std::uint32_t dim,
                              embeddings::Optimizer optimizer) {
  ps::TableSpec spec{.name = name, .row_count = node_count, .dim = dim};
  if (optimizer == embeddings::Optimizer::kAdagrad) spec.optimizer.kind = ps::OptimizerKind::kAdagrad;
  return spec;
}

}  // namespace

ps::TableIndex add_node_table(ps::Shard& shard, std::uint64_t node_count, ps::RowRange own_rows,
                              const std::string& name, std::uint32_t dim, embeddings::Optimizer optimizer) {
  return shard.add_table(node_table_spec(node_count, name, dim, optimizer), own_rows);
}

std::optional<SharedTable> add_shared_node_table(ps::Shard& shard, cluster::Communicator& communicator,
                                                 const partition::Graph& slice, const std::string& name,
                                                 std::uint32_t dim, embeddings::Optimizer optimizer) {
  const ps::TableSpec spec = node_table_spec(slice.summary().node_count, name, dim, optimizer);
  const std::size_t stride = ps::Table::stride_of(spec);
  const std::size_t state_width = ps::state_width(spec.optimizer, dim);
  const std::size_t value_floats = spec.row_count * stride;
  std::optional<cluster::SharedMemory> shared =
      cluster::share_memory(communicator, (value_floats + spec.row_count * state_width) * sizeof(float));
  if (!shared) return std::nullopt;
  const auto memory = std::make_shared<const cluster::SharedMemory>(std::move(*shared));
  auto* values = reinterpret_cast<float*>(memory->bytes().data());
  float* states = values + value_floats;
  const ps::RowRange range{slice.first_node(), slice.last_node()};
  const std::span<float> own(values + range.first * stride, range.size() * stride);
  const std::span<float> own_states(states + range.first * state_width, range.size() * state_width);
  const ps::TableIndex index = shard.add_table(
      std::make_unique<ps::Table>(spec, range, ps::RowMemory(own, memory), ps::RowMemory(own_states, memory)));
  return SharedTable{
      .index = index,
      .rows = {.values = values, .accumulators = state_width > 0 ? states : nullptr, .stride = stride, .dim = dim},
      .memory = memory,
      .own = own};
}

ps::TableIndex add_clock_table(ps::Shard& shard, const std::string& name, int rank, int rank_count) {
  const auto own = static_cast<ps::RowIndex>(rank);
  return shard.add_table({.name = name, .row_count = static_cast<std::uint64_t>(rank_count), .dim = 1}, {own, own + 1});
}

embeddings::DenseRows local_rows(ps::Table& table) {
  return {.values = table.values(),
          .accumulators = table.accumulators(),
          .stride = table.stride(),
          .dim = table.dim(),
          .first_row = static_cast<partition::GlobalNode>(table.range().first)};
}

}  // namespace knotwork::worker
