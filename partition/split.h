// Hiding edges for link prediction: some edges go, the rest is what a method may learn from, and as many pairs without
// an edge are drawn to be told apart from them.
//
// A spanning forest always stays in train, so that every node with an edge keeps one (Grover, Leskovec: "node2vec",
// KDD 2016, section 4.4, asks for a connected rest). Which edges it takes, and which of the others are hidden, is
// decided by a random order of the edges that is a function of the seed and the ends' original nodes: the split is the
// same for any number of threads and however the graph is numbered.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "partition/build_graph.h"
#include "partition/graph.h"
#include "partition/node_names.h"

namespace knotwork::partition {

/// How pairs without an edge are drawn. With `kUniform` ones, "both ends have many neighbours" already tells edges from
/// non-edges on graphs with hubs; `kDegree` takes that hint away.
enum class NegativeSampling {
  /// Both ends uniform among all nodes.
  kUniform,
  /// Both ends proportional to their degree in the full graph, redrawn while they are joined.
  kDegree,
};

std::string_view negative_sampling_name(NegativeSampling sampling);

struct SplitOptions {
  /// Fraction of the edges to hide, in (0, 1).
  double test = 0.5;
  NegativeSampling negatives = NegativeSampling::kUniform;
  std::uint64_t seed = 1;
};

struct SplitReport {
  std::uint64_t edge_count = 0;
  std::uint64_t train_edges = 0;
  std::uint64_t test_edges = 0;
  /// Edges that had to stay in train to keep every component together.
  std::uint64_t forest_edges = 0;
  /// test_edges / edge_count: below options.test if the forest needed the edges.
  double test_fraction = 0;
  /// One line for the user, if the fraction could not be reached; else empty.
  std::string notice;
};

/// Pairs of original nodes. An edge of an undirected graph is there once, smaller original node first. In a directed
/// graph both directions of a pair are in train or both in test: one would give the other away.
struct EdgeSplit {
  SplitOptions options;
  SplitReport report;
  bool directed = false;
  std::vector<Edge> train;
  /// As train, or empty if the graph is unweighted.
  std::vector<float> train_weights;
  std::vector<Edge> test_positives;
  /// As many as test_positives: distinct pairs with no edge in either direction in the full graph.
  std::vector<Edge> test_negatives;
  /// As many as train; distinct from one another and from the test negatives.
  std::vector<Edge> train_negatives;
};

/// Splits the edges of a whole graph (any number of parts). Throws InputError if options.test is out of range, the
/// graph has no edges, or it is too dense for so many pairs without an edge. REQUIRES: whole.is_whole().
EdgeSplit split_edges(const Graph& whole, const SplitOptions& options);

/// Writes train.tsv (with weights if there are any), test_pos.tsv, test_neg.tsv and train_neg.tsv, "name TAB name" a
/// line, and split.json (options and counts) last. The folder is made if it is missing. Each file bears its name only
/// when it is whole. Throws InputError if `folder` cannot be written, SystemError if the disk fails.
void write_split(const EdgeSplit& split, const NodeNames& names, const std::string& folder);

}  // namespace knotwork::partition
