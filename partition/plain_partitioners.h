// Parts without looking at an arc, for comparison: what a cut costs when nobody cares.
#pragma once

#include <cstdint>
#include <vector>

#include "partition/graph.h"

namespace knotwork::partition {

/// Every node in a random part (Philox of its original node), as a hash would do. Sizes vary by chance.
std::vector<Part> hash_partition(const Graph& whole, Part parts, std::uint64_t seed);

/// Equal ranges of original nodes: the order of the input decides.
std::vector<Part> range_partition(const Graph& whole, Part parts);

}  // namespace knotwork::partition
