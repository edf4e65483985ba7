// Synthetic graphs: R-MAT (few hubs, many leaves, no communities) and the stochastic block model (communities that are
// known). Every edge is a function of the seed and its place, so that any number of threads writes the same file.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "partition/build_graph.h"

namespace knotwork::partition {

/// Chakrabarti, Zhan, Faloutsos: "R-MAT: A recursive model for graph mining", SDM 2004, with Graph500's parameters.
/// An edge falls into one of the four quadrants of the adjacency matrix with probabilities a, b, c and 1 - a - b - c,
/// again and again, `scale` times; then node ids are permuted (Graph500's scramble), so that they say nothing.
/// Doubles and self-loops are kept, as Graph500 does: the reader merges and drops them.
struct RmatOptions {
  /// 2^scale nodes, 1 to 31.
  unsigned scale = 16;
  /// Edges per node.
  unsigned edge_factor = 16;
  double a = 0.57;
  double b = 0.19;
  double c = 0.19;
  std::uint64_t seed = 1;
  std::uint64_t node_count() const { return std::uint64_t{1} << scale; }
  std::uint64_t edge_count() const { return node_count() * edge_factor; }
};

/// Holland, Laskey, Leinhardt: "Stochastic blockmodels: First steps", Social Networks 5, 1983: `blocks` groups of equal
/// size (up to one), every pair inside a group an edge with probability `inside`, every other pair with `outside`.
/// Undirected, no doubles, no loops. Node v belongs to block v * blocks / nodes.
struct SbmOptions {
  std::uint64_t nodes = 1000;
  std::uint64_t blocks = 10;
  double inside = 0.05;
  double outside = 0.001;
  std::uint64_t seed = 1;
};

struct GenerateReport {
  std::uint64_t node_count = 0;
  std::uint64_t edge_count = 0;
};

/// Edge `index` (below options.edge_count()). Safe from any thread.
Edge rmat_edge(const RmatOptions& options, std::uint64_t index);

/// The block of a node.
std::uint64_t sbm_block(const SbmOptions& options, std::uint64_t node);

/// Edges of `node` to higher nodes, rising. Takes time proportional to their number (skips of
/// geometric length: Batagelj, Brandes: "Efficient generation of large random networks", Phys. Rev. E 71, 2005).
void append_sbm_edges(const SbmOptions& options, OriginalNode node, std::vector<Edge>& edges);

/// Writes an edge list, "source TAB target" a line, gzip-compressed if `path` ends in .gz. The file bears its name only
/// when it is whole. Uses all OpenMP threads. Throws InputError for options out of range or a path that cannot be
/// written, SystemError if the disk fails.
GenerateReport write_rmat(const RmatOptions& options, const std::string& path);

/// The same for the block model. `labels_path`: if not empty, also "node TAB block" lines, as `eval classify` reads.
GenerateReport write_sbm(const SbmOptions& options, const std::string& path, const std::string& labels_path = "");

}  // namespace knotwork::partition
