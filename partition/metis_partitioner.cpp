#include "partition/metis_partitioner.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <mutex>

#include <metis.h>

#include "partition/huge_array.h"
#include "partition/partition_quality.h"

namespace knotwork::partition {

static_assert(sizeof(idx_t) == sizeof(GlobalNode), "targets are handed to METIS where they lie: idx_t must be 32 bits");

namespace {

/// Total of all edge weights that METIS may see; below 2^31 with room for rounding every arc up to 1.
constexpr double kMetisTotalWeight = 0x1.0p30;
/// Mean whole-number weight aimed at: fine enough to tell weights apart.
constexpr double kMetisMeanWeight = 64;

HugeArray<idx_t> narrowed_offsets(std::span<const ArcIndex> offsets) {
  HugeArray<idx_t> narrowed(offsets.size());
#pragma omp parallel for
  for (std::size_t i = 0; i < offsets.size(); ++i) narrowed[i] = static_cast<idx_t>(offsets[i]);
  return narrowed;
}

/// METIS draws from libc's rand(): two runs at once would disturb each other's sequence.
std::mutex& metis_mutex() {
  static std::mutex mutex;
  return mutex;
}

std::string status_words(int status) {
  switch (status) {
    case METIS_ERROR_MEMORY:
      return "METIS ran out of memory";
    case METIS_ERROR_INPUT:
      return "METIS refused its input";
    default:
      return "METIS failed (status " + std::to_string(status) + ")";
  }
}

}  // namespace

std::uint64_t metis_memory_estimate(std::uint64_t node_count, std::uint64_t arc_count) {
  // Measured on R-MAT graphs, which coarsen badly: 46 bytes an arc with everything (tests/bench/bench_partition.cpp).
  return 56 * arc_count + 64 * node_count;
}

std::string metis_refusal(std::uint64_t node_count, std::uint64_t arc_count, std::uint64_t memory_limit_bytes) {
  if (arc_count >= kMetisMaxArcs || node_count >= kMetisMaxArcs) {
    return "METIS holds at most 2147483646 arcs and nodes, the graph has " + std::to_string(arc_count) + " arcs and " +
           std::to_string(node_count) + " nodes";
  }
  const std::uint64_t needed = metis_memory_estimate(node_count, arc_count);
  if (memory_limit_bytes > 0 && needed > memory_limit_bytes) {
    return "METIS would take about " + std::to_string(needed >> 20) + " MiB, the limit is " +
           std::to_string(memory_limit_bytes >> 20) + " MiB";
  }
  return {};
}

std::vector<std::int32_t> metis_edge_weights(std::span<const float> weights) {
  if (weights.empty() || static_cast<double>(weights.size()) > kMetisTotalWeight) return {};
  float least = weights[0];
  float most = weights[0];
  double total = 0;
  // Serial sum: the scale, and with it the parts, must not depend on the number of threads.
  for (const float weight : weights) {
    least = std::min(least, weight);
    most = std::max(most, weight);
    total += weight;
  }
  if (least == most) return {};
  const double mean_weight = std::min(kMetisMeanWeight, kMetisTotalWeight / static_cast<double>(weights.size()));
  const double scale = mean_weight * static_cast<double>(weights.size()) / total;
  std::vector<std::int32_t> whole(weights.size());
#pragma omp parallel for
  for (std::size_t arc = 0; arc < weights.size(); ++arc) {
    whole[arc] = std::max(1, static_cast<std::int32_t>(static_cast<double>(weights[arc]) * scale));
  }
  return whole;
}

MetisResult metis_partition(const SymmetricView& graph, const PartitionOptions& options) {
  HugeArray<idx_t> offsets = narrowed_offsets(graph.offsets);
  std::vector<std::int32_t> weights = metis_edge_weights(graph.weights);
  // METIS reads the lists and does not write them (numbering from 0), so they are not copied.
  auto* targets = reinterpret_cast<idx_t*>(const_cast<GlobalNode*>(graph.targets.data()));
  auto node_count = static_cast<idx_t>(graph.node_count);
  auto part_count = static_cast<idx_t>(options.parts);
  idx_t constraints = 1;
  idx_t cut = 0;
  idx_t settings[METIS_NOPTIONS];
  METIS_SetDefaultOptions(settings);
  settings[METIS_OPTION_SEED] = static_cast<idx_t>((options.seed ^ (options.seed >> 31)) & 0x7fffffffU);
  settings[METIS_OPTION_NUMBERING] = 0;
  settings[METIS_OPTION_UFACTOR] = std::max(1, static_cast<idx_t>(std::lround(options.imbalance * 1000)));
  MetisResult result;
  // METIS is known to return METIS_OK with nodes it never assigned: those keep a part that no check lets through.
  result.part_of.assign(graph.node_count, kInvalidPart);
  auto* parts = reinterpret_cast<idx_t*>(result.part_of.data());
  const std::lock_guard lock(metis_mutex());
  const auto start = std::chrono::steady_clock::now();
  const int status = METIS_PartGraphKway(&node_count, &constraints, offsets.data(), targets, nullptr, nullptr,
                                         weights.empty() ? nullptr : weights.data(), &part_count, nullptr, nullptr,
                                         settings, &cut, parts);
  result.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  if (status != METIS_OK) {
    result.failure = status_words(status);
    return result;
  }
  const std::string fault = assignment_fault(result.part_of, graph.node_count, options.parts);
  if (!fault.empty()) result.failure = "METIS returned an incomplete result: " + fault;
  return result;
}

}  // namespace knotwork::partition
