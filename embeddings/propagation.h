// What all methods of the propagation family share: rows that are passed along arcs some times, by one linear step.
//
//   x(0)   = a_i * initial rows
//   x(k+1) = damping * (strength_i + self)^-1 * (sum over j of w_ij x(k)_j + self * x(k)_i) + restart * x(0)_i
//
// Row-normalised (random walk) steps are this as it stands. The symmetric step D^-1/2 (A + self I) D^-1/2 of Kipf and
// Welling (GCN, ICLR 2017) is the same with D^-1/2 before the first power and D^1/2 behind what is collected, since
// D^-1/2 (D^-1/2 A D^-1/2) = (D^-1 A) D^-1/2: one kernel serves both.
//
// A plan says which powers are kept and where. Powers with the same layer are added up with their weights; layers are
// merged at the end (layered_matrix.h).
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "embeddings/propagation_kernel.h"
#include "partition/graph.h"

namespace knotwork::embeddings {

/// What becomes of one power.
struct Tap {
  /// Layer to which it is added; empty: it is only a step on the way.
  std::optional<std::uint32_t> layer;
  float weight = 1;
};

struct PropagationPlan {
  /// Columns of x.
  std::size_t columns = 0;
  /// One for each power 0 .. K: K + 1 entries.
  std::vector<Tap> taps;
  std::uint32_t layers = 1;
  bool weighted = false;
  /// Symmetric normalisation instead of random-walk normalisation.
  bool symmetric = false;
  double self_weight = 0;
  double damping = 1;
  double restart = 0;
  /// Exponent of the degree in a_i (undirected: strength; directed: number of arcs that lead to the node). With
  /// `symmetric` it must be 0.
  double degree_exponent = 0;

  std::uint32_t powers() const { return static_cast<std::uint32_t>(taps.size() - 1); }
};

/// x(0) without a_i. Functions of nodes and columns; any thread may ask.
class InitialRows {
 public:
  InitialRows() = default;
  InitialRows(const InitialRows&) = delete;
  InitialRows& operator=(const InitialRows&) = delete;
  virtual ~InitialRows() = default;

  /// Whether rows of other ranks can be made here, too: they are functions of the original node alone.
  virtual bool reaches_others() const = 0;
  /// Columns first_column .. of a node, times `scale`. `local`: its local node, if it is an own one.
  /// REQUIRES: first_column is a multiple of 16.
  virtual void fill(partition::OriginalNode original, partition::LocalNode local, float scale, std::size_t first_column,
                    std::span<float> out) const = 0;
};

/// Factors of the slice's rows.
struct NodeScales {
  /// damping / (strength + self), 0 for a node without arcs if self is 0.
  std::vector<float> product;
  /// a_i.
  std::vector<float> initial;
  /// Of collected rows; empty: 1.
  std::vector<float> collected;
  /// Rows without an arc.
  std::uint64_t isolated = 0;
};

/// `arcs_to`: for a degree exponent on directed graphs, the arcs that lead to each row; else empty. Computed in double
/// in list order, rounded once. Throws partition::InputError if a row's weights add up to less than 1e-30 or more than
/// 1e30: sums in float would not be numbers.
NodeScales node_scales(const partition::Graph& slice, const PropagationPlan& plan,
                       std::span<const std::uint64_t> arcs_to);

/// Bounds of runs of rows with about `arcs` arcs each (and at most 2^16 rows), so that threads which take the next run
/// when they are free end at the same time.
std::vector<std::uint32_t> balanced_runs(std::span<const partition::ArcIndex> offsets, std::uint64_t arcs);

/// y for all rows, by `threads` threads.
void multiply(const ProductStep& step, std::span<const std::uint32_t> runs, unsigned threads);

/// Bytes of the last-level cache of this machine; 32 MiB if it doesn't say.
std::size_t last_level_cache_bytes();

/// The widest block of 16, 32 or 64 columns whose rows fit in half of the last-level cache; 16 if none does.
std::size_t fitting_block_width(std::size_t rows, BlockStorage storage);

}  // namespace knotwork::embeddings
