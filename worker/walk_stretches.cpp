#include "worker/walk_stretches.h"

#include <algorithm>
#include <cstring>
#include <numeric>

#include "worker/rank_arrays.h"

namespace knotwork::worker {

using embeddings::WalkKey;
using embeddings::WalkStretch;
using partition::GlobalNode;

namespace {

/// A stretch on its way; `count` global nodes follow it. All ranks run the same build, so structs travel as they are.
struct StretchHeader {
  WalkKey key;
  WalkStretch stretch;
  std::uint32_t count;
};

cluster::Rank owner_of(std::span<const GlobalNode> rank_bounds, GlobalNode node) {
  return static_cast<cluster::Rank>(std::upper_bound(rank_bounds.begin(), rank_bounds.end(), node) -
                                    rank_bounds.begin()) -
         1;
}

/// Decides for each owner which of the others' stretches stay at home: evenly spread, so that no part of a round is
/// favoured.
class Surplus {
 public:
  /// Collective. Centres of this rank's walks by owner.
  Surplus(cluster::Communicator& communicator, std::span<const double> centres_by_owner, double most_over_mean)
      : share_kept_(centres_by_owner.size(), 0.0), debt_(centres_by_owner.size(), 0.0) {
    // In one step, as each waits for all ranks: centres by owner, then those of other ranks' walks.
    const std::size_t owners = share_kept_.size();
    std::vector<double> sums(centres_by_owner.begin(), centres_by_owner.end());
    sums.insert(sums.end(), centres_by_owner.begin(), centres_by_owner.end());
    sums[owners + static_cast<std::size_t>(communicator.rank())] = 0;
    communicator.allreduce(sums, cluster::Reduction::kSum);
    const std::span<const double> all = std::span(sums).first(owners);
    const std::span<const double> from_others = std::span(sums).last(owners);
    const double mean = std::accumulate(all.begin(), all.end(), 0.0) / static_cast<double>(owners);
    for (std::size_t owner = 0; owner < owners; ++owner) {
      const double surplus = all[owner] - most_over_mean * mean;
      if (surplus > 0 && from_others[owner] > 0) share_kept_[owner] = std::min(1.0, surplus / from_others[owner]);
    }
  }
  bool stays(cluster::Rank owner, std::uint32_t centres) {
    debt_[owner] += share_kept_[owner] * centres;
    if (share_kept_[owner] == 0 || debt_[owner] < centres) return false;
    debt_[owner] -= centres;
    return true;
  }

 private:
  std::vector<double> share_kept_;
  std::vector<double> debt_;
};

void append(cluster::Bytes& out, WalkKey key, const WalkStretch& stretch, std::span<const GlobalNode> path) {
  const StretchHeader header{key, stretch, static_cast<std::uint32_t>(path.size())};
  const auto head = std::as_bytes(std::span(&header, 1));
  const auto nodes = std::as_bytes(path);
  out.insert(out.end(), head.begin(), head.end());
  out.insert(out.end(), nodes.begin(), nodes.end());
}

void unpack(std::span<const std::byte> message, StretchBatch& into) {
  static_assert(sizeof(StretchHeader) % alignof(GlobalNode) == 0);
  while (!message.empty()) {
    StretchHeader header;
    std::memcpy(&header, message.data(), sizeof header);
    message = message.subspan(sizeof header);
    // Aligned: messages are, and hold nothing but headers and nodes.
    into.add(header.key, header.stretch, {reinterpret_cast<const GlobalNode*>(message.data()), header.count});
    message = message.subspan(header.count * sizeof(GlobalNode));
  }
}

}  // namespace

void StretchBatch::add(WalkKey key, const WalkStretch& stretch, std::span<const GlobalNode> path) {
  keys.push_back(key);
  stretches.push_back(stretch);
  nodes.insert(nodes.end(), path.begin(), path.end());
  ends.push_back(static_cast<std::uint32_t>(nodes.size()));
}

void StretchBatch::reserve(std::size_t stretch_count, std::size_t node_count) {
  keys.reserve(stretch_count);
  stretches.reserve(stretch_count);
  ends.reserve(stretch_count);
  nodes.reserve(node_count);
}

void StretchBatch::clear() {
  keys.clear();
  stretches.clear();
  ends.clear();
  nodes.clear();
}

void cut_by_owner(std::span<const GlobalNode> path, std::span<const GlobalNode> rank_bounds,
                  std::uint32_t shortest_stretch, std::vector<OwnedStretch>& stretches) {
  stretches.clear();
  cluster::Rank owner = -1;
  GlobalNode owner_first = 0;
  GlobalNode owner_count = 0;
  std::uint32_t run_begin = 0;
  for (std::uint32_t i = 0; i < path.size(); ++i) {
    // Most steps stay with their owner.
    if (path[i] - owner_first >= owner_count) {
      owner = owner_of(rank_bounds, path[i]);
      owner_first = rank_bounds[owner];
      owner_count = rank_bounds[owner + 1] - owner_first;
      run_begin = i;
    }
    if (stretches.empty()) {
      stretches.push_back({owner, 0, 0});
    } else if (owner != stretches.back().owner && i + 1 - run_begin >= shortest_stretch) {
      stretches.back().last_centre = run_begin;
      stretches.push_back({owner, run_begin, 0});
    }
  }
  if (!stretches.empty()) stretches.back().last_centre = static_cast<std::uint32_t>(path.size());
}

StretchBatch share_out(cluster::Communicator& communicator, const StretchBatch& walks,
                       std::span<const GlobalNode> rank_bounds, const StretchOptions& options,
                       std::uint64_t& bytes_sent) {
  const auto ranks = static_cast<std::size_t>(communicator.size());
  std::vector<OwnedStretch> cuts;  // of one walk after the other
  std::vector<std::size_t> ends;
  std::vector<OwnedStretch> cuts_of_walk;
  std::vector<double> centres_by_owner(ranks, 0.0);
  for (std::size_t i = 0; i < walks.size(); ++i) {
    cut_by_owner(walks.path(i), rank_bounds, options.shortest_stretch, cuts_of_walk);
    for (const OwnedStretch& cut : cuts_of_walk) centres_by_owner[cut.owner] += cut.last_centre - cut.first_centre;
    cuts.insert(cuts.end(), cuts_of_walk.begin(), cuts_of_walk.end());
    ends.push_back(cuts.size());
  }
  Surplus surplus(communicator, centres_by_owner, options.most_over_mean);
  StretchBatch own;
  own.reserve(cuts.size(), walks.nodes.size());
  std::vector<cluster::Bytes> outgoing(ranks);
  std::size_t next = 0;
  for (std::size_t i = 0; i < walks.size(); ++i) {
    const auto path = walks.path(i);
    for (; next < ends[i]; ++next) {
      const OwnedStretch& cut = cuts[next];
      const std::uint32_t first = cut.first_centre - std::min(cut.first_centre, options.window);
      const auto last = std::min<std::size_t>(path.size(), std::size_t{cut.last_centre} + options.window);
      const WalkStretch stretch{first, cut.first_centre, cut.last_centre};
      const auto part = path.subspan(first, last - first);
      if (cut.owner == communicator.rank() || surplus.stays(cut.owner, cut.last_centre - cut.first_centre)) {
        own.add(walks.keys[i], stretch, part);
      } else {
        append(outgoing[cut.owner], walks.keys[i], stretch, part);
      }
    }
  }
  for (const cluster::Bytes& message : outgoing) bytes_sent += message.size();
  for (const cluster::Bytes& message : communicator.exchange(outgoing)) unpack(message, own);
  return own;
}

}  // namespace knotwork::worker
