// Random walks over a graph slice: uniform, weighted, node2vec (Grover and Leskovec, KDD 2016), with restart.
//
// A step's randomness is Philox(seed, kWalkStep, original start node, walk, step, trial), and "the k-th neighbour" is
// counted in degree-rank order, so a walk is the same on any thread, rank and part. Node2vec is exact by rejection
// sampling (Yang et al., KnightKing, SOSP 2019): no alias table per edge. Walkers are advanced many at a time, in
// stages with prefetches, so that memory latency is hidden (Sun et al., ThunderRW, VLDB 2021).
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "partition/graph.h"

namespace knotwork::embeddings {

using partition::GlobalNode;
using partition::Graph;
using partition::OriginalNode;

struct WalkOptions {
  /// Nodes in a walk, the start included. Walks end early only at a node without arcs.
  std::uint32_t length = 80;
  /// Return parameter p and in-out parameter q of node2vec; 1 and 1 give first-order walks.
  double p = 1.0;
  double q = 1.0;
  /// Probability, before each step, of jumping back to the start node.
  double restart = 0.0;
  /// Neighbours are drawn in proportion to arc weights. REQUIRES a weighted graph.
  bool weighted = false;
  std::uint64_t seed = 1;
};

/// One walk in progress. Trivially copyable: under MPI it travels to the rank that holds `node` as it is.
struct Walker {
  OriginalNode start_original;  ///< keys the random numbers, with `walk`
  GlobalNode start;             ///< where a restart jumps to
  std::uint32_t walk;           ///< number of the walk among the walks of its start node
  std::uint32_t step;           ///< nodes already in the path; the path's next slot
  GlobalNode node;              ///< where the walker is
  GlobalNode previous;          ///< node before, or kInvalidNode
  GlobalNode candidate;         ///< node2vec: proposed next node while waiting for an answer, else kInvalidNode
  std::uint32_t trial;          ///< node2vec: rejections so far in this step
  std::uint32_t slot;           ///< row of the caller's path buffer that this walker writes to
  std::uint32_t home_rank;      ///< free for the caller's use: where the finished path belongs
};

/// Why `advance` stopped moving a walker.
enum class WalkerState : std::uint8_t {
  kFinished,      ///< the path has `length` nodes, or the walk met a node without arcs
  kLeft,          ///< walker.node (already written to the path) is not held by this slice
  kAskAdjacency,  ///< node2vec: whether arc (previous, candidate) exists must be asked where `previous` is held
};

/// A finished batch: row i holds lengths[i] global nodes at paths[i * stride].
struct WalkBatch {
  std::uint32_t stride = 0;
  std::vector<GlobalNode> paths;
  std::vector<std::uint32_t> lengths;
  std::size_t size() const { return lengths.size(); }
  std::span<const GlobalNode> path(std::size_t index) const { return {paths.data() + index * stride, lengths[index]}; }
};

/// Names the walk number `walk` of a start node.
struct WalkStart {
  GlobalNode node;
  std::uint32_t walk;
};

/// Makes walks over one graph slice. Thread-safe after construction: any number of threads may call the const methods.
class WalkEngine {
 public:
  /// Builds what sampling needs (for weighted walks: 4 bytes an arc of fixed-point cumulative weights).
  /// Throws partition::InputError on options out of range (p, q <= 0, restart outside [0, 1), length 0, weighted
  /// walks on an unweighted graph).
  WalkEngine(Graph graph, WalkOptions options);

  const WalkOptions& options() const { return options_; }

  /// Whole walks for `starts`. REQUIRES a slice that holds every node that a walk can reach (one rank).
  void generate(std::span<const WalkStart> starts, WalkBatch& batch) const;

  /// A walker at its start node, which `generate` and `advance` expect to be in slot `slot` at position 0 already.
  Walker start_walker(WalkStart start, std::uint32_t slot, std::uint32_t home_rank) const;

  /// Moves every walker until it finishes, leaves this slice, or must ask another slice. Nodes are written to
  /// paths[walker.slot * stride + step]. states[i] says how walkers[i] ended. REQUIRES holds(walkers[i].node), and
  /// walkers that waited for an answer to come back through `answer`.
  void advance(std::span<Walker> walkers, std::span<WalkerState> states, std::span<GlobalNode> paths,
               std::uint32_t stride) const;

  /// Settles a kAskAdjacency walker where `previous` is held: accepts or rejects its candidate. Afterwards the walker
  /// is ready for `advance` where walker.node is held. An accepted candidate becomes walker.node's next step there.
  void answer(Walker& walker) const;

 private:
  Graph graph_;
  WalkOptions options_;
};

}  // namespace knotwork::embeddings
