#include "embeddings/gnn/weights.h"

#include <cmath>

#include "partition/random.h"

namespace knotwork::embeddings::gnn {
namespace {

void initialise(const Parameter& parameter, std::uint32_t number, std::uint64_t seed, std::span<float> weights) {
  if (parameter.initialisation == Initialisation::kZero) return;
  const double bound = std::sqrt(6.0 / (static_cast<double>(parameter.rows) + parameter.columns));
  for (std::size_t i = 0; i < weights.size(); ++i) {
    const partition::RandomBlock block =
        partition::random_block(seed, partition::RandomPurpose::kWeight, static_cast<std::uint32_t>(i / 4), number,
                                static_cast<std::uint32_t>(i >> 34));
    weights[i] = static_cast<float>(bound * (2.0 * partition::unit_float(block[i % 4]) - 1.0));
  }
}

float decay_of(const Parameter& parameter, const AdamOptions& options) {
  const bool decays = parameter.is_first_layer || !options.decays_first_layer_only;
  return static_cast<float>(decays ? options.weight_decay : 0);
}

}  // namespace

NetworkState initial_state(std::span<const Parameter> parameters, std::uint64_t seed) {
  std::size_t size = 0;
  for (const Parameter& parameter : parameters) size += parameter.size();
  NetworkState state{.weights = std::vector<float>(size),
                     .first_moments = std::vector<float>(size),
                     .second_moments = std::vector<float>(size)};
  std::uint32_t number = 0;
  for (const Parameter& parameter : parameters)
    initialise(parameter, number++, seed, std::span(state.weights).subspan(parameter.offset, parameter.size()));
  return state;
}

void add_weight_decay(std::span<const Parameter> parameters, std::span<const float> weights, const AdamOptions& options,
                      std::span<float> gradient) {
  for (const Parameter& parameter : parameters) {
    const float decay = decay_of(parameter, options);
    const std::size_t end = parameter.offset + parameter.size();
    for (std::size_t i = parameter.offset; decay > 0 && i < end; ++i) gradient[i] += decay * weights[i];
  }
}

void adam_step(std::span<const Parameter> parameters, std::span<const float> gradient, const AdamOptions& options,
               NetworkState& state) {
  ++state.steps;
  const auto t = static_cast<double>(state.steps);
  const auto beta1 = static_cast<float>(options.beta1);
  const auto beta2 = static_cast<float>(options.beta2);
  const auto epsilon = static_cast<float>(options.epsilon);
  const auto rate = static_cast<float>(options.learning_rate / (1 - std::pow(options.beta1, t)));
  const auto correction = static_cast<float>(1 / std::sqrt(1 - std::pow(options.beta2, t)));
  for (const Parameter& parameter : parameters) {
    const float decay = decay_of(parameter, options);
    const std::size_t end = parameter.offset + parameter.size();
    for (std::size_t i = parameter.offset; i < end; ++i) {
      const float g = gradient[i] + decay * state.weights[i];
      state.first_moments[i] = beta1 * state.first_moments[i] + (1 - beta1) * g;
      state.second_moments[i] = beta2 * state.second_moments[i] + (1 - beta2) * g * g;
      const float length = std::sqrt(state.second_moments[i]) * correction + epsilon;
      state.weights[i] -= rate * state.first_moments[i] / length;
    }
  }
}

}  // namespace knotwork::embeddings::gnn
