// Which walks of a rank's nodes are left to make, and in which order.
//
// A walk is known by (original node, number of the round): that is all its randomness hangs on. Rounds follow each
// other, each in its own pseudo-random order of this rank's nodes. What has been done is a number for each node: the
// rounds whose walks from it were trained. A snapshot keeps these numbers by original node, so that another number of
// ranks, with other nodes on each, finds out what is left: first the walks of rounds that are done in part
// ("leftovers", round by round), then whole rounds.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "embeddings/walk.h"
#include "partition/graph.h"

namespace knotwork::worker {

/// So many leftovers, then all rounds before `round`, then so many walks of it, are behind.
struct WalkPosition {
  std::uint64_t leftovers = 0;
  std::uint32_t round = 0;
  std::uint64_t place = 0;
};

class WalkSchedule {
 public:
  /// All walks of `rounds` rounds from the nodes of `starts`, which must outlive the schedule.
  WalkSchedule(const partition::Graph& starts, std::uint64_t seed, std::uint32_t rounds);
  /// Those that are left when `done[i]` rounds of the i-th node are behind. `first_round`: rounds from it on are whole;
  /// at least the largest of `done`, and where ranks go round by round together, the same on all of them.
  WalkSchedule(const partition::Graph& starts, std::uint64_t seed, std::uint32_t rounds,
               std::span<const std::uint32_t> done, std::uint32_t first_round);

  std::span<const embeddings::WalkStart> leftovers() const { return leftovers_; }
  std::uint32_t first_round() const { return first_round_; }
  std::uint32_t rounds() const { return rounds_; }
  /// Walks of a whole round.
  std::uint64_t nodes() const { return starts_.row_count(); }
  /// Walks that are left, and those that were done when the schedule was made.
  std::uint64_t left() const { return leftovers_.size() + std::uint64_t{rounds_ - first_round_} * nodes(); }
  std::uint64_t done_before() const { return std::uint64_t{rounds_} * nodes() - left(); }

  /// Rounds that are behind each node when this much is done: what a snapshot keeps. Takes about 0.1 microseconds a
  /// node. REQUIRES: leftovers are all behind before `round` and `place` move.
  std::vector<std::uint32_t> done_at(const WalkPosition& position) const;

 private:
  const partition::Graph& starts_;
  std::uint64_t seed_;
  std::uint32_t rounds_;
  std::uint32_t first_round_ = 0;
  std::vector<embeddings::WalkStart> leftovers_;
};

}  // namespace knotwork::worker
