// What weighted sampling needs: for every arc the cumulative share of its row, in 32-bit fixed point (4 bytes an arc,
// against 8 or more for alias tables). Drawing is one search in the row (inverse transform sampling).
#pragma once

#include <cstdint>

#include "partition/graph.h"
#include "partition/huge_array.h"

namespace knotwork::embeddings {

/// cumulative[a] is the last 32-bit number that draws arc a of its row: the row's arc for a random number r is the
/// first one with cumulative >= r. Shares are summed in double in list order (degree-rank order), so the table is the
/// same for any number of parts; the resolution is 2^-32, and the last arc of a row always has 2^32 - 1. Parallel over
/// rows. REQUIRES graph.summary().weighted. Throws partition::InputError if a weight is negative or not finite, or if a
/// row's weights add up to 0.
partition::HugeArray<std::uint32_t> cumulative_shares(const partition::Graph& graph);

}  // namespace knotwork::embeddings
