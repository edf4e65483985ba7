#include "partition/parsed_edges.h"

#include <algorithm>
#include <limits>
#include <utility>

namespace knotwork::partition {

IdChunk chunk_of(const EdgeBlockParser& parser, std::uint64_t block) {
  const std::vector<IdPair>& pairs = parser.pairs();
  IdChunk chunk;
  chunk.block = block;
  for (const IdPair& pair : pairs) chunk.highest_id = std::max({chunk.highest_id, pair.source, pair.target});
  if (chunk.highest_id <= std::numeric_limits<std::uint32_t>::max()) {
    chunk.narrow = HugeArray<Edge>(pairs.size());
    std::transform(pairs.begin(), pairs.end(), chunk.narrow.begin(), [](const IdPair& pair) {
      return Edge{static_cast<OriginalNode>(pair.source), static_cast<OriginalNode>(pair.target)};
    });
  } else {
    chunk.wide = HugeArray<IdPair>(pairs.size());
    std::copy(pairs.begin(), pairs.end(), chunk.wide.begin());
  }
  chunk.weights = HugeArray<float>(parser.weights().size());
  std::copy(parser.weights().begin(), parser.weights().end(), chunk.weights.begin());
  return chunk;
}

std::uint64_t drop_zero_weights(EdgeChunk& chunk) {
  const auto zeros = static_cast<std::uint64_t>(std::count(chunk.weights.begin(), chunk.weights.end(), 0.0F));
  if (zeros == 0) return 0;
  EdgeChunk kept{HugeArray<Edge>(chunk.edges.size() - zeros), HugeArray<float>(chunk.edges.size() - zeros)};
  std::size_t filled = 0;
  for (std::size_t i = 0; i < chunk.edges.size(); ++i) {
    if (chunk.weights[i] == 0.0F) continue;
    kept.edges[filled] = chunk.edges[i];
    kept.weights[filled++] = chunk.weights[i];
  }
  chunk = std::move(kept);
  return zeros;
}

}  // namespace knotwork::partition
