#include "embeddings/negative_sampler.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <string>
#include <vector>

#include "partition/errors.h"

namespace knotwork::embeddings {

namespace {

double checked_sum(std::span<const double> masses) {
  double sum = 0.0;
  for (std::size_t i = 0; i < masses.size(); ++i) {
    if (!(masses[i] >= 0.0) || !std::isfinite(masses[i])) {
      throw partition::InputError("sampling mass of node " + std::to_string(i) + " is " + std::to_string(masses[i]) +
                                  "; expected a finite number that is not negative");
    }
    sum += masses[i];
  }
  if (!(sum > 0.0)) throw partition::InputError("no node to sample: all degrees are 0");
  return sum;
}

// Of 2^32 equally likely coins, how many show the slot itself.
std::uint32_t coins(double probability) {
  const double scaled = std::floor(probability * 0x1.0p32);
  return scaled >= 0x1.0p32 ? 0xffffffffU : static_cast<std::uint32_t>(std::max(scaled, 0.0));
}

}  // namespace

NegativeSampler NegativeSampler::or_none(std::span<const double> masses, partition::GlobalNode first_node) {
  if (std::all_of(masses.begin(), masses.end(), [](double mass) { return mass == 0; })) return {};
  return NegativeSampler(masses, first_node);
}

NegativeSampler::NegativeSampler(std::span<const double> masses, partition::GlobalNode first_node)
    : slots_(masses.size()), first_node_(first_node), total_mass_(checked_sum(masses)) {
  if (masses.size() > partition::kMaxNodes) throw partition::InputError("too many nodes to sample from");
  // What is left of every slot's mass, where 1 is the fair share.
  std::vector<double> left(masses.size());
  std::vector<std::uint32_t> small;
  std::vector<std::uint32_t> large;
  const double scale = static_cast<double>(masses.size()) / total_mass_;
  for (std::uint32_t i = 0; i < masses.size(); ++i) {
    left[i] = masses[i] * scale;
    (left[i] < 1.0 ? small : large).push_back(i);
  }
  while (!small.empty() && !large.empty()) {
    const std::uint32_t poor = small.back();
    const std::uint32_t rich = large.back();
    small.pop_back();
    slots_[poor] = {coins(left[poor]), rich};
    left[rich] -= 1.0 - left[poor];
    if (left[rich] < 1.0) {
      large.pop_back();
      small.push_back(rich);
    }
  }
  // Only rounding keeps these from exactly 1. A node without mass can be among them if the sums rounded badly: then it
  // gives its slot away.
  const auto heaviest = static_cast<std::uint32_t>(std::max_element(masses.begin(), masses.end()) - masses.begin());
  for (const std::uint32_t i : large) slots_[i] = {0xffffffffU, i};
  for (const std::uint32_t i : small) slots_[i] = {masses[i] > 0.0 ? 0xffffffffU : 0U, masses[i] > 0.0 ? i : heaviest};
}

std::vector<double> node_masses(const partition::Graph& graph, double exponent, bool weighted) {
  std::vector<double> masses(graph.row_count());
#pragma omp parallel for schedule(dynamic, 4096)
  for (partition::LocalNode row = 0; row < graph.row_count(); ++row) {
    const partition::GlobalNode node = graph.first_node() + row;
    double strength = graph.degree(node);
    if (weighted) {
      const std::span<const float> weights = graph.weights(node);
      strength = std::accumulate(weights.begin(), weights.end(), 0.0);
    }
    masses[row] = exponent == 1.0 ? strength : std::pow(strength, exponent);
  }
  return masses;
}

}  // namespace knotwork::embeddings
