// Every walk is made once, however often a job is stopped, and with whatever nodes on its ranks it goes on. The oracle
// is a plain set of (original node, round).
#include "worker/walk_schedule.h"

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <map>
#include <set>
#include <thread>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "embeddings/start_order.h"
#include "tests/unit/worker/graphs.h"
#include "worker/graph_distribution.h"
#include "worker/thread_gate.h"

namespace knotwork::worker {
namespace {

using partition::GlobalNode;
using partition::Graph;
using partition::OriginalNode;

constexpr std::uint32_t kRounds = 6;
constexpr std::uint64_t kSeed = 3;

using Walk = std::pair<OriginalNode, std::uint32_t>;

/// The walks of a schedule in its order, and the position behind each of them.
std::vector<std::pair<Walk, WalkPosition>> in_order(const WalkSchedule& schedule, const Graph& slice) {
  std::vector<std::pair<Walk, WalkPosition>> all;
  for (const auto& start : schedule.leftovers()) {
    all.push_back(
        {{slice.original(start.node), start.walk}, {.leftovers = all.size() + 1, .round = schedule.first_round()}});
  }
  for (std::uint32_t round = schedule.first_round(); round < schedule.rounds(); ++round) {
    const embeddings::StartOrder order(kSeed, round, static_cast<GlobalNode>(schedule.nodes()));
    for (std::uint64_t i = 0; i < schedule.nodes(); ++i) {
      const GlobalNode node = slice.first_node() + order.at(static_cast<GlobalNode>(i));
      all.push_back(
          {{slice.original(node), round}, {.leftovers = schedule.leftovers().size(), .round = round, .place = i + 1}});
    }
  }
  return all;
}

/// Slices of `ranks` ranks, each with nodes of every block.
std::vector<Graph> slices(const Graph& whole, partition::Part ranks) {
  const Graph parted = ranks == 1 ? whole : cut(whole, ranks);
  std::vector<Graph> all;
  for (partition::Part rank = 0; rank < ranks; ++rank) {
    all.push_back(slice_by_arcs(parted, static_cast<int>(rank), static_cast<int>(ranks)));
  }
  return all;
}

TEST(WalkSchedule, MakesEveryWalkOnceOverAnyChainOfShapes) {
  const Graph whole = block_graph(4, 25, 4, 1);
  std::set<Walk> made;
  std::map<OriginalNode, std::uint32_t> done;  // as a snapshot has it
  std::uint64_t turn = 0;
  for (const partition::Part ranks : {1U, 3U, 2U, 2U, 1U, 4U}) {
    std::uint32_t first_round = 0;
    for (const auto& [node, rounds] : done) first_round = std::max(first_round, rounds);
    std::map<OriginalNode, std::uint32_t> next_done;
    const bool is_last = ++turn == 6;
    for (const Graph& slice : slices(whole, ranks)) {
      std::vector<std::uint32_t> own(slice.row_count());
      for (GlobalNode row = 0; row < slice.row_count(); ++row) own[row] = done[slice.arrays().original[row]];
      const WalkSchedule schedule =
          turn == 1 ? WalkSchedule(slice, kSeed, kRounds) : WalkSchedule(slice, kSeed, kRounds, own, first_round);
      const auto walks = in_order(schedule, slice);
      ASSERT_EQ(walks.size(), schedule.left());
      ASSERT_EQ(schedule.left() + schedule.done_before(), std::uint64_t{slice.row_count()} * kRounds);
      // Ranks stop at different places: some within the leftovers, some rounds later.
      const std::size_t stop = is_last ? walks.size() : walks.size() * ((turn + slice.first_node()) % 5) / 9;
      for (std::size_t i = 0; i < stop; ++i) EXPECT_TRUE(made.insert(walks[i].first).second) << "made twice";
      WalkPosition position{.leftovers = 0, .round = schedule.first_round()};
      if (stop > 0) position = walks[stop - 1].second;
      const std::vector<std::uint32_t> behind = schedule.done_at(position);
      for (GlobalNode row = 0; row < slice.row_count(); ++row) next_done[slice.arrays().original[row]] = behind[row];
    }
    done = std::move(next_done);
    std::uint64_t counted = 0;
    for (const auto& [node, rounds] : done) counted += rounds;
    ASSERT_EQ(counted, made.size());
    for (const auto& [node, round] : made) ASSERT_LT(round, done[node]);
  }
  EXPECT_EQ(made.size(), std::size_t{100} * kRounds);
}

TEST(ThreadGate, HoldsEveryThreadBetweenTwoPiecesOfWork) {
  constexpr unsigned kThreads = 4;
  ThreadGate gate(kThreads);
  std::atomic<std::uint64_t> begun{0};
  std::atomic<std::uint64_t> ended{0};
  std::vector<std::jthread> team;
  for (unsigned thread = 0; thread < kThreads; ++thread) {
    team.emplace_back([&, thread] {
      // One thread leaves early: nobody waits for it.
      for (std::uint64_t i = 0; gate.pass() && (thread > 0 || i < 10); ++i) {
        ++begun;
        std::this_thread::yield();
        ++ended;
      }
      gate.leave();
    });
  }
  for (int i = 0; i < 200; ++i) {
    gate.hold();
    const std::uint64_t at_rest = ended;
    EXPECT_EQ(begun, at_rest);
    std::this_thread::yield();
    EXPECT_EQ(begun, at_rest);
    gate.release();
    std::this_thread::yield();
  }
  gate.hold();
  gate.stop();
  team.clear();
  EXPECT_EQ(begun, ended);
}

}  // namespace
}  // namespace knotwork::worker
