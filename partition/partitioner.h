// Cutting a graph into K parts: every node gets a part, few edges run between parts, parts are equally large.
//
// METIS k-way (Karypis, Kumar: "A fast and high quality multilevel scheme for partitioning irregular graphs", SIAM J.
// Sci. Comput. 20(1), 1998) is the default. Where it cannot serve (its 32-bit indices, the memory limit, a failure)
// the streaming partitioner Fennel takes over and the report says so. `hash` and `range` are there for comparison.
// No partitioner is believed: every result is checked, mended if parts are empty, and measured by our own code.
//
// What is balanced: the number of nodes. Training work is proportional to walks, that is to nodes, and so are the
// tables of vectors, which are far larger than the arcs; the balance of arcs is reported beside it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "partition/graph.h"

namespace knotwork::partition {

enum class PartitionMethod { kMetis, kFennel, kHash, kRange };

/// "metis", "fennel", "hash" or "range".
std::string_view partition_method_name(PartitionMethod method);
/// The method of that name, or nothing.
std::optional<PartitionMethod> find_partition_method(std::string_view name);

struct PartitionOptions {
  /// How many parts: at least 1, at most the number of nodes.
  Part parts = 1;
  PartitionMethod method = PartitionMethod::kMetis;
  /// How much larger than the mean the largest part may be, in nodes: 0.03 is 3 %. `hash` ignores it.
  double imbalance = 0.03;
  /// Same seed, same parts, for any number of threads.
  std::uint64_t seed = 1;
  /// Most bytes that partitioning may take beside the graph; 0: no limit. METIS takes up to 56 bytes an arc.
  std::uint64_t memory_limit_bytes = 0;
};

struct PartitionReport {
  /// The method that made the parts: not the one asked for if METIS could not serve.
  PartitionMethod method_used = PartitionMethod::kMetis;
  /// Edges of the input that run between two parts; an undirected edge counts once.
  std::uint64_t edge_cut = 0;
  /// edge_cut / edges; 0 if there are none.
  double cut_fraction = 0;
  /// Nodes of the largest part × K ÷ n: 1 is perfect.
  double node_balance = 1;
  /// The same in arcs.
  double arc_balance = 1;
  /// Seconds inside the partitioner (METIS itself, or the streaming pass).
  double partitioner_seconds = 0;
  /// Seconds of preparing its input, and of checking, mending and measuring its result.
  double around_seconds = 0;
  /// One line for the user, e.g. why Fennel took over or that parts were mended; empty if all went as asked.
  std::string notice;
};

/// The part of every global node of `whole` (one entry a node, each < options.parts, no part empty).
/// REQUIRES: whole.is_whole(). Uses all OpenMP threads. METIS keeps its random state in libc's rand(), so calls that
/// use METIS wait for one another. Throws InputError if `parts` is 0 or larger than the node count, or `imbalance` is
/// not in (0, 10].
std::vector<Part> assign_parts(const Graph& whole, const PartitionOptions& options, PartitionReport& report);

}  // namespace knotwork::partition
