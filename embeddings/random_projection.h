// Very sparse random projection: a matrix of +-1 and many zeros that keeps distances in expectation.
//
//   R_jc = sqrt(s / dim) * { +1 with probability 1/(2s), 0 with 1 - 1/s, -1 with 1/(2s) }
//
// Achlioptas, "Database-friendly random projections", JCSS 2003 (s = 1, 3); Li, Hastie, Church, "Very sparse random
// projections", KDD 2006 (s = sqrt(n)).
#pragma once

#include <cstdint>
#include <span>

#include "partition/random.h"

namespace knotwork::embeddings {

class RandomProjection {
 public:
  /// `sparsity`: s, at least 1. `dim`: columns of the whole matrix. `purpose` tells matrices of one seed apart.
  /// Throws std::invalid_argument for s < 1 (or not finite), or dim 0.
  RandomProjection(std::uint64_t seed, double sparsity, std::size_t dim,
                   partition::RandomPurpose purpose = partition::RandomPurpose::kProjection);

  /// The entries of row `row` from `first_column` on, times `scale`: a function of (seed, purpose, row, column) alone.
  /// REQUIRES: first_column is a multiple of 4. Any thread.
  void fill(std::uint32_t row, std::size_t first_column, float scale, std::span<float> out) const;

  double sparsity() const { return sparsity_; }

 private:
  std::uint64_t seed_;
  double sparsity_;
  partition::RandomPurpose purpose_;
  float value_;
  /// 32 random bits below the first bound stand for +, below the second one for -.
  std::uint64_t plus_bound_;
  std::uint64_t minus_bound_;
};

}  // namespace knotwork::embeddings
