#include "worker/node_census.h"

#include <cmath>

#include "embeddings/skipgram.h"
#include "worker/rank_arrays.h"

namespace knotwork::worker {

using partition::GlobalNode;
using partition::OriginalNode;

embeddings::NegativeSampler NodeCensus::sampler(double exponent) const {
  if (exponent == 1.0) return embeddings::NegativeSampler(strengths);
  std::vector<double> masses(strengths.size());
  for (std::size_t i = 0; i < masses.size(); ++i) masses[i] = std::pow(strengths[i], exponent);
  return embeddings::NegativeSampler(masses);
}

std::vector<float> NodeCensus::keep_probabilities(double threshold) const {
  double total = 0;
  for (const double strength : strengths) total += strength;
  const std::vector<float> by_original = embeddings::keep_probabilities(strengths, total, threshold);
  std::vector<float> by_global(by_original.size());
  for (std::size_t i = 0; i < by_original.size(); ++i) by_global[global[i]] = by_original[i];
  return by_global;
}

NodeCensus take_census(cluster::Communicator& communicator, const partition::Graph& slice, bool weighted) {
  const std::vector<double> own_strengths = embeddings::node_masses(slice, 1.0, weighted);
  const auto strengths = concatenate(communicator, std::span<const double>(own_strengths));
  const auto originals = concatenate(communicator, std::span<const OriginalNode>(slice.arrays().original));
  NodeCensus census{.global = std::vector<GlobalNode>(originals.size()),
                    .strengths = std::vector<double>(originals.size())};
  for (std::size_t node = 0; node < originals.size(); ++node) {
    census.global[originals[node]] = static_cast<GlobalNode>(node);
    census.strengths[originals[node]] = strengths[node];
  }
  return census;
}

}  // namespace knotwork::worker
