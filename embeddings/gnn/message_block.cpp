#include "embeddings/gnn/message_block.h"

#include <algorithm>
#include <cmath>
#include <stdexcept>
#include <utility>

namespace knotwork::embeddings::gnn {
namespace {

void check(const BlockArcs& arcs) {
  const bool fits = arcs.sources >= arcs.targets && arcs.offsets.size() == std::size_t{arcs.targets} + 1 &&
                    arcs.offsets.front() == 0 && arcs.offsets.back() == arcs.neighbours.size() &&
                    std::ranges::is_sorted(arcs.offsets) &&
                    (arcs.weights.empty() || arcs.weights.size() == arcs.neighbours.size()) &&
                    (arcs.degrees.empty() ? true : arcs.degrees.size() == arcs.sources) &&
                    std::ranges::all_of(arcs.neighbours, [&](std::uint32_t at) { return at < arcs.sources; });
  if (!fits) throw std::invalid_argument("make_block: the arrays of a block don't fit together");
}

double weight(const BlockArcs& arcs, std::uint64_t arc) {
  return arcs.weights.empty() ? 1.0 : static_cast<double>(arcs.weights[arc]);
}

std::vector<double> block_strengths(const BlockArcs& arcs) {
  std::vector<double> strengths(arcs.sources);
  for (std::uint32_t target = 0; target < arcs.targets; ++target) {
    for (std::uint64_t arc = arcs.offsets[target]; arc < arcs.offsets[target + 1]; ++arc)
      strengths[target] += weight(arcs, arc);
  }
  return strengths;
}

void normalise(const BlockArcs& arcs, Normalisation normalisation, MessageBlock& block) {
  if (normalisation == Normalisation::kNone) return;
  const std::vector<double> strengths = block_strengths(arcs);
  const auto degree = [&](std::uint32_t row) {
    return arcs.degrees.empty() ? strengths[row] : static_cast<double>(arcs.degrees[row]);
  };
  block.coefficients.resize(arcs.neighbours.size());
  if (normalisation != Normalisation::kMean) block.self_coefficients.resize(arcs.targets);
  for (std::uint32_t target = 0; target < arcs.targets; ++target) {
    const double strength = strengths[target];
    const double looped = degree(target) + 1;
    const double factor = strength > 0 ? degree(target) / strength : 0;
    for (std::uint64_t arc = arcs.offsets[target]; arc < arcs.offsets[target + 1]; ++arc) {
      double share = 0;
      if (normalisation == Normalisation::kMean) {
        share = strength > 0 ? 1 / strength : 0;
      } else if (normalisation == Normalisation::kMeanSelf) {
        share = factor / looped;
      } else {
        share = factor / std::sqrt(looped * (degree(arcs.neighbours[arc]) + 1));
      }
      block.coefficients[arc] = static_cast<float>(weight(arcs, arc) * share);
    }
    if (normalisation != Normalisation::kMean) block.self_coefficients[target] = static_cast<float>(1 / looped);
  }
}

/// A counting sort by source that keeps the order of targets.
void reverse(MessageBlock& block) {
  block.reverse_offsets.assign(std::size_t{block.sources} + 1, 0);
  for (const std::uint32_t source : block.neighbours) ++block.reverse_offsets[source + 1];
  for (std::uint32_t source = 0; source < block.sources; ++source)
    block.reverse_offsets[source + 1] += block.reverse_offsets[source];
  std::vector<std::uint64_t> next(block.reverse_offsets.begin(), block.reverse_offsets.end() - 1);
  block.reverse_targets.resize(block.arcs());
  block.reverse_arcs.resize(block.arcs());
  block.reverse_coefficients.resize(block.coefficients.size());
  for (std::uint32_t target = 0; target < block.targets; ++target) {
    for (std::uint64_t arc = block.offsets[target]; arc < block.offsets[target + 1]; ++arc) {
      const std::uint64_t place = next[block.neighbours[arc]]++;
      block.reverse_targets[place] = target;
      block.reverse_arcs[place] = arc;
      if (!block.coefficients.empty()) block.reverse_coefficients[place] = block.coefficients[arc];
    }
  }
}

}  // namespace

MessageBlock make_block(BlockArcs arcs, Normalisation normalisation) {
  check(arcs);
  MessageBlock block;
  block.targets = arcs.targets;
  block.sources = arcs.sources;
  normalise(arcs, normalisation, block);
  block.offsets = std::move(arcs.offsets);
  block.neighbours = std::move(arcs.neighbours);
  reverse(block);
  return block;
}

}  // namespace knotwork::embeddings::gnn
