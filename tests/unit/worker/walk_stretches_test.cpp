// Walks cut by owner: every centre is trained once, with its whole window, by its owner or (surplus, excursions)
// another.
#include "worker/walk_stretches.h"

#include <map>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "tests/unit/worker/graphs.h"
#include "worker/rank_arrays.h"

namespace knotwork::worker {
namespace {

using embeddings::WalkKey;
using partition::bounded;
using partition::GlobalNode;
using partition::random_block;
using partition::RandomPurpose;

std::vector<std::pair<cluster::Rank, std::uint32_t>> owners_and_ends(std::vector<GlobalNode> path,
                                                                     std::uint32_t shortest) {
  const std::vector<GlobalNode> bounds{0, 10, 20, 30};
  std::vector<std::pair<cluster::Rank, std::uint32_t>> found;
  std::uint32_t next = 0;
  std::vector<OwnedStretch> stretches;
  cut_by_owner(path, bounds, shortest, stretches);
  for (const OwnedStretch& stretch : stretches) {
    EXPECT_EQ(stretch.first_centre, next);
    next = stretch.last_centre;
    found.emplace_back(stretch.owner, stretch.last_centre);
  }
  return found;
}

using Cuts = std::vector<std::pair<cluster::Rank, std::uint32_t>>;

TEST(CutByOwnerTest, long_runs_change_hands_and_excursions_do_not) {
  EXPECT_EQ(owners_and_ends({}, 2), Cuts{});
  EXPECT_EQ(owners_and_ends({1, 2, 3}, 2), (Cuts{{0, 3}}));
  EXPECT_EQ(owners_and_ends({1, 2, 11, 12, 13}, 2), (Cuts{{0, 2}, {1, 5}}));
  EXPECT_EQ(owners_and_ends({1, 2, 11, 2, 1, 21, 11, 3}, 2), (Cuts{{0, 8}}));
  EXPECT_EQ(owners_and_ends({1, 11, 21, 22, 1, 2}, 1), (Cuts{{0, 1}, {1, 2}, {2, 4}, {0, 6}}));
  EXPECT_EQ(owners_and_ends({11, 1, 2, 3}, 3), (Cuts{{1, 1}, {0, 4}}));
}

constexpr std::uint32_t kNodesPerRank = 50;
constexpr std::uint32_t kLength = 40;

/// Walk `walk` of rank `home`, a function of both, so that every rank can check it.
std::vector<GlobalNode> path_of(std::uint32_t home, std::uint32_t walk, std::uint32_t ranks, bool crowded) {
  std::vector<GlobalNode> path;
  std::uint32_t part = home;
  for (std::uint32_t i = 0; i < kLength; ++i) {
    const auto random = random_block(5, RandomPurpose::kGenerate, home, walk, i);
    if (random[0] % 8 == 0) part = crowded ? 0 : bounded(random[1], ranks);
    path.push_back(part * kNodesPerRank + bounded(random[2], kNodesPerRank));
  }
  return path;
}

struct Shared {
  StretchBatch own;
  std::vector<std::uint64_t> centres_by_rank;
};

/// Shares out ten walks a rank and checks that together the ranks train every position of every walk once.
Shared share_and_check(bool crowded) {
  cluster::Communicator& communicator = world();
  const auto ranks = static_cast<std::uint32_t>(communicator.size());
  const auto me = static_cast<std::uint32_t>(communicator.rank());
  constexpr std::uint32_t kWalks = 40;
  const StretchOptions options{.window = 6, .shortest_stretch = 3};
  std::vector<GlobalNode> bounds;
  for (std::uint32_t rank = 0; rank <= ranks; ++rank) bounds.push_back(rank * kNodesPerRank);
  StretchBatch walks;
  for (std::uint32_t walk = 0; walk < kWalks; ++walk) {
    walks.add({me, walk}, {.last_centre = kLength}, path_of(me, walk, ranks, crowded));
  }
  std::uint64_t bytes = 0;
  Shared shared{.own = share_out(communicator, walks, bounds, options, bytes), .centres_by_rank = {}};
  EXPECT_TRUE(crowded || (bytes > 0) == (ranks > 1));
  std::vector<std::uint64_t> trained(std::size_t{ranks} * kWalks * kLength, 0);
  shared.centres_by_rank.assign(ranks, 0);
  for (std::size_t i = 0; i < shared.own.size(); ++i) {
    const WalkKey key = shared.own.keys[i];
    const embeddings::WalkStretch& stretch = shared.own.stretches[i];
    const std::vector<GlobalNode> whole = path_of(key.start, key.walk, ranks, crowded);
    const auto path = shared.own.path(i);
    // The margins reach as far as the window, or to the walk's end.
    EXPECT_EQ(stretch.first_position, stretch.first_centre - std::min(stretch.first_centre, options.window));
    EXPECT_EQ(stretch.first_position + path.size(), std::min(kLength, stretch.last_centre + options.window));
    for (std::size_t at = 0; at < path.size(); ++at) EXPECT_EQ(path[at], whole[stretch.first_position + at]);
    for (std::uint32_t centre = stretch.first_centre; centre < stretch.last_centre; ++centre) {
      ++trained[(std::size_t{key.start} * kWalks + key.walk) * kLength + centre];
      ++shared.centres_by_rank[me];
    }
  }
  communicator.allreduce(trained, cluster::Reduction::kSum);
  communicator.allreduce(shared.centres_by_rank, cluster::Reduction::kSum);
  for (const std::uint64_t times : trained) EXPECT_EQ(times, 1U);
  return shared;
}

TEST(ShareOutTest, every_centre_is_trained_once_mostly_where_it_lives) {
  const Shared shared = share_and_check(false);
  const auto me = static_cast<GlobalNode>(world().rank());
  std::uint64_t centres = 0;
  std::uint64_t at_home = 0;
  for (std::size_t i = 0; i < shared.own.size(); ++i) {
    const embeddings::WalkStretch& stretch = shared.own.stretches[i];
    for (std::uint32_t centre = stretch.first_centre; centre < stretch.last_centre; ++centre) {
      ++centres;
      at_home += shared.own.path(i)[centre - stretch.first_position] / kNodesPerRank == me ? 1 : 0;
    }
  }
  EXPECT_GT(at_home, centres * 7 / 10);
}

TEST(ShareOutTest, a_part_that_all_walks_crowd_into_leaves_the_surplus_to_others) {
  const Shared shared = share_and_check(true);
  std::uint64_t total = 0;
  for (const std::uint64_t centres : shared.centres_by_rank) total += centres;
  const auto ranks = static_cast<std::uint64_t>(world().size());
  // Rank 0 owns nearly all centres; without the limit it would train nearly all.
  EXPECT_LE(shared.centres_by_rank[0] * ranks, total * 12 / 10);
}

}  // namespace
}  // namespace knotwork::worker
