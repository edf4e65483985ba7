// Fingerprints: where random walks with restart end, for every node, made once and reused by every query.
//
// A walk from u stops before each step with probability alpha; it then stands at v with probability pi_u(v), so the
// ends of many walks are a sample of u's personalized PageRank (Fogaras, Racz, Csalogany, Sarlos: "Towards scaling
// fully personalized PageRank", Internet Mathematics 2, 2005). Queries combine the fingerprints of many nodes
// (ppr_query.h; PowerWalk: Liu, Li, Lui, Cheng, CIKM 2016). Node u has walks in proportion to its arcs, since that is
// what a query may need of it (FORA: Wang et al., KDD 2017); hubs have the more, and no node is without.
//
// A walk that would go on from a dangling node returns to its source; as fingerprints serve sources that are not known
// yet, its end is the mark kReturned, and the query does the rest.
//
// Walk number w of node u is a function of (seed, original node, w) alone: Philox block 0 gives its length (word 0) and
// its first three steps, each further block four more. So an index file and walks made when they are needed are the
// same.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "embeddings/ppr_graph.h"
#include "partition/huge_array.h"
#include "partition/section_file.h"

namespace knotwork::embeddings {

/// The end of a walk that would go on from a dangling node.
inline constexpr GlobalNode kReturned = partition::kInvalidNode;

struct FingerprintOptions {
  /// alpha; above 0, below 1.
  double restart = 0.15;
  /// Walks of a node on average.
  std::uint32_t walks = 64;
  std::uint64_t seed = 1;
  bool operator==(const FingerprintOptions&) const = default;
};

/// Names a walk.
struct FingerprintWalk {
  GlobalNode start;
  std::uint32_t number;
};

/// Makes walks. Immutable: any number of threads may use one.
class FingerprintWalker {
 public:
  /// `graph` must outlive the walker. Builds 4 bytes an arc if it is weighted. Throws partition::InputError if an
  /// option is out of range.
  FingerprintWalker(const TransitionGraph& graph, const FingerprintOptions& options);

  /// Walks that a node has: walks * nodes * arcs of the node / arcs of the graph, rounded, at least one.
  std::uint32_t count(GlobalNode node) const;
  /// Walks of all nodes, and where each node's begin (node_count + 1 positions).
  std::vector<std::uint64_t> offsets() const;
  /// Walks an arc has, on average.
  double walks_per_arc() const { return walks_per_arc_; }

  /// ends[i]: where walk i ends, a node by degree rank or kReturned. Many walks are in flight at a time, so that the
  /// memory's answers are waited for together (ThunderRW: Sun et al., VLDB 2021).
  void run(std::span<const FingerprintWalk> walks, std::span<GlobalNode> ends) const;

  const TransitionGraph& graph() const { return graph_; }
  const FingerprintOptions& options() const { return options_; }

 private:
  std::uint32_t length_of(std::uint32_t bits) const;
  partition::ArcIndex draw_arc(GlobalNode node, std::uint32_t bits) const;
  void run_group(std::span<const FingerprintWalk> walks, std::span<GlobalNode> ends) const;

  const TransitionGraph& graph_;
  FingerprintOptions options_;
  double walks_per_arc_;
  // longer_than_[k]: walks whose word is below it have more than k steps; falling.
  std::vector<std::uint32_t> longer_than_;
  partition::HugeArray<std::uint32_t> cumulative_;
};

/// The ends of all walks of all nodes, in memory or in a mapped file. Immutable, safe from any thread.
class FingerprintIndex {
 public:
  /// Makes all walks with OpenMP's threads; the result does not depend on their number.
  static FingerprintIndex make(const FingerprintWalker& walker);
  /// Opens a file that write() wrote and compares all checksums. Throws partition::InputError: not there, damaged, of
  /// another version, made from another graph or with other options (the message says which).
  static FingerprintIndex open(const std::string& path, const FingerprintWalker& walker);

  /// Writes the file beside and renames it. Format: docs/formats.md. Throws partition::InputError, SystemError.
  void write(const std::string& path) const;

  std::span<const GlobalNode> ends(GlobalNode node) const {
    return ends_.subspan(offsets_[node], offsets_[node + std::size_t{1}] - offsets_[node]);
  }
  /// Asks memory for what ends() reads first, and for what is read of its result.
  void prefetch_bounds(GlobalNode node) const { __builtin_prefetch(&offsets_[node]); }
  void prefetch_ends(GlobalNode node) const { __builtin_prefetch(ends_.data() + offsets_[node]); }
  std::uint64_t walk_count() const { return ends_.size(); }

 private:
  explicit FingerprintIndex(const FingerprintWalker& walker);
  void fill(const FingerprintWalker& walker);

  std::uint64_t graph_checksum_ = 0;
  FingerprintOptions options_;
  GlobalNode node_count_ = 0;
  std::vector<std::uint64_t> offsets_;
  std::span<const GlobalNode> ends_;
  partition::HugeArray<GlobalNode> made_;
  std::optional<partition::SectionFile> file_;
};

/// Checksum of a transition matrix: which graph an index belongs to.
std::uint64_t graph_checksum(const TransitionGraph& graph);

}  // namespace knotwork::embeddings
