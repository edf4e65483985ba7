// Walks that travel between ranks are the walks of one process that holds the whole graph.
#include "worker/travelling_walks.h"

#include <cstddef>
#include <cstdint>
#include <exception>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "cluster/communicator.h"
#include "tests/unit/worker/graphs.h"
#include "worker/graph_distribution.h"

namespace knotwork::worker {
namespace {

using embeddings::WalkBatch;
using embeddings::WalkEngine;
using embeddings::WalkOptions;
using embeddings::WalkStart;
using partition::Graph;
using partition::OriginalNode;

using WalkName = std::pair<OriginalNode, std::uint32_t>;
using Walks = std::map<WalkName, std::vector<OriginalNode>>;

/// Passes on what ranks say to each other, and counts it.
class CountingCommunicator final : public cluster::Communicator {
 public:
  explicit CountingCommunicator(cluster::Communicator& inner) : inner_(inner) {}
  cluster::Rank rank() const override { return inner_.rank(); }
  cluster::Rank size() const override { return inner_.size(); }
  void barrier() override {
    ++others_;
    inner_.barrier();
  }
  void allreduce(std::span<double> values, cluster::Reduction reduction) override {
    ++others_;
    inner_.allreduce(values, reduction);
  }
  void allreduce(std::span<std::uint64_t> values, cluster::Reduction reduction) override {
    ++others_;
    inner_.allreduce(values, reduction);
  }
  void broadcast(cluster::Bytes& bytes, cluster::Rank root) override {
    ++others_;
    inner_.broadcast(bytes, root);
  }
  std::vector<std::string> all_gather(std::string_view own) override {
    ++others_;
    return inner_.all_gather(own);
  }
  std::vector<cluster::Bytes> exchange(std::span<const cluster::Bytes> to_each) override {
    ++exchanges_;
    return inner_.exchange(to_each);
  }
  void send(std::span<const std::byte> bytes, cluster::Rank to, int tag) override {
    ++others_;
    inner_.send(bytes, to, tag);
  }
  cluster::Bytes receive(cluster::Rank from, int tag) override {
    ++others_;
    return inner_.receive(from, tag);
  }
  [[noreturn]] void abort(int exit_code, std::string_view message) override {
    inner_.abort(exit_code, message);
    std::terminate();  // Never: abort() ends the process.
  }

  std::uint64_t exchanges() const { return exchanges_; }
  std::uint64_t others() const { return others_; }

 private:
  cluster::Communicator& inner_;
  std::uint64_t exchanges_ = 0;
  std::uint64_t others_ = 0;
};

Walks walks_of_one_process(const Graph& whole, const WalkOptions& options, std::uint32_t walk_count) {
  const WalkEngine engine(whole, options);
  Walks walks;
  WalkBatch batch;
  for (std::uint32_t walk = 0; walk < walk_count; ++walk) {
    for (partition::GlobalNode node = 0; node < whole.row_count(); ++node) {
      const WalkStart start{node, walk};
      engine.generate(std::span(&start, 1), batch);
      auto& path = walks[{whole.original(node), walk}];
      for (const auto visited : batch.path(0)) path.push_back(whole.original(visited));
    }
  }
  return walks;
}

/// This rank's walks, made together with the other ranks.
void expect_same_walks(const WalkOptions& options, unsigned threads) {
  cluster::Communicator& communicator = world();
  const Graph whole = block_graph(4, 60, 4, 2);
  const Graph parted = cut(whole, static_cast<partition::Part>(communicator.size()));
  const DistributedGraph graph = scatter_graph(
      communicator, communicator.rank() == 0 ? std::optional<Graph>(parted) : std::nullopt, partition::NodeNames());
  const WalkEngine engine(graph.slice, options);
  TravellingWalks travelling(communicator, graph, engine, threads);
  const Walks expected = walks_of_one_process(whole, options, 2);

  std::vector<WalkStart> starts;
  for (std::uint32_t walk = 0; walk < 2; ++walk) {
    for (auto node = graph.slice.first_node(); node < graph.slice.last_node(); ++node) starts.push_back({node, walk});
  }
  WalkBatch batch;
  travelling.generate(starts, batch);
  ASSERT_EQ(batch.size(), starts.size());
  for (std::size_t i = 0; i < starts.size(); ++i) {
    std::vector<OriginalNode> path;
    for (const auto visited : batch.path(i)) path.push_back(parted.original(visited));
    EXPECT_EQ(path, expected.at({parted.original(starts[i].node), starts[i].walk}));
  }
  if (communicator.size() > 1) {
    EXPECT_GT(travelling.counters().walkers_sent, 0U);
  }
}

TEST(TravellingWalksTest, uniform_walks_are_those_of_one_process) {
  expect_same_walks({.length = 20}, 1);
}

TEST(TravellingWalksTest, threads_do_not_change_them) {
  expect_same_walks({.length = 20}, 2);
}

TEST(TravellingWalksTest, restarting_walks_are_those_of_one_process) {
  expect_same_walks({.length = 20, .restart = 0.2}, 1);
}

TEST(TravellingWalksTest, node2vec_walks_are_those_of_one_process) {
  expect_same_walks({.length = 20, .p = 4.0, .q = 0.25}, 1);
  expect_same_walks({.length = 20, .p = 0.25, .q = 4.0}, 2);
}

TEST(TravellingWalksTest, a_rank_without_starts_takes_part) {
  cluster::Communicator& communicator = world();
  const Graph parted = cut(block_graph(2, 30, 3, 2), static_cast<partition::Part>(communicator.size()));
  const DistributedGraph graph = scatter_graph(
      communicator, communicator.rank() == 0 ? std::optional<Graph>(parted) : std::nullopt, partition::NodeNames());
  const WalkEngine engine(graph.slice, {.length = 10});
  TravellingWalks travelling(communicator, graph, engine, 1);
  std::vector<WalkStart> starts;
  if (communicator.rank() == 0) starts.push_back({graph.slice.first_node(), 0});
  WalkBatch batch;
  travelling.generate(starts, batch);
  EXPECT_EQ(batch.size(), starts.size());
  for (std::size_t i = 0; i < batch.size(); ++i) EXPECT_EQ(batch.path(i).size(), 10U);
}

TEST(TravellingWalksTest, a_round_is_one_exchange_and_nothing_else) {
  CountingCommunicator communicator(world());
  constexpr std::uint32_t kLength = 20;
  const Graph parted = cut(block_graph(4, 60, 4, 2), static_cast<partition::Part>(communicator.size()));
  const DistributedGraph graph = scatter_graph(
      world(), communicator.is_root() ? std::optional<Graph>(parted) : std::nullopt, partition::NodeNames());
  const WalkEngine engine(graph.slice, {.length = kLength});
  TravellingWalks travelling(communicator, graph, engine, 1);
  std::vector<WalkStart> starts;
  for (auto node = graph.slice.first_node(); node < graph.slice.last_node(); ++node) starts.push_back({node, 0});
  WalkBatch batch;
  travelling.generate(starts, batch);
  EXPECT_EQ(communicator.others(), 0U);
  EXPECT_EQ(communicator.exchanges(), travelling.counters().rounds);
  // A walker crosses once a step at most; a last exchange brings what those that crossed last made, and no walker.
  EXPECT_LE(travelling.counters().rounds, kLength);
}

}  // namespace
}  // namespace knotwork::worker
