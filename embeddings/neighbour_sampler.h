// Neighbour sampling for mini-batches (Hamilton, Ying, Leskovec, "Inductive representation learning on large graphs",
// NeurIPS 2017, algorithm 2): for every node within h hops of the seeds, hop h draws at most fan_outs[h] neighbours,
// without replacement.
//
// A draw is a Philox function of (seed, original node, hop, epoch), and positions count in degree-rank order, so what a
// node draws is the same in any batch, and on any thread, rank and part. Positions come from Floyd's algorithm (Bentley
// and Floyd, "A sample of brilliance", CACM 30(9), 1987): draw k = 0, 1, ... takes t, uniform in 0 .. j with j = degree
// - fan-out + k, or j itself if t was taken before. Draw k uses word k mod 4 of the block (node, walk = epoch, step = k
// / 4, trial = hop): part of the reproducibility contract.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "embeddings/sampled_blocks.h"
#include "partition/graph.h"

namespace knotwork::embeddings {

/// A fan-out that draws nothing but takes every neighbour.
inline constexpr std::uint32_t kAllNeighbours = 0xffffffffU;

struct NeighbourSampleOptions {
  /// By hop, from the seeds outwards: the most neighbours of one node, or kAllNeighbours. 1 to 64 hops, each at
  /// least 1.
  std::vector<std::uint32_t> fan_outs{10, 10};
  std::uint64_t seed = 1;
  /// Threads that share the nodes of a hop.
  unsigned threads = 1;
};

/// Draws neighbours in one graph slice. Cheap to copy. All methods may be called from any thread.
class NeighbourSampler {
 public:
  /// Throws partition::InputError on options out of range.
  NeighbourSampler(partition::Graph slice, NeighbourSampleOptions options);

  const NeighbourSampleOptions& options() const { return options_; }
  std::uint32_t hop_count() const { return static_cast<std::uint32_t>(options_.fan_outs.size()); }
  const partition::Graph& graph() const { return graph_; }

  /// The neighbours (global nodes) that each of `nodes` draws in hop `hop`. In the order of the graph's list where all
  /// are taken, in the order of drawing otherwise. Whatever `lists` held is replaced; its memory is used again.
  /// REQUIRES: the slice holds all `nodes`; hop < hop_count().
  void draw(std::span<const partition::GlobalNode> nodes, std::uint32_t hop, std::uint32_t epoch,
            NeighbourLists& lists) const;

  /// The blocks around `seeds`, which may repeat: see builder.blocks(). REQUIRES: the slice holds every node within
  /// hop_count() - 1 hops of a seed (one rank).
  void sample(std::span<const partition::GlobalNode> seeds, std::uint32_t epoch, BlockBuilder& builder) const;

 private:
  void draw_range(std::span<const partition::GlobalNode> nodes, std::uint32_t hop, std::uint32_t epoch,
                  std::size_t first, NeighbourLists& lists) const;

  partition::Graph graph_;
  NeighbourSampleOptions options_;
};

}  // namespace knotwork::embeddings
