// FastRP: very sparse random projections of powers of the transition matrix, weighted and added up; no training.
//
//   U_k = P^k L R,  P = D^-1 A,  L = diag(d_j^beta),  R very sparse and random;   result: sum over k of w_k U_k
//
// Chen, Sultan, Tian, Chen, Skiena, "Fast and Accurate Network Embeddings via Very Sparse Random Projection", CIKM 2019
// (eq. 5 to 8 and algorithm 1). The paper divides d_j by 2m, which only scales everything by one constant and is left
// out, as in the authors' program. That program also scales each U_k's rows to length 1 before they are added up, and
// the columns of the sum to mean 0 and variance 1; both are options here. Node features, and a weight for the node's
// own random vector (k = 0), as is common practice elsewhere.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "embeddings/layered_matrix.h"
#include "embeddings/node_features.h"
#include "embeddings/propagation.h"
#include "embeddings/random_projection.h"

namespace knotwork::embeddings {

struct FastRpOptions {
  std::size_t dim = 128;
  /// w_1, w_2, ...: one for each power of P.
  std::vector<double> weights{0, 0, 1, 6.67};
  /// w_0: of the node's own (scaled) random vector.
  double self_weight = 0;
  /// The exponent of the degree; below 0, hubs count less.
  double beta = -0.1;
  /// Non-zeros of R are one in s; 0 stands for sqrt(n).
  double sparsity = 0;
  bool normalise_powers = true;
  bool standardise = false;
  /// Share of the columns that begin as random projections of node features instead of random numbers.
  double feature_ratio = 0.5;
  bool weighted = false;
  std::uint64_t seed = 1;
};

/// Throws partition::InputError: no weights, more than 64, only zeros, or one that is not finite.
void check_options(const FastRpOptions& options);

/// Columns that begin as projected features; 0 without features, and all that can be at ratio 1.
std::size_t feature_columns(const FastRpOptions& options, bool has_features);

PropagationPlan fastrp_plan(const FastRpOptions& options);
LayerMerge fastrp_merge(const FastRpOptions& options);

/// R: `features` (of the slice's rows) may be null. Both arguments must outlive the result.
std::unique_ptr<InitialRows> fastrp_rows(const FastRpOptions& options, std::uint64_t node_count,
                                         const NodeFeatures* features);

}  // namespace knotwork::embeddings
