// Buckets of arcs become sorted rows without duplicates.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "partition/arc_buckets.h"
#include "partition/huge_array.h"
#include "partition/ids.h"

namespace knotwork::partition {

/// Rows of targets: row r is [offsets[r], offsets[r] + kept[r]); what lies between its end and offsets[r + 1] is slack.
struct Rows {
  HugeArray<ArcIndex> offsets;
  HugeArray<std::uint32_t> targets;
  /// As many as targets, or none.
  HugeArray<float> weights;
  HugeArray<std::uint32_t> kept;

  std::size_t count() const { return kept.size(); }
};

struct DistinctRows {
  Rows rows;
  /// Arcs that were merged into an equal one.
  std::uint64_t merged = 0;
  /// Worker w built the rows [first_rows[w], first_rows[w + 1]).
  std::vector<std::uint32_t> first_rows;
  /// incoming[w][t]: arcs to t in the rows of worker w. Counters of its own for each worker cost memory and save the
  /// threads from fighting for the cache lines of hubs.
  std::vector<HugeArray<std::uint32_t>> incoming;
};

/// Sorts the arcs of each row by target and merges equal ones (RowSorter). Targets are below `row_count`, the number
/// of rows in `buckets`. Frees `arcs` on the way. The result depends on `workers` in first_rows and incoming only.
template <typename ArcType>
DistinctRows distinct_rows(const RowBuckets& buckets, ArcBuckets<ArcType>&& arcs, unsigned workers);

extern template DistinctRows distinct_rows(const RowBuckets&, ArcBuckets<PlainArc>&&, unsigned);
extern template DistinctRows distinct_rows(const RowBuckets&, ArcBuckets<WeightedArc>&&, unsigned);

}  // namespace knotwork::partition
