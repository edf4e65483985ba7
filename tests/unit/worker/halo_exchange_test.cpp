// Halo rows over real servers: every row that an arc leads to is the owner's row, version after version; facts, too.
#include "worker/halo_exchange.h"

#include <cstdint>
#include <vector>

#include <gtest/gtest.h>

#include "tests/unit/worker/graphs.h"
#include "worker/graph_distribution.h"
#include "worker/row_servers.h"

namespace knotwork::worker {
namespace {

using embeddings::BlockStorage;
using embeddings::ColumnBlock;
using partition::Graph;

DistributedGraph parted_graph(std::uint32_t across) {
  const Graph whole = block_graph(4, 100, 6, across);
  const auto parts = static_cast<partition::Part>(world().size());
  return scatter_graph(world(),
                       world().is_root() ? std::optional<Graph>(parts == 1 ? whole : cut(whole, parts)) : std::nullopt,
                       partition::NodeNames());
}

float value_of(std::uint32_t original, std::size_t column, int version) {
  return static_cast<float>(original * 100 + column) + 0.25F * static_cast<float>(version);
}

TEST(HaloExchange, EveryNeighbourIsItsOwnersRow) {
  constexpr std::size_t kWidth = 16;
  const DistributedGraph graph = parted_graph(3);
  const Graph& slice = graph.slice;
  const HaloLists lists(world(), slice, graph.rank_bounds);
  const std::vector<partition::OriginalNode> original =
      lists.share_facts(world(), std::span<const partition::OriginalNode>(slice.arrays().original));
  ASSERT_EQ(lists.targets().size(), slice.arrays().targets.size());
  if (world().size() > 1) {
    EXPECT_GT(lists.halo_rows(), 0U);
  }

  ps::Shard shard;
  HaloExchange exchange(lists, shard, "halo.", kWidth * sizeof(float));
  RowServers servers(world(), shard, {});
  exchange.connect(servers.connect());
  // Whose node a target is, the whole graph knows: gathered by MPI, not by what is tested.
  const auto all = concatenate(world(), std::span<const partition::OriginalNode>(slice.arrays().original));
  for (int version = 0; version < 5; ++version) {
    ColumnBlock block(lists.block_rows(), kWidth, BlockStorage::kFloat32);
    std::vector<float> row(kWidth);
    for (std::uint32_t own = 0; own < slice.row_count(); ++own) {
      for (std::size_t c = 0; c < kWidth; ++c) row[c] = value_of(slice.arrays().original[own], c, version);
      store_row(row, block, own);
    }
    exchange.publish(world(), block, 2);
    exchange.wait();
    for (std::size_t arc = 0; arc < lists.targets().size(); ++arc) {
      const partition::OriginalNode node = all[slice.arrays().targets[arc]];
      ASSERT_EQ(original[lists.targets()[arc]], node);
      load_row(block, lists.targets()[arc], row);
      for (std::size_t c = 0; c < kWidth; ++c) ASSERT_EQ(row[c], value_of(node, c, version));
    }
  }
  world().barrier();
  exchange.connect(nullptr);  // Sockets close before their context, which the servers hold.
}

TEST(HaloExchange, PartsWithoutArcsBetweenThemExchangeNothing) {
  // Arcs within blocks only, and parts that are whole blocks.
  const Graph whole = block_graph(4, 50, 5, 0);
  const auto parts = static_cast<partition::Part>(world().size());
  std::vector<partition::Part> part_of(whole.row_count());
  for (partition::GlobalNode node = 0; node < whole.row_count(); ++node)
    part_of[node] = whole.original(node) / 50 % parts;
  const Graph parted = parts == 1 ? whole : partition::renumber_by_parts(whole, part_of, parts);
  const DistributedGraph graph =
      scatter_graph(world(), world().is_root() ? std::optional<Graph>(parted) : std::nullopt, partition::NodeNames());
  const HaloLists lists(world(), graph.slice, graph.rank_bounds);
  EXPECT_EQ(lists.parcel_count(), 0U);
  EXPECT_EQ(lists.block_rows(), graph.slice.row_count());
  ps::Shard shard;
  HaloExchange exchange(lists, shard, "halo.", 64);
  EXPECT_TRUE(exchange.tables().empty());
  ColumnBlock block(lists.block_rows(), 16, BlockStorage::kFloat32);
  exchange.publish(world(), block, 1);
  exchange.wait();
}

}  // namespace
}  // namespace knotwork::worker
