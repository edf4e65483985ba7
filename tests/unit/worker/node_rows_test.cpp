// Rows of sampled batches, wherever they lie; and the cache that data tiering chooses, judged by batches really drawn.
#include "worker/node_rows.h"

#include <algorithm>
#include <map>
#include <optional>
#include <span>
#include <vector>

#include <gtest/gtest.h>

#include "tests/unit/worker/graphs.h"
#include "worker/data_tiering.h"
#include "worker/row_servers.h"
#include "worker/travelling_samples.h"

namespace knotwork::worker {
namespace {

using embeddings::BlockBuilder;
using partition::GlobalNode;
using partition::Graph;

constexpr std::uint32_t kDim = 21;

float value_of(GlobalNode node, std::size_t column) {
  return static_cast<float>(node) + static_cast<float>(column) / 32.0F;
}

/// A parted graph, its rows on the ranks' servers, and a client.
struct Job {
  explicit Job(const Graph& parted)
      : graph(scatter_graph(world(), world().is_root() ? std::optional<Graph>(parted) : std::nullopt,
                            partition::NodeNames())) {
    const ps::RowRange range{graph.slice.first_node(), graph.slice.last_node()};
    shard.add_table({.name = "features", .row_count = graph.slice.summary().node_count, .dim = kDim}, range);
    for (GlobalNode node = graph.slice.first_node(); node < graph.slice.last_node(); ++node) {
      for (std::size_t c = 0; c < kDim; ++c) shard.table(0).row(node)[c] = value_of(node, c);
    }
    servers.emplace(world(), shard, RowServerOptions{.ipc = true});
    client = servers->connect();
    world().barrier();
  }
  ~Job() {
    client.reset();
    world().barrier();
  }

  DistributedGraph graph;
  ps::Shard shard;
  std::optional<RowServers> servers;
  std::unique_ptr<ps::Client> client;
};

void expect_rows_of(std::span<const GlobalNode> nodes, std::span<const float> values) {
  ASSERT_EQ(values.size(), nodes.size() * kDim);
  for (std::size_t i = 0; i < nodes.size(); ++i) {
    for (std::size_t c = 0; c < kDim; ++c) ASSERT_EQ(values[i * kDim + c], value_of(nodes[i], c)) << "row " << i;
  }
}

TEST(NodeRowsTest, batches_under_way_get_all_their_rows) {
  Job job(cut(block_graph(4, 60, 6, 2), static_cast<partition::Part>(world().size())));
  NodeRows rows(*job.client, 0, job.shard.table(0), 2);
  std::vector<GlobalNode> all(240);
  for (GlobalNode node = 0; node < 240; ++node) all[node] = (node * 7) % 240;
  const std::span<const GlobalNode> some = std::span(all).subspan(30, 90);
  GatheredRows first;
  GatheredRows second;
  rows.start(all, first);
  rows.start(some, second);
  rows.finish(second);
  rows.finish(first);
  expect_rows_of(all, first.values);
  expect_rows_of(some, second.values);
  const std::uint64_t remote = 240 - job.graph.slice.row_count();
  EXPECT_EQ(rows.traffic().rows, 330U);
  EXPECT_GE(rows.traffic().pulled, remote);
  EXPECT_EQ(rows.traffic().cached, 0U);
  EXPECT_EQ(rows.traffic().bytes, rows.traffic().pulled * (8 + kDim * 4));
  EXPECT_EQ(rows.traffic().hit_rate(), remote > 0 ? 0.0 : 1.0);

  rows.start(some, first);  // A smaller batch in the same memory; another one is forgotten.
  rows.start(all, second);
  rows.cancel(second);
  rows.finish(first);
  expect_rows_of(some, first.values);
}

TEST(NodeRowsTest, cached_rows_are_not_asked_for_again) {
  Job job(cut(block_graph(4, 60, 6, 2), static_cast<partition::Part>(world().size())));
  NodeRows rows(*job.client, 0, job.shard.table(0), 1);
  std::vector<GlobalNode> all;
  std::vector<GlobalNode> others;
  for (GlobalNode node = 0; node < 240; ++node) {
    all.push_back(node);
    if (!job.graph.slice.holds(node) && node % 3 == 0) others.push_back(node);
  }
  rows.cache(others);
  EXPECT_EQ(rows.cached_rows(), others.size());
  GatheredRows batch;
  rows.start(all, batch);
  rows.finish(batch);
  expect_rows_of(all, batch.values);
  const std::uint64_t remote = 240 - job.graph.slice.row_count();
  EXPECT_EQ(rows.traffic().cached, others.size());
  EXPECT_EQ(rows.traffic().pulled, remote - others.size());
  EXPECT_EQ(rows.traffic().bytes, remote * (8 + kDim * 4));
}

/// A skewed graph: node i gets edges to nodes drawn with a preference for small numbers, most of them near i's block.
Graph skewed_graph(std::uint32_t nodes) {
  std::vector<partition::Edge> edges;
  for (std::uint32_t node = 0; node < nodes; ++node) {
    for (std::uint32_t i = 0; i < 6; ++i) {
      const auto random = partition::random_block(3, partition::RandomPurpose::kGenerate, node, i, 0);
      const float skew = partition::unit_float(random[0]);
      edges.push_back({node, static_cast<std::uint32_t>(skew * skew * skew * static_cast<float>(nodes))});
    }
  }
  partition::BuildReport report;
  return partition::build_graph(partition::EdgeArrays::copy_of(edges), nodes, false, report);
}

/// How often each node of other ranks is in a batch of this one, over some epochs of batches of 64 seeds: so many that
/// chance does not decide which were used most.
std::map<GlobalNode, std::uint32_t> remote_uses(Job& job, std::span<const GlobalNode> seeds,
                                                const std::vector<std::uint32_t>& fan_outs) {
  TravellingSamples samples(world(), job.graph, {.fan_outs = fan_outs});
  std::map<GlobalNode, std::uint32_t> uses;
  std::vector<BlockBuilder> builders(1);
  for (std::size_t first = 0; first < 8 * 1280; first += 64) {
    const std::size_t begin = std::min(first % 1280, seeds.size());
    const std::vector<std::span<const GlobalNode>> batch{
        seeds.subspan(begin, std::min<std::size_t>(64, seeds.size() - begin))};
    samples.sample(batch, static_cast<std::uint32_t>(first / 1280), builders);
    for (const GlobalNode node : builders[0].blocks().nodes) {
      if (!job.graph.slice.holds(node)) ++uses[node];
    }
  }
  return uses;
}

TEST(DataTieringTest, the_cache_holds_what_batches_use_most) {
  Job job(cut(skewed_graph(2000), static_cast<partition::Part>(world().size())));
  std::vector<GlobalNode> seeds;
  for (GlobalNode node = job.graph.slice.first_node(); node < job.graph.slice.last_node(); ++node) {
    if (job.graph.slice.original(node) % 7 < 3) seeds.push_back(node);
  }
  const std::vector<std::uint32_t> fan_outs{5, 5};
  constexpr std::size_t kCount = 200;
  const std::vector<GlobalNode> hot = hot_remote_nodes(world(), job.graph, seeds, fan_outs, kCount);
  const auto uses = remote_uses(job, seeds, fan_outs);
  if (world().size() == 1) {
    EXPECT_TRUE(hot.empty());
    return;
  }
  ASSERT_EQ(hot.size(), kCount);
  EXPECT_TRUE(std::ranges::is_sorted(hot));
  std::vector<std::uint32_t> counts;
  double all = 0;
  for (const auto& [node, count] : uses) {
    counts.push_back(count);
    all += count;
  }
  std::ranges::sort(counts, std::greater<>());
  double best = 0;
  for (std::size_t i = 0; i < kCount; ++i) best += counts[i];
  double hits = 0;
  for (const GlobalNode node : hot) {
    ASSERT_FALSE(job.graph.slice.holds(node));
    if (uses.contains(node)) hits += uses.at(node);
  }
  EXPECT_GT(hits, 0.9 * best);
  const double any = kCount / (2000.0 - job.graph.slice.row_count()) * all;  // What rows chosen at random would get.
  EXPECT_GT(hits, 1.3 * any);
}

TEST(DataTieringTest, nodes_that_no_batch_can_reach_are_left_out) {
  const Graph whole = block_graph(4, 60, 6, 0);  // Four islands.
  std::vector<partition::Part> part_of(240);
  for (GlobalNode node = 0; node < 240; ++node)
    part_of[node] = whole.original(node) % static_cast<partition::Part>(world().size());
  Job job(partition::renumber_by_parts(whole, part_of, static_cast<partition::Part>(world().size())));
  std::vector<GlobalNode> seeds;  // Of the first island alone.
  for (GlobalNode node = job.graph.slice.first_node(); node < job.graph.slice.last_node(); ++node) {
    if (job.graph.slice.original(node) < 60) seeds.push_back(node);
  }
  const std::vector<std::uint32_t> fan_outs{5, 5};
  const std::vector<GlobalNode> hot = hot_remote_nodes(world(), job.graph, seeds, fan_outs, 240);
  const std::size_t others = 60 - seeds.size();
  EXPECT_LE(hot.size(), others);
  EXPECT_GE(hot.size(), others / 2);
}

}  // namespace
}  // namespace knotwork::worker
