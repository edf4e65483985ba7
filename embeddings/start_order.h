// The start nodes of a round of walks in pseudo-random order, without memory: a keyed permutation of 0 .. n-1.
//
// An alternating Feistel network over the next power of two, whose round function is Philox, and cycle walking into
// 0 .. n-1 (Black and Rogaway, "Ciphers with arbitrary finite domains", CT-RSA 2002). It is a pure function of (seed,
// round, n) and speaks of original nodes, so the order is the same for any number of threads, ranks and parts.
#pragma once

#include <cstdint>
#include <vector>

#include "partition/graph.h"
#include "partition/ids.h"

namespace knotwork::embeddings {

/// The permutation of one round (an epoch's or a corpus's walk number). Cheap to make and copy; thread-safe.
class StartOrder {
 public:
  /// Orders nodes 0 .. node_count - 1.
  StartOrder(std::uint64_t seed, std::uint32_t round, partition::OriginalNode node_count);

  partition::OriginalNode node_count() const { return node_count_; }
  /// The node at place `index`. REQUIRES index < node_count(). About 0.1 microseconds.
  partition::OriginalNode at(partition::OriginalNode index) const;

 private:
  std::uint32_t scramble(std::uint32_t value) const;

  std::uint64_t seed_;
  std::uint32_t round_;
  partition::OriginalNode node_count_;
  unsigned low_bits_;
  unsigned high_bits_;
};

/// The global node of every original node. REQUIRES graph.is_whole() (std::invalid_argument otherwise).
std::vector<partition::GlobalNode> global_of_original(const partition::Graph& graph);

}  // namespace knotwork::embeddings
