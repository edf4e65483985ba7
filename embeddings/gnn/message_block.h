// Which rows send messages to which: the graph of one layer, by target for the forward pass and by source for backward.
//
// A block of the full graph is square. A sampled block has as targets the rows that are wanted and as sources those
// rows followed by the neighbours that were drawn; its arcs are the drawn ones.
//
// Normalisation is done once, when the block is made:
//
//   symmetric  c_ij = w_ij f_i / sqrt((d_i + 1) (d_j + 1)), c_ii = 1 / (d_i + 1): D^-1/2 (A + I) D^-1/2 of Kipf and
//              Welling, ICLR 2017
//   mean       c_ij = w_ij / s_i, c_ii = 0
//   mean_self  c_ij = w_ij f_i / (d_i + 1), c_ii = 1 / (d_i + 1)
//   none       c_ij and c_ii are not used (attention, maximum)
//
// where s_i is the sum of the weights of i's arcs in this block, d_i the same in the whole graph, and f_i = d_i / s_i
// makes up for arcs that were not drawn (1 where all are there).
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace knotwork::embeddings::gnn {

enum class Normalisation : std::uint8_t { kNone, kSymmetric, kMean, kMeanSelf };

/// The arcs of a block as they are collected; they must be in the same order for the same graph.
struct BlockArcs {
  std::uint32_t targets = 0;
  /// Rows of the layer's input; the first `targets` of them are the targets themselves. At least `targets`.
  std::uint32_t sources = 0;
  /// targets + 1 positions into `neighbours`.
  std::vector<std::uint64_t> offsets{0};
  /// Below `sources`; a target is not its own neighbour: a loop is what c_ii is for.
  std::vector<std::uint32_t> neighbours;
  /// As neighbours; empty: all 1.
  std::vector<float> weights;
  /// d of every source in the whole graph, for kSymmetric and kMeanSelf; empty: that of this block (square blocks).
  std::vector<float> degrees;
};

/// Immutable once made. Spans of kernels point into it.
struct MessageBlock {
  std::uint32_t targets = 0;
  std::uint32_t sources = 0;
  std::vector<std::uint64_t> offsets;
  std::vector<std::uint32_t> neighbours;
  /// c_ij, as neighbours; empty for kNone.
  std::vector<float> coefficients;
  /// c_ii, one for each target; empty for kNone and kMean.
  std::vector<float> self_coefficients;
  /// The same arcs by source: sources + 1 positions into the others. Targets rise within a source.
  std::vector<std::uint64_t> reverse_offsets;
  std::vector<std::uint32_t> reverse_targets;
  /// Places of those arcs in `neighbours`.
  std::vector<std::uint64_t> reverse_arcs;
  std::vector<float> reverse_coefficients;

  std::uint64_t arcs() const { return neighbours.size(); }
};

/// Takes `arcs` over. O(arcs). Throws std::invalid_argument if sizes or neighbours don't fit.
MessageBlock make_block(BlockArcs arcs, Normalisation normalisation);

}  // namespace knotwork::embeddings::gnn
