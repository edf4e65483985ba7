#include "partition/distinct_rows.h"

#include <algorithm>
#include <numeric>
#include <span>
#include <type_traits>

#include "partition/row_sorter.h"
#include "partition/worker_team.h"

namespace knotwork::partition {

namespace {

// Builds rows bucket by bucket; one per worker.
template <typename ArcType>
class BucketSorter {
 public:
  BucketSorter(Rows& rows, std::span<std::uint32_t> incoming) : rows_(rows), incoming_(incoming) {}

  // The rows of `bucket` start at position `start`.
  void build(const RowBuckets& buckets, const ArcBuckets<ArcType>& arcs, std::size_t bucket, ArcIndex start) {
    const std::uint32_t first = buckets.first_row(bucket);
    const std::uint32_t last = buckets.last_row(bucket);
    place(arcs, bucket, first, last, start);
    for (std::uint32_t row = first; row < last; ++row) {
      const ArcIndex end = cursors_[row - first];
      rows_.offsets[row] = start;
      rows_.kept[row] = sort(start, end - start);
      merged_ += end - start - rows_.kept[row];
      for (const std::uint32_t target : rows_.targets.span().subspan(start, rows_.kept[row])) ++incoming_[target];
      start = end;
    }
  }

  std::uint64_t merged() const { return merged_; }

 private:
  static constexpr bool kWeighted = std::is_same_v<ArcType, WeightedArc>;

  // A counting sort by row. Leaves in cursors_ where each row ends.
  void place(const ArcBuckets<ArcType>& arcs, std::size_t bucket, std::uint32_t first, std::uint32_t last,
             ArcIndex start) {
    cursors_.assign(last - first, 0);
    arcs.for_each(bucket, [&](const ArcType& arc) { ++cursors_[arc.row - first]; });
    std::exclusive_scan(cursors_.begin(), cursors_.end(), cursors_.begin(), start);
    arcs.for_each(bucket, [&](const ArcType& arc) {
      const ArcIndex place = cursors_[arc.row - first]++;
      rows_.targets[place] = arc.target;
      if constexpr (kWeighted) rows_.weights[place] = arc.weight;
    });
  }

  std::uint32_t sort(ArcIndex begin, std::size_t length) {
    const auto targets = rows_.targets.span().subspan(begin, length);
    if constexpr (kWeighted) {
      return sorter_.sort_and_merge(targets, rows_.weights.span().subspan(begin, length));
    } else {
      return sorter_.sort_and_merge(targets);
    }
  }

  Rows& rows_;
  std::span<std::uint32_t> incoming_;
  std::vector<ArcIndex> cursors_;
  RowSorter sorter_;
  std::uint64_t merged_ = 0;
};

// Contiguous runs of buckets, one a worker, of about equally many arcs: run w is [result[w], result[w + 1]).
std::vector<std::size_t> equal_runs(std::span<const ArcIndex> starts, unsigned workers) {
  std::vector<std::size_t> runs{0};
  for (unsigned w = 1; w < workers; ++w) {
    const auto found = std::lower_bound(starts.begin(), starts.end() - 1, starts.back() / workers * w);
    runs.push_back(std::max(runs.back(), static_cast<std::size_t>(found - starts.begin())));
  }
  runs.push_back(starts.size() - 1);
  return runs;
}

}  // namespace

template <typename ArcType>
DistinctRows distinct_rows(const RowBuckets& buckets, ArcBuckets<ArcType>&& arcs, unsigned workers) {
  const std::uint32_t row_count = buckets.last_row(buckets.count() - 1);
  std::vector<ArcIndex> starts{0};
  for (std::size_t b = 0; b < buckets.count(); ++b) starts.push_back(starts.back() + arcs.size(b));
  const std::vector<std::size_t> runs = equal_runs(starts, workers);

  DistinctRows result;
  result.rows.offsets = HugeArray<ArcIndex>(std::size_t{row_count} + 1);
  result.rows.kept = HugeArray<std::uint32_t>(row_count);
  result.rows.targets = HugeArray<std::uint32_t>(starts.back());
  if (std::is_same_v<ArcType, WeightedArc>) result.rows.weights = HugeArray<float>(starts.back());
  result.rows.offsets[row_count] = starts.back();
  for (const std::size_t run : runs) {
    result.first_rows.push_back(run == buckets.count() ? row_count : buckets.first_row(run));
  }
  for (unsigned w = 0; w < workers; ++w) result.incoming.emplace_back(row_count);

  std::vector<std::uint64_t> merged(workers);
  for_each_worker(workers, [&](unsigned worker) {
    BucketSorter<ArcType> sorter(result.rows, result.incoming[worker].span());
    for (std::size_t b = runs[worker]; b < runs[worker + 1]; ++b) {
      sorter.build(buckets, arcs, b, starts[b]);
      arcs.release(b);
    }
    merged[worker] = sorter.merged();
  });
  result.merged = std::accumulate(merged.begin(), merged.end(), std::uint64_t{0});
  return result;
}

template DistinctRows distinct_rows(const RowBuckets&, ArcBuckets<PlainArc>&&, unsigned);
template DistinctRows distinct_rows(const RowBuckets&, ArcBuckets<WeightedArc>&&, unsigned);

}  // namespace knotwork::partition
