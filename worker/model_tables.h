// The tables of a skip-gram model in this rank's shard, as the parameter server keeps them and as the methods see them.
//
// Own rows are touched in place: the views below point into the shard itself.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>

#include "cluster/communicator.h"
#include "cluster/shared_memory.h"
#include "embeddings/row_table.h"
#include "embeddings/skipgram.h"
#include "partition/graph.h"
#include "ps/shard.h"

namespace knotwork::worker {

/// Adds a table of `dim` columns for `node_count` nodes to `shard`, which keeps `own_rows` (global nodes), all zero.
ps::TableIndex add_node_table(ps::Shard& shard, std::uint64_t node_count, ps::RowRange own_rows,
                              const std::string& name, std::uint32_t dim, embeddings::Optimizer optimizer);

/// A table that all ranks of the job reach in place, since it lies in memory that they share.
struct SharedTable {
  ps::TableIndex index = 0;
  embeddings::DenseRows rows;  ///< all of the table
  std::shared_ptr<const cluster::SharedMemory> memory;
  std::span<float> own;  ///< this rank's rows in `memory`
};

/// Collective. As add_node_table for the slice's nodes, in memory that all ranks share; nothing is added, on all ranks,
/// if they can't share it.
std::optional<SharedTable> add_shared_node_table(ps::Shard& shard, cluster::Communicator& communicator,
                                                 const partition::Graph& slice, const std::string& name,
                                                 std::uint32_t dim, embeddings::Optimizer optimizer);

/// Adds the table in which ranks publish how far they are: one row of one column for each rank, on its own server.
ps::TableIndex add_clock_table(ps::Shard& shard, const std::string& name, int rank, int rank_count);

/// The rows of a table that lie in this rank's shard.
embeddings::DenseRows local_rows(ps::Table& table);

}  // namespace knotwork::worker
