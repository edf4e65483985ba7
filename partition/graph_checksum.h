// One number that tells two graphs apart, whatever parts they are in: for files that fit one graph only.
#pragma once

#include <cstdint>

#include "partition/graph.h"

namespace knotwork::partition {

/// A sum, modulo 2^64, over all arcs of a hash of (original node, original node, weight), and over all nodes of one of
/// (original node, arcs that leave it): no order plays a part, and neither do parts and renumbering. Not
/// cryptographic. Parallel by OpenMP. REQUIRES graph.is_whole() (std::invalid_argument otherwise).
std::uint64_t graph_checksum(const Graph& graph);

}  // namespace knotwork::partition
