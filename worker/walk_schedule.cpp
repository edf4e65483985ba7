#include "worker/walk_schedule.h"

#include <algorithm>

#include "embeddings/start_order.h"

namespace knotwork::worker {

using partition::GlobalNode;

WalkSchedule::WalkSchedule(const partition::Graph& starts, std::uint64_t seed, std::uint32_t rounds)
    : starts_(starts), seed_(seed), rounds_(rounds) {}

WalkSchedule::WalkSchedule(const partition::Graph& starts, std::uint64_t seed, std::uint32_t rounds,
                           std::span<const std::uint32_t> done, std::uint32_t first_round)
    : starts_(starts), seed_(seed), rounds_(rounds), first_round_(std::min(first_round, rounds)) {
  const std::uint32_t least = done.empty() ? first_round_ : *std::min_element(done.begin(), done.end());
  for (std::uint32_t round = least; round < first_round_; ++round) {
    const embeddings::StartOrder order(seed, round, starts.row_count());
    for (GlobalNode i = 0; i < starts.row_count(); ++i) {
      const GlobalNode row = order.at(i);
      if (done[row] <= round) leftovers_.push_back({starts.first_node() + row, round});
    }
  }
}

std::vector<std::uint32_t> WalkSchedule::done_at(const WalkPosition& position) const {
  std::vector<std::uint32_t> done(nodes(), std::max(position.round, first_round_));
  // From behind, so that the first walk that is left of a node has the last word.
  for (std::size_t i = leftovers_.size(); i-- > position.leftovers;) {
    done[leftovers_[i].node - starts_.first_node()] = leftovers_[i].walk;
  }
  if (position.place == 0) return done;
  const embeddings::StartOrder order(seed_, position.round, starts_.row_count());
  for (std::uint64_t i = 0; i < position.place; ++i) ++done[order.at(static_cast<GlobalNode>(i))];
  return done;
}

}  // namespace knotwork::worker
