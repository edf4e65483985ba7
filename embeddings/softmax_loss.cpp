#include "embeddings/softmax_loss.h"

#include <algorithm>
#include <cmath>

namespace knotwork::embeddings {

namespace {

/// Candidates whose exponentials and rows stay in a core's cache while both gradients take them.
constexpr std::size_t kCandidatesAtOnce = 512;
/// exp() of this is 0 in float.
constexpr float kVanishing = -200;

/// Turns the cosines of one user into exponentials (positives: their own derivative over that of the others), and
/// returns the loss. `share`: c.
double user_loss(const SoftmaxRows& rows, std::size_t user, std::span<float> values, float& share) {
  const float scale = 1 / rows.temperature;
  const auto positives = rows.slots.subspan(rows.offsets[user], rows.offsets[user + 1] - rows.offsets[user]);
  // Cosines are at most 1: exponentials of what is below it never overflow.
  std::vector<float> exponents;
  exponents.reserve(positives.size());
  for (const std::uint32_t slot : positives) {
    exponents.push_back(scale * (values[slot] - 1));
    values[slot] = 1 + kVanishing / scale;
  }
  const float others = weighted_exponentials(values, rows.weights, scale, 1);
  double loss = 0;
  double shares = 0;
  for (const float exponent : exponents) {
    const double total = std::exp(static_cast<double>(exponent)) + others;
    loss += std::log(total) - exponent;
    shares += 1 / total;
  }
  share = static_cast<float>(shares);
  for (std::size_t i = 0; i < positives.size(); ++i) {
    const double own = std::exp(static_cast<double>(exponents[i]));
    // own / total - 1, without the difference of nearly equal numbers.
    values[positives[i]] = static_cast<float>(-others / (own + others) / shares);
  }
  return loss;
}

}  // namespace

double softmax_gradients(const SoftmaxRows& rows, std::size_t first, std::size_t last, SoftmaxScratch& scratch,
                         std::span<float> user_gradients, std::span<float> candidate_gradients) {
  const std::size_t dim = rows.dim;
  const std::size_t candidates = rows.candidate_count();
  const std::size_t users = last - first;
  float* const values = scratch.exponentials.data();
  scratch.reserve_users(users);
  rows.panels->inner_products(rows.users.data() + first * dim, dim, users, 0, candidates / kPanelWidth, values,
                              candidates);
  double loss = 0;
  for (std::size_t i = 0; i < users; ++i) {
    loss += user_loss(rows, first + i, {values + i * candidates, candidates}, scratch.shares[i]);
    scratch.shares[i] *= rows.gradient_scale / rows.temperature;
    for (std::size_t k = 0; k < dim; ++k) {
      scratch.scaled_users[i * dim + k] = scratch.shares[i] * rows.users[(first + i) * dim + k];
    }
  }
  DenseProduct to_users{.rows = users,
                        .columns = dim,
                        .left_row = candidates,
                        .right_depth = dim,
                        .out = user_gradients.data() + first * dim,
                        .out_row = dim};
  DenseProduct to_candidates{.columns = dim,
                             .depth = users,
                             .left_row = 1,
                             .left_depth = candidates,
                             .right = scratch.scaled_users.data(),
                             .right_depth = dim,
                             .out_row = dim,
                             .adds = true};
  for (std::size_t at = 0; at < candidates; at += kCandidatesAtOnce) {
    const std::size_t count = std::min(kCandidatesAtOnce, candidates - at);
    to_users.depth = count;
    to_users.left = values + at;
    to_users.right = rows.candidates.data() + at * dim;
    to_users.adds = at > 0;
    multiply(to_users);
    to_candidates.rows = count;
    to_candidates.left = values + at;
    to_candidates.out = candidate_gradients.data() + at * dim;
    multiply(to_candidates);
  }
  for (std::size_t i = 0; i < users; ++i) {
    for (std::size_t k = 0; k < dim; ++k) user_gradients[(first + i) * dim + k] *= scratch.shares[i];
  }
  return loss;
}

}  // namespace knotwork::embeddings
