// Losses that threads, ranks and parts of a job may add up in any order, with the same sum to the bit.
#pragma once

#include <cmath>

namespace knotwork::worker {

/// The multiple of 2^-20 next to `loss`: sums of such numbers are exact in doubles below 2^33.
inline double exact_loss(double loss) {
  constexpr double kGrid = 0x1.0p-20;
  return std::nearbyint(loss / kGrid) * kGrid;
}

}  // namespace knotwork::worker
