// The weights of a network: how they begin, and how gradients change them.
//
//   Glorot    uniform in +-sqrt(6 / (rows + columns)) (Glorot, Bengio, AISTATS 2010)
//   Adam      m = b1 m + (1 - b1) g, v = b2 v + (1 - b2) g^2,
//             w -= lr * m / (1 - b1^t) / (sqrt(v / (1 - b2^t)) + eps)      (Kingma, Ba, ICLR 2015, algorithm 1)
//   decay     g += decay * w before (the L2 penalty of GCN and its successors, not AdamW's)
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "embeddings/gnn/network.h"

namespace knotwork::embeddings::gnn {

struct AdamOptions {
  double learning_rate = 0.01;
  double beta1 = 0.9;
  double beta2 = 0.999;
  double epsilon = 1e-8;
  double weight_decay = 0;
  /// Weight decay of the first layer alone (GCN, APPNP).
  bool decays_first_layer_only = false;
};

/// All that training changes; two runs with the same state go on the same way.
struct NetworkState {
  std::vector<float> weights;
  /// Adam's moments, as weights.
  std::vector<float> first_moments;
  std::vector<float> second_moments;
  /// Steps done, t.
  std::uint64_t steps = 0;
};

/// Weights at the start: a function of seed, parameter and place alone.
NetworkState initial_state(std::span<const Parameter> parameters, std::uint64_t seed);

/// Adds `decay * w` to the gradient of each weight that decays: what adam_step does itself, for gradients whose step is
/// made elsewhere. REQUIRES: both are of the size of `parameters`.
void add_weight_decay(std::span<const Parameter> parameters, std::span<const float> weights, const AdamOptions& options,
                      std::span<float> gradient);

/// One step. REQUIRES: gradient.size() == state.weights.size(), and `parameters` are those of the state.
void adam_step(std::span<const Parameter> parameters, std::span<const float> gradient, const AdamOptions& options,
               NetworkState& state);

}  // namespace knotwork::embeddings::gnn
