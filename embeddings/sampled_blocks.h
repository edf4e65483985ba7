// The sampled neighbourhood of a mini-batch, as one gather of rows and a mean over segments need it.
//
// All its nodes stand in one list without repetition: the seeds, then those that the first hop adds, and so on. So the
// destinations of every hop are a beginning of its sources, and rows are gathered once. Hop h is a bipartite graph in
// CSR form: destination i (place i of the list, i < reach[h]) draws from sources at places below reach[h + 1]. A model
// of L layers runs the hops from the last to the first (Hamilton, Ying, Leskovec, "Inductive representation learning on
// large graphs", NeurIPS 2017, algorithm 2).
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "partition/ids.h"

namespace knotwork::embeddings {

/// Lists one after another: list i is entries[offsets[i] .. offsets[i + 1]).
struct NeighbourLists {
  std::vector<partition::ArcIndex> offsets{0};
  std::vector<std::uint32_t> entries;

  std::size_t size() const { return offsets.size() - 1; }
  std::span<const std::uint32_t> list(std::size_t index) const {
    return std::span(entries).subspan(offsets[index], offsets[index + 1] - offsets[index]);
  }
};

struct SampledBlocks {
  /// Global nodes without repetition, in the order in which they are first met.
  std::vector<partition::GlobalNode> nodes;
  /// hops + 1 counts: the first reach[h] nodes are those within h hops of a seed. reach[0]: different seeds.
  std::vector<std::uint32_t> reach;
  /// By hop, from the seeds outwards: reach[h] lists, whose entries are places in `nodes`.
  std::vector<NeighbourLists> hops;
  /// The place in `nodes` of every seed, as they were given.
  std::vector<std::uint32_t> seed_places;

  /// Entries of all hops.
  std::uint64_t arc_count() const;
};

/// The arcs of a hop the other way round, for sums over destinations (gradients): list s names the destinations that
/// drew source s, rising. `sources`: reach[h + 1].
NeighbourLists transposed(const NeighbourLists& hop, std::size_t sources);

/// Gives nodes their places in order of appearance. Reusing one for many batches reuses its memory. Not thread-safe:
/// one for each thread that makes batches.
///
/// The table from nodes to places has open addressing and grows with the batch, not with the graph: it stays in the
/// second-level cache, and a rank never holds an array over all nodes.
class BlockBuilder {
 public:
  /// Forgets the batch before. Seeds may repeat.
  void begin(std::span<const partition::GlobalNode> seeds);
  /// The nodes so far: the destinations of the next hop.
  std::span<const partition::GlobalNode> nodes() const { return blocks_.nodes; }
  /// The next hop: `lists` has a list of global nodes for each of nodes(), and is taken.
  void add_hop(NeighbourLists&& lists);
  /// Memory of a batch before, for the lists of the next hop.
  NeighbourLists spare_lists();
  const SampledBlocks& blocks() const { return blocks_; }
  /// Hands the batch over; the next one starts with fresh memory.
  SampledBlocks take();

 private:
  /// A node and its place; kEmpty in both if there is none.
  struct Slot {
    partition::GlobalNode node;
    std::uint32_t place;
  };
  std::size_t home_of(partition::GlobalNode node) const {
    return (node * std::uint64_t{0x9E3779B97F4A7C15}) >> shift_;  // Fibonacci hashing (Knuth, TAOCP 3, 6.4).
  }
  std::uint32_t place_of(partition::GlobalNode node);
  void replace_by_places(std::span<std::uint32_t> nodes);
  void grow();

  SampledBlocks blocks_;
  std::vector<NeighbourLists> spare_;
  std::vector<Slot> slots_;
  unsigned shift_ = 64;
};

}  // namespace knotwork::embeddings
