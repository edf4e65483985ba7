#include "embeddings/random_projection.h"

#include <algorithm>
#include <cmath>
#include <stdexcept>

namespace knotwork::embeddings {

RandomProjection::RandomProjection(std::uint64_t seed, double sparsity, std::size_t dim,
                                   partition::RandomPurpose purpose)
    : seed_(seed), sparsity_(sparsity), purpose_(purpose) {
  if (!(sparsity >= 1) || !std::isfinite(sparsity) || dim == 0) {
    throw std::invalid_argument("RandomProjection: sparsity must be at least 1 and dim positive");
  }
  value_ = static_cast<float>(std::sqrt(sparsity / static_cast<double>(dim)));
  plus_bound_ = static_cast<std::uint64_t>(std::llround(0x1.0p31 / sparsity));
  minus_bound_ = 2 * plus_bound_;
}

void RandomProjection::fill(std::uint32_t row, std::size_t first_column, float scale, std::span<float> out) const {
  const float value = value_ * scale;
  for (std::size_t column = 0; column < out.size(); column += 4) {
    const auto group = static_cast<std::uint32_t>((first_column + column) / 4);
    const partition::RandomBlock random = partition::random_block(seed_, purpose_, row, group, 0);
    const std::size_t count = std::min<std::size_t>(4, out.size() - column);
    for (std::size_t i = 0; i < count; ++i) {
      out[column + i] = random[i] < plus_bound_ ? value : random[i] < minus_bound_ ? -value : 0.0F;
    }
  }
}

}  // namespace knotwork::embeddings
