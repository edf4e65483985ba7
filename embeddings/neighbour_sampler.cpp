// Two passes over the nodes of a hop: one counts, the other draws positions, asks for the memory behind them, and reads
// it some nodes later, when it has come.
#include "embeddings/neighbour_sampler.h"

#include <algorithm>
#include <string>
#include <utility>

#include "partition/errors.h"
#include "partition/random.h"
#include "partition/worker_team.h"

namespace knotwork::embeddings {

using partition::ArcIndex;
using partition::GlobalNode;
using partition::Graph;
using partition::InputError;
using partition::LocalNode;

namespace {

/// Trial numbers, which the hop takes, and blocks stay far below their limits.
constexpr std::size_t kMaxHops = 64;
/// Nodes that a thread takes at a time.
constexpr std::size_t kNodesPerTask = 512;
/// Nodes between the drawing of positions and the reading of what lies there.
constexpr std::size_t kNodesInFlight = 8;
/// Nodes ahead of the one at hand whose offsets are fetched.
constexpr std::size_t kPrefetchNodes = 16;
/// Up to so many positions are searched one by one for one that was taken before; more are marked in a bitmap.
constexpr std::uint32_t kMaxSearched = 64;

/// Draws positions of one node after another; see the header for which number decides what.
class PositionDraw {
 public:
  PositionDraw(std::uint64_t seed, std::uint32_t hop, std::uint32_t epoch) : seed_(seed), hop_(hop), epoch_(epoch) {}

  /// Fills `positions` with different ones below `degree`. REQUIRES: positions.size() < degree.
  void draw(partition::OriginalNode node, std::uint32_t degree, std::span<std::uint32_t> positions) {
    const auto count = static_cast<std::uint32_t>(positions.size());
    const bool marks = count > kMaxSearched;
    if (marks) taken_.resize(std::max<std::size_t>(taken_.size(), degree));
    partition::RandomBlock words{};
    for (std::uint32_t k = 0; k < count; ++k) {
      if (k % 4 == 0) {
        words = partition::random_block(seed_, partition::RandomPurpose::kNeighbourSample, node, epoch_, k / 4, hop_);
      }
      const std::uint32_t last = degree - count + k;
      const std::uint32_t position = partition::bounded(words[k % 4], last + 1);
      const bool was_taken =
          marks ? taken_[position] : std::ranges::find(positions.first(k), position) != positions.begin() + k;
      positions[k] = was_taken ? last : position;
      if (marks) taken_[positions[k]] = true;
    }
    if (marks) {
      for (const std::uint32_t position : positions) taken_[position] = false;
    }
  }

 private:
  std::uint64_t seed_;
  std::uint32_t hop_;
  std::uint32_t epoch_;
  std::vector<bool> taken_;  // By position; all false between two nodes.
};

}  // namespace

NeighbourSampler::NeighbourSampler(Graph slice, NeighbourSampleOptions options)
    : graph_(std::move(slice)), options_(std::move(options)) {
  if (options_.fan_outs.empty() || options_.fan_outs.size() > kMaxHops) {
    throw InputError("fan-out of " + std::to_string(options_.fan_outs.size()) + " layers, expected 1 to " +
                     std::to_string(kMaxHops));
  }
  if (std::ranges::find(options_.fan_outs, 0U) != options_.fan_outs.end()) {
    throw InputError("fan-out 0, expected at least 1, or all");
  }
}

void NeighbourSampler::draw(std::span<const GlobalNode> nodes, std::uint32_t hop, std::uint32_t epoch,
                            NeighbourLists& lists) const {
  const std::uint32_t fan_out = options_.fan_outs[hop];
  const std::span<const ArcIndex> offsets = graph_.arrays().offsets;
  lists.offsets.resize(nodes.size() + 1);
  lists.offsets[0] = 0;
  for (std::size_t i = 0; i < nodes.size(); ++i) {
    if (i + kPrefetchNodes < nodes.size()) {
      __builtin_prefetch(&offsets[nodes[i + kPrefetchNodes] - graph_.first_node()]);
    }
    lists.offsets[i + 1] = lists.offsets[i] + std::min(graph_.degree(nodes[i]), fan_out);
  }
  lists.entries.resize(lists.offsets.back());
  const std::size_t tasks = (nodes.size() + kNodesPerTask - 1) / kNodesPerTask;
  if (options_.threads == 1) {  // Spares small hops the start of a team.
    for (std::size_t task = 0; task < tasks; ++task) draw_range(nodes, hop, epoch, task * kNodesPerTask, lists);
  } else {
    partition::share_among_workers(options_.threads, tasks, [&](unsigned /*worker*/, std::size_t task) {
      draw_range(nodes, hop, epoch, task * kNodesPerTask, lists);
    });
  }
}

void NeighbourSampler::draw_range(std::span<const GlobalNode> nodes, std::uint32_t hop, std::uint32_t epoch,
                                  std::size_t first, NeighbourLists& lists) const {
  const std::size_t last = std::min(nodes.size(), first + kNodesPerTask);
  const std::span<const GlobalNode> targets = graph_.arrays().targets;
  const std::span entries(lists.entries);
  const auto entries_of = [&](std::size_t i) {
    return entries.subspan(lists.offsets[i], lists.offsets[i + 1] - lists.offsets[i]);
  };
  const auto first_arc = [&](std::size_t i) { return graph_.arrays().offsets[nodes[i] - graph_.first_node()]; };
  PositionDraw positions(options_.seed, hop, epoch);
  for (std::size_t i = first; i < last + kNodesInFlight; ++i) {
    if (i < last) {
      const std::span<std::uint32_t> drawn = entries_of(i);
      const std::uint32_t degree = graph_.degree(nodes[i]);
      const ArcIndex begin = first_arc(i);
      if (degree > drawn.size()) {
        positions.draw(graph_.original(nodes[i]), degree, drawn);
        for (const std::uint32_t position : drawn) __builtin_prefetch(&targets[begin + position]);
      } else {
        __builtin_prefetch(targets.data() + begin);
      }
    }
    if (i < first + kNodesInFlight) continue;
    const std::size_t ready = i - kNodesInFlight;
    if (ready >= last) continue;
    const std::span<std::uint32_t> drawn = entries_of(ready);
    const std::span<const GlobalNode> list = graph_.neighbours(nodes[ready]);
    if (list.size() > drawn.size()) {
      for (std::uint32_t& entry : drawn) entry = list[entry];
    } else {
      std::ranges::copy(list, drawn.begin());
    }
  }
}

void NeighbourSampler::sample(std::span<const GlobalNode> seeds, std::uint32_t epoch, BlockBuilder& builder) const {
  builder.begin(seeds);
  for (std::uint32_t hop = 0; hop < hop_count(); ++hop) {
    NeighbourLists lists = builder.spare_lists();
    draw(builder.nodes(), hop, epoch, lists);
    builder.add_hop(std::move(lists));
  }
}

}  // namespace knotwork::embeddings
