// What deterministic training knows of all nodes, on every rank: nothing in it depends on parts, ranks or numbering.
//
// Sums and alias tables are made in the order of original nodes, so that they come out the same, bit by bit, however
// the graph was cut. That takes 12 to 24 bytes on each rank for each node of the whole graph.
#pragma once

#include <span>
#include <vector>

#include "cluster/communicator.h"
#include "embeddings/negative_sampler.h"
#include "partition/graph.h"
#include "partition/ids.h"

namespace knotwork::worker {

/// How often walks visit nodes: degrees, or sums of arc weights.
struct NodeCensus {
  /// The global node of every original node.
  std::vector<partition::GlobalNode> global;
  /// By original node.
  std::vector<double> strengths;

  /// Draws original nodes in proportion to strength^exponent. Throws as NegativeSampler does.
  embeddings::NegativeSampler sampler(double exponent) const;
  /// word2vec's probability of keeping each node of a walk (embeddings/skipgram.h), by global node.
  std::vector<float> keep_probabilities(double threshold) const;
};

/// Collective. `slice`: this rank's nodes; the ranks' slices make up the graph in rank order.
NodeCensus take_census(cluster::Communicator& communicator, const partition::Graph& slice, bool weighted);

}  // namespace knotwork::worker
