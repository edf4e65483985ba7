// Walks are trained where their nodes live. A finished walk lies on the rank where it began; here it is cut into
// stretches that lie in one rank's part, and each goes to that rank, with `window` positions on either side of it, so
// that the windows trained are exactly those of the whole walk. On a graph that is cut well most rows of a window are
// then the trainer's own: only windows near a crossing need rows of others.
//
// Excursions of fewer than shortest_stretch positions stay with the stretch around them. A part in which walks meet
// more often than elsewhere (hubs) would keep all others waiting, so a rank that would get more than its share leaves
// the surplus with the ranks where the walks began.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "cluster/communicator.h"
#include "embeddings/skipgram.h"
#include "partition/ids.h"

namespace knotwork::worker {

/// Stretches of walks: item i has nodes ends[i - 1] .. ends[i] - 1, which begin at its first_position.
struct StretchBatch {
  std::vector<embeddings::WalkKey> keys;
  std::vector<embeddings::WalkStretch> stretches;
  std::vector<std::uint32_t> ends;
  std::vector<partition::GlobalNode> nodes;

  std::size_t size() const { return keys.size(); }
  std::uint32_t begin(std::size_t i) const { return i == 0 ? 0 : ends[i - 1]; }
  std::span<const partition::GlobalNode> path(std::size_t i) const {
    return std::span(nodes).subspan(begin(i), ends[i] - begin(i));
  }
  std::uint32_t centres(std::size_t i) const { return stretches[i].last_centre - stretches[i].first_centre; }
  void add(embeddings::WalkKey key, const embeddings::WalkStretch& stretch,
           std::span<const partition::GlobalNode> path);
  void reserve(std::size_t stretch_count, std::size_t node_count);
  void clear();
};

struct StretchOptions {
  std::uint32_t window = 10;
  /// At least so many positions in a row must lie with another rank before it takes over.
  std::uint32_t shortest_stretch = 5;
  /// A rank gets at most so much more than the mean of all ranks.
  double most_over_mean = 1.02;
};

/// A part of a path, without margins, whose rank is to train it.
struct OwnedStretch {
  cluster::Rank owner;
  std::uint32_t first_centre;
  std::uint32_t last_centre;
};
/// Cuts `path` by owner; rank_bounds as in DistributedGraph. `stretches` becomes those that cover it, in order.
void cut_by_owner(std::span<const partition::GlobalNode> path, std::span<const partition::GlobalNode> rank_bounds,
                  std::uint32_t shortest_stretch, std::vector<OwnedStretch>& stretches);

/// Collective: `walks` are whole walks of this rank; returns the stretches that this rank is to train. `bytes_sent` is
/// raised by what left.
StretchBatch share_out(cluster::Communicator& communicator, const StretchBatch& walks,
                       std::span<const partition::GlobalNode> rank_bounds, const StretchOptions& options,
                       std::uint64_t& bytes_sent);

}  // namespace knotwork::worker
