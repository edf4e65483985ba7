// Random walks over a graph slice: uniform, weighted, node2vec (Grover and Leskovec, KDD 2016), with restart.
//
// A step's randomness is Philox(seed, kWalkStep, original start node, walk, step, trial), and "the k-th neighbour" is
// counted in degree-rank order, so a walk is the same on any thread, rank and part. Node2vec is exact by rejection
// sampling (Yang et al., KnightKing, SOSP 2019): no alias table per edge. Walkers are advanced many at a time, in
// stages with prefetches, so that memory latency is hidden (Sun et al., ThunderRW, VLDB 2021).
//
// Which number decides what is part of the reproducibility contract. A step's number is its place in the path (the
// start is 0); w0..w3 are the words of one Philox block.
//   first order (p = q = 1): step s draws its arc with word s mod 4 of block (s / 4, trial 0); with a restart option,
//     word s mod 4 of block (s / 4, trial 1) says whether it jumps back.
//   node2vec: trial t of step s uses block (s, t): w0 draws the arc, w1 accepts or rejects, w2 (trial 0 only) says
//     whether the walk jumps back, w3 whether the draw falls on the return edge's surplus.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
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
  /// Return parameter p and in-out parameter q of node2vec, each from 1/1024 to 1024; 1 and 1 give first-order walks.
  /// A step from `previous` over `node` to c has weight 1/p if c is `previous`, 1 if the arc (previous, c) exists, 1/q
  /// otherwise, times the arc's weight if `weighted`. The first step, and the one after a restart, are of first order.
  double p = 1.0;
  double q = 1.0;
  /// Probability, before each step, of jumping back to the start node instead; from 0 to less than 1.
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
  GlobalNode previous;          ///< node2vec: node before, or kInvalidNode
  GlobalNode candidate;         ///< node2vec: proposed next node while waiting for an answer, else kInvalidNode
  std::uint32_t trial;          ///< node2vec: rejections so far in this step; top bit: `candidate` was accepted
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
/// Reusing one batch for many calls of `generate` reuses its memory.
struct WalkBatch {
  std::uint32_t stride = 0;
  std::vector<GlobalNode> paths;
  std::vector<std::uint32_t> lengths;
  /// Scratch of `generate`.
  std::vector<Walker> walkers;
  std::vector<WalkerState> states;
  std::size_t size() const { return lengths.size(); }
  std::span<const GlobalNode> path(std::size_t index) const { return {paths.data() + index * stride, lengths[index]}; }
};

/// Names the walk number `walk` of a start node.
struct WalkStart {
  GlobalNode node;
  std::uint32_t walk;
};

struct WalkTables;

/// Makes walks over one graph slice. Cheap to copy (copies share the tables). Thread-safe after construction: any
/// number of threads may call the const methods, each with its own buffers.
class WalkEngine {
 public:
  /// Builds what sampling needs (for weighted walks: 4 bytes an arc of fixed-point cumulative weights), in parallel.
  /// Throws partition::InputError on options out of range (p or q outside [1/1024, 1024], restart outside [0, 1),
  /// length 0, weighted walks on an unweighted graph) and on weights that cannot be sampled from.
  WalkEngine(Graph graph, WalkOptions options);

  const WalkOptions& options() const { return options_; }
  const Graph& graph() const { return graph_; }
  /// Memory of the tables beside the graph.
  std::uint64_t table_bytes() const;

  /// Whole walks for `starts`; walk i is row i of `batch`. 256 to 1024 starts a call keep all walkers busy and the
  /// paths in cache. REQUIRES a slice that holds every node that a walk can reach (one rank).
  void generate(std::span<const WalkStart> starts, WalkBatch& batch) const;

  /// A walker at its start node, which `advance` expects to be in slot `slot` at position 0 already.
  /// REQUIRES holds(start.node).
  Walker start_walker(WalkStart start, std::uint32_t slot, std::uint32_t home_rank) const;

  /// Moves every walker until it finishes, leaves this slice, or must ask another slice. Nodes are written to
  /// paths[walker.slot * stride + step]; within a slot nothing before walker.step is touched, and what lies behind it
  /// is left undefined. states[i] says how walkers[i] ended. REQUIRES holds(walkers[i].node), stride >= length, and
  /// walkers that waited for an answer to have come back through `answer`.
  void advance(std::span<Walker> walkers, std::span<WalkerState> states, std::span<GlobalNode> paths,
               std::uint32_t stride) const;

  /// Settles a kAskAdjacency walker where `previous` is held (for an undirected graph: or where `candidate` is):
  /// accepts or rejects its candidate. Afterwards the walker is ready for `advance` where walker.node is held. An
  /// accepted candidate becomes walker.node's next step there.
  void answer(Walker& walker) const;

 private:
  Graph graph_;
  WalkOptions options_;
  std::shared_ptr<const WalkTables> tables_;
};

}  // namespace knotwork::embeddings
