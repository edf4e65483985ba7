// Places by open addressing with linear probing; a batch's table is cleared in one sweep, which is cheaper than stamps.
#include "embeddings/sampled_blocks.h"

#include <algorithm>
#include <bit>
#include <stdexcept>
#include <string>
#include <utility>

namespace knotwork::embeddings {

using partition::ArcIndex;
using partition::GlobalNode;
using partition::kInvalidNode;

namespace {

constexpr std::size_t kLeastSlots = 1024;
/// Entries ahead of the one at hand whose slots are fetched.
constexpr std::size_t kPrefetchSlots = 16;

}  // namespace

std::uint64_t SampledBlocks::arc_count() const {
  std::uint64_t arcs = 0;
  for (const NeighbourLists& hop : hops) arcs += hop.entries.size();
  return arcs;
}

NeighbourLists transposed(const NeighbourLists& hop, std::size_t sources) {
  NeighbourLists result;
  // Counts, shifted by one place more than usual: filling moves every offset to where it belongs.
  result.offsets.assign(sources + 2, 0);
  for (const std::uint32_t source : hop.entries) ++result.offsets[source + std::size_t{2}];
  for (std::size_t i = 2; i < result.offsets.size(); ++i) result.offsets[i] += result.offsets[i - 1];
  result.entries.resize(hop.entries.size());
  for (std::size_t destination = 0; destination < hop.size(); ++destination) {
    for (const std::uint32_t source : hop.list(destination)) {
      result.entries[result.offsets[source + std::size_t{1}]++] = static_cast<std::uint32_t>(destination);
    }
  }
  result.offsets.pop_back();
  return result;
}

void BlockBuilder::begin(std::span<const GlobalNode> seeds) {
  if (slots_.empty()) slots_.resize(kLeastSlots);
  shift_ = static_cast<unsigned>(64 - std::countr_zero(slots_.size()));
  std::ranges::fill(slots_, Slot{kInvalidNode, 0});
  for (NeighbourLists& hop : blocks_.hops) spare_.push_back(std::move(hop));
  blocks_.hops.clear();
  blocks_.nodes.clear();
  blocks_.seed_places.assign(seeds.begin(), seeds.end());
  replace_by_places(blocks_.seed_places);
  blocks_.reach.assign(1, static_cast<std::uint32_t>(blocks_.nodes.size()));
}

void BlockBuilder::add_hop(NeighbourLists&& lists) {
  if (lists.size() != blocks_.nodes.size()) {
    throw std::invalid_argument("a hop of " + std::to_string(lists.size()) + " lists for " +
                                std::to_string(blocks_.nodes.size()) + " nodes");
  }
  replace_by_places(lists.entries);
  blocks_.hops.push_back(std::move(lists));
  blocks_.reach.push_back(static_cast<std::uint32_t>(blocks_.nodes.size()));
}

NeighbourLists BlockBuilder::spare_lists() {
  if (spare_.empty()) return {};
  NeighbourLists lists = std::move(spare_.back());
  spare_.pop_back();
  return lists;
}

SampledBlocks BlockBuilder::take() {
  return std::exchange(blocks_, {});
}

void BlockBuilder::replace_by_places(std::span<std::uint32_t> nodes) {
  for (std::size_t i = 0; i < nodes.size(); ++i) {
    if (i + kPrefetchSlots < nodes.size()) __builtin_prefetch(&slots_[home_of(nodes[i + kPrefetchSlots])], 1);
    nodes[i] = place_of(nodes[i]);
  }
}

std::uint32_t BlockBuilder::place_of(GlobalNode node) {
  std::size_t at = home_of(node);
  for (; slots_[at].node != kInvalidNode; at = (at + 1) & (slots_.size() - 1)) {
    if (slots_[at].node == node) return slots_[at].place;
  }
  const auto place = static_cast<std::uint32_t>(blocks_.nodes.size());
  slots_[at] = {node, place};
  blocks_.nodes.push_back(node);
  if (blocks_.nodes.size() * 2 > slots_.size()) grow();
  return place;
}

void BlockBuilder::grow() {
  slots_.assign(slots_.size() * 4, Slot{kInvalidNode, 0});
  shift_ = static_cast<unsigned>(64 - std::countr_zero(slots_.size()));
  for (std::size_t place = 0; place < blocks_.nodes.size(); ++place) {
    std::size_t at = home_of(blocks_.nodes[place]);
    while (slots_[at].node != kInvalidNode) at = (at + 1) & (slots_.size() - 1);
    slots_[at] = {blocks_.nodes[place], static_cast<std::uint32_t>(place)};
  }
}

}  // namespace knotwork::embeddings
