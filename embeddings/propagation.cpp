#include "embeddings/propagation.h"

#include <algorithm>
#include <cmath>
#include <string>
#include <unistd.h>

#include "partition/errors.h"
#include "partition/worker_team.h"

namespace knotwork::embeddings {

namespace {

using partition::InputError;

constexpr double kLeastStrength = 1e-30;
constexpr double kMostStrength = 1e30;
constexpr std::uint32_t kMostRowsOfRun = 1U << 16;

double strength_of(const partition::Graph& slice, partition::GlobalNode node, bool weighted) {
  if (!weighted) return slice.degree(node);
  double strength = 0;
  for (const float weight : slice.weights(node)) strength += weight;
  return strength;
}

}  // namespace

NodeScales node_scales(const partition::Graph& slice, const PropagationPlan& plan,
                       std::span<const std::uint64_t> arcs_to) {
  const std::size_t rows = slice.row_count();
  NodeScales scales{.product = std::vector<float>(rows), .initial = std::vector<float>(rows, 1.0F)};
  if (plan.symmetric) scales.collected.resize(rows);
  std::uint64_t isolated = 0;
  std::int64_t bad = -1;
#pragma omp parallel for reduction(+ : isolated) reduction(max : bad) schedule(static)
  for (std::size_t row = 0; row < rows; ++row) {
    const auto node = static_cast<partition::GlobalNode>(slice.first_node() + row);
    const double strength = strength_of(slice, node, plan.weighted);
    if (slice.degree(node) == 0) {
      ++isolated;
    } else if (!(strength >= kLeastStrength && strength <= kMostStrength)) {
      bad = std::max(bad, static_cast<std::int64_t>(slice.original(node)));
    }
    const double mass = strength + plan.self_weight;
    scales.product[row] = mass > 0 ? static_cast<float>(plan.damping / mass) : 0.0F;
    if (plan.symmetric) {
      scales.initial[row] = mass > 0 ? static_cast<float>(1 / std::sqrt(mass)) : 1.0F;
      scales.collected[row] = mass > 0 ? static_cast<float>(std::sqrt(mass)) : 1.0F;
    } else if (plan.degree_exponent != 0) {
      const double degree = arcs_to.empty() ? strength : static_cast<double>(arcs_to[row]);
      if (degree > 0) scales.initial[row] = static_cast<float>(std::pow(degree, plan.degree_exponent));
    }
  }
  if (bad >= 0) {
    throw InputError("the edge weights of node number " + std::to_string(bad) +
                     " add up to less than 1e-30 or more than 1e30; scale all weights, or ignore them (--no-weighted)");
  }
  scales.isolated = isolated;
  return scales;
}

std::vector<std::uint32_t> balanced_runs(std::span<const partition::ArcIndex> offsets, std::uint64_t arcs) {
  const auto rows = static_cast<std::uint32_t>(offsets.size() - 1);
  std::vector<std::uint32_t> bounds{0};
  while (bounds.back() < rows) {
    const std::uint32_t first = bounds.back();
    const auto end = std::lower_bound(offsets.begin() + first + 1, offsets.end() - 1,
                                      offsets[first] + std::max<std::uint64_t>(1, arcs));
    const auto last = static_cast<std::uint32_t>(end - offsets.begin());
    bounds.push_back(std::min(last, rows - first > kMostRowsOfRun ? first + kMostRowsOfRun : rows));
  }
  return bounds;
}

void multiply(const ProductStep& step, std::span<const std::uint32_t> runs, unsigned threads) {
  partition::share_among_workers(threads, runs.size() - 1, [&](unsigned /*worker*/, std::size_t run) {
    multiply_rows(step, runs[run], runs[run + 1]);
  });
}

std::size_t last_level_cache_bytes() {
  constexpr std::size_t kUsual = std::size_t{32} << 20;
#ifdef _SC_LEVEL3_CACHE_SIZE
  const long bytes = ::sysconf(_SC_LEVEL3_CACHE_SIZE);
  if (bytes > 0) return static_cast<std::size_t>(bytes);
#endif
  return kUsual;
}

std::size_t fitting_block_width(std::size_t rows, BlockStorage storage) {
  std::size_t width = kMaxBlockWidth;
  while (width > kMinBlockWidth && rows * width * bytes_per_value(storage) > last_level_cache_bytes() / 2) width /= 2;
  return width;
}

}  // namespace knotwork::embeddings
