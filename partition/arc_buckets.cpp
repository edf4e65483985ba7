#include "partition/arc_buckets.h"

namespace knotwork::partition {

namespace {

constexpr int kMostUnitBits = 13;
constexpr std::uint64_t kMostBuckets = 1024;

}  // namespace

RowBuckets::RowBuckets(std::span<const std::uint32_t> expected_arcs, std::uint64_t arcs_per_bucket) {
  const std::size_t rows = expected_arcs.size();
  unit_shift_ = std::max(0, static_cast<int>(std::bit_width(rows)) - kMostUnitBits);
  std::uint64_t arcs = 0;
  for (const std::uint32_t expected : expected_arcs) arcs += expected;
  const std::uint64_t wanted = std::max({arcs_per_bucket, arcs / kMostBuckets, std::uint64_t{1}});

  first_rows_.push_back(0);
  std::uint64_t filled = 0;
  for (std::size_t begin = 0; begin < rows; begin += std::size_t{1} << unit_shift_) {
    const std::size_t end = std::min(rows, begin + (std::size_t{1} << unit_shift_));
    if (filled >= wanted) {
      first_rows_.push_back(static_cast<std::uint32_t>(begin));
      filled = 0;
    }
    bucket_of_unit_.push_back(static_cast<std::uint16_t>(first_rows_.size() - 1));
    for (std::size_t row = begin; row < end; ++row) filled += expected_arcs[row];
  }
  first_rows_.push_back(static_cast<std::uint32_t>(rows));
}

}  // namespace knotwork::partition
