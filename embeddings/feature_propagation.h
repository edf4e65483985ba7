// Two relatives of FastRP on the same engine.
//
// Random feature propagation (RFP): the whole trajectory of a power iteration that begins with random features, each
// step's columns scaled to length 1, side by side: positional encodings for GNNs. Eliasof, Frasca, Bevilacqua,
// Treister, Chechik, Maron, "Graph Positional Encoding via Random Feature Propagation", ICML 2023. Here with Rademacher
// (+-1) features, a predefined operator (the symmetrically normalised adjacency with self-loops) and l2 normalisation.
// Lengths are taken out at the end: the step is linear, so that is the same as after every step.
//
// Propagation of given features: X_K with S = D^-1/2 (A + self I) D^-1/2,
//   SGC    X_{k+1} = S X_k                        Wu et al., "Simplifying Graph Convolutional Networks", ICML 2019
//   APPNP  X_{k+1} = (1 - a) S X_k + a X_0        Gasteiger et al., "Predict then Propagate", ICLR 2019
//
// On directed graphs S is the random-walk step D^-1 (A + self I) along arcs.
#pragma once

#include <cstdint>
#include <memory>

#include "embeddings/layered_matrix.h"
#include "embeddings/node_features.h"
#include "embeddings/propagation.h"

namespace knotwork::embeddings {

struct RfpOptions {
  /// Columns of the result: a multiple of powers + 1.
  std::size_t dim = 128;
  std::uint32_t powers = 7;
  /// Weight of a self-loop that every node gets.
  double self_loop = 1;
  bool weighted = false;
  std::uint64_t seed = 1;
};

/// Throws partition::InputError if dim is no multiple of powers + 1.
PropagationPlan rfp_plan(const RfpOptions& options, bool directed);
LayerMerge rfp_merge();
std::unique_ptr<InitialRows> rfp_rows(const RfpOptions& options);

struct FeaturePropagationOptions {
  std::uint32_t powers = 2;
  double self_loop = 1;
  /// a: 0 for SGC.
  double teleport = 0;
  bool weighted = false;
};

/// `columns`: those of the features.
PropagationPlan feature_plan(const FeaturePropagationOptions& options, std::size_t columns, bool directed);
LayerMerge feature_merge();
/// `features`: of the slice's rows; must outlive the result.
std::unique_ptr<InitialRows> feature_rows(const NodeFeatures& features);

}  // namespace knotwork::embeddings
