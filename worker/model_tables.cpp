#include "worker/model_tables.h"

namespace knotwork::worker {

ps::TableIndex add_node_table(ps::Shard& shard, const partition::Graph& slice, const std::string& name,
                              std::uint32_t dim, embeddings::Optimizer optimizer) {
  ps::TableSpec spec{.name = name, .row_count = slice.summary().node_count, .dim = dim};
  if (optimizer == embeddings::Optimizer::kAdagrad) spec.optimizer.kind = ps::OptimizerKind::kAdagrad;
  return shard.add_table(spec, {slice.first_node(), slice.last_node()});
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
