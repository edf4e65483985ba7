#include "partition/plain_partitioners.h"

#include "partition/random.h"

namespace knotwork::partition {

std::vector<Part> hash_partition(const Graph& whole, Part parts, std::uint64_t seed) {
  std::vector<Part> part_of(whole.row_count());
#pragma omp parallel for
  for (std::size_t node = 0; node < part_of.size(); ++node) {
    const OriginalNode original = whole.original(static_cast<GlobalNode>(node));
    part_of[node] = bounded(random_block(seed, RandomPurpose::kPartition, original, 0, 0)[0], parts);
  }
  return part_of;
}

std::vector<Part> range_partition(const Graph& whole, Part parts) {
  std::vector<Part> part_of(whole.row_count());
#pragma omp parallel for
  for (std::size_t node = 0; node < part_of.size(); ++node) {
    const std::uint64_t original = whole.original(static_cast<GlobalNode>(node));
    part_of[node] = static_cast<Part>(original * parts / part_of.size());
  }
  return part_of;
}

}  // namespace knotwork::partition
