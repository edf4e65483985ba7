// Sampled softmax over items, for many users at once.
//
// For a user u with items N(u) and candidates C (all items of the batch and a random sample of the others), with x . y
// the cosine (rows have length 1) and t the temperature,
//
//   loss  =  mean over u and i in N(u) of  -log( exp(u.i / t) / ( exp(u.i / t) + sum over j in C \ N(u) of w_j exp(u.j
//   / t) ) )
//
// w_j = 1 / P(j is in C), so the sum estimates the one over all items (the "logQ" correction of Bengio and Senecal,
// "Adaptive importance sampling to accelerate training of a neural probabilistic language model", IEEE Trans. Neural
// Networks 2008). The loss itself is that of Wu, Wang, Gao, Chen, Fu, Qiu and He, "On the effectiveness of sampled
// softmax loss for item recommendation", ACM TOIS 2024, equation 3, with one difference: their positives are drawn one
// by one, each with negatives of its own; here one row of exponentials serves all items of a user.
//
// With s = sum over C \ N(u), e_i = exp(u.i / t), Z_i = e_i + s and c = sum over i of 1 / Z_i, the derivative by u.j is
// w_j e_j c / t for j outside of N(u), and (e_i / Z_i - 1) / t for i in N(u). Both gradients are then dense products.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "embeddings/dense_product.h"

namespace knotwork::embeddings {

/// The compared rows. `dim` is a multiple of 16.
struct SoftmaxRows {
  std::size_t dim = 0;
  /// One row a user, of length 1 (or 0), without gaps.
  std::span<const float> users;
  /// Candidates as rows without gaps, of length 1 (or 0), PanelRows::padded() of them; and as panels.
  std::span<const float> candidates;
  const PanelRows* panels = nullptr;
  /// w_j of each candidate; 0 for those that only fill the last panel.
  std::span<const float> weights;
  /// N(u): slots[offsets[u] .. offsets[u + 1]), places among the candidates, none twice.
  std::span<const std::uint32_t> offsets;
  std::span<const std::uint32_t> slots;
  float temperature = 0.1F;
  /// Of every user and item; the loss is a mean if it is 1 / slots.size().
  float gradient_scale = 1;

  std::size_t candidate_count() const { return weights.size(); }
};

/// What a thread works in. `values` floats hold the exponentials of values / candidate_count() users.
class SoftmaxScratch {
 public:
  SoftmaxScratch(std::size_t values, std::size_t dim) : exponentials(values), dim_(dim) {}

  /// REQUIRES: candidates <= the `values` that it was made for.
  std::size_t users_at_once(std::size_t candidates) const { return exponentials.size() / candidates; }
  void reserve_users(std::size_t users) {
    if (shares.size() >= users) return;
    shares.resize(users);
    scaled_users.resize(users * dim_);
  }

  partition::HugeArray<float> exponentials;
  std::vector<float> scaled_users;
  std::vector<float> shares;

 private:
  std::size_t dim_;
};

/// Loss (a sum over u and i) of the users [first, last). Writes their rows of `user_gradients` (by user), and adds to
/// `candidate_gradients` (by candidate): derivatives by unit rows, times gradient_scale.
/// REQUIRES: last - first <= scratch.users_at_once(rows.candidate_count()).
double softmax_gradients(const SoftmaxRows& rows, std::size_t first, std::size_t last, SoftmaxScratch& scratch,
                         std::span<float> user_gradients, std::span<float> candidate_gradients);

}  // namespace knotwork::embeddings
