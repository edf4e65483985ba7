#include "embeddings/embedding.h"

#include <algorithm>
#include <cmath>
#include <string>

#include "partition/errors.h"

namespace knotwork::embeddings {

void require_judgeable(const Embedding& embedding) {
  constexpr float kLargest = 1e15F;
  const std::span<const float> values = embedding.values();
  // Written so that what is no number is refused, too.
  const auto bad =
      std::find_if(values.begin(), values.end(), [](float value) { return !(std::abs(value) <= kLargest); });
  if (bad == values.end()) return;
  const auto node =
      static_cast<partition::OriginalNode>(static_cast<std::size_t>(bad - values.begin()) / embedding.dim());
  throw partition::InputError("the vector of node '" + embedding.names().name(node) +
                              "' holds a value that is enormous or no number; its training must have diverged");
}

}  // namespace knotwork::embeddings
