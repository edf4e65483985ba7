// METIS 5.1 k-way behind a narrow door: what it cannot serve is refused before it starts, and its result is not
// believed.
//
// Karypis, Kumar: "Multilevel k-way partitioning scheme for irregular graphs", J. Parallel Distrib. Comput. 48(1),
// 1998.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "partition/partitioner.h"
#include "partition/symmetric_view.h"

namespace knotwork::partition {

/// METIS' index type is 32 bits wide: neither nodes nor arcs (both directions counted) may reach this.
inline constexpr std::uint64_t kMetisMaxArcs = (std::uint64_t{1} << 31) - 1;

/// Bytes that METIS allocates at its peak, and we for it, beside the graph itself: an upper estimate.
std::uint64_t metis_memory_estimate(std::uint64_t node_count, std::uint64_t arc_count);

/// Why METIS cannot serve a graph of this size under this limit (0: none), in words; empty if it can.
std::string metis_refusal(std::uint64_t node_count, std::uint64_t arc_count, std::uint64_t memory_limit_bytes);

/// Whole-number weights for METIS, symmetric where `weights` are; empty if they carry no information (all equal) or
/// there is no room for them: METIS adds up all arcs in 32 bits.
std::vector<std::int32_t> metis_edge_weights(std::span<const float> weights);

struct MetisResult {
  std::vector<Part> part_of;
  /// Seconds inside METIS.
  double seconds = 0;
  /// Why there is no usable result, in words; empty if every node has a part.
  std::string failure;
};

/// Partitions by node count. REQUIRES: metis_refusal(...) is empty, 2 <= options.parts <= graph.node_count.
/// Deterministic by options.seed. Safe to call from several threads: calls wait for one another.
MetisResult metis_partition(const SymmetricView& graph, const PartitionOptions& options);

}  // namespace knotwork::partition
