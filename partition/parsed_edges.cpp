#include "partition/parsed_edges.h"

#include <algorithm>
#include <limits>
#include <span>
#include <utility>

namespace knotwork::partition {

namespace {

/// Narrow ids fill one huge page of 2 MiB, wide ones two.
constexpr std::size_t kChunkEdges = std::size_t{1} << 18;

std::uint64_t highest_of(std::span<const IdPair> pairs) {
  std::uint64_t highest = 0;
  for (const IdPair& pair : pairs) highest = std::max({highest, pair.source, pair.target});
  return highest;
}

}  // namespace

void IdChunkFiller::add(const EdgeBlockParser& parser, std::uint64_t block, bool holds_strings) {
  const std::span<const IdPair> pairs = parser.pairs();
  const std::span<const float> weights = parser.weights();
  const std::uint64_t highest = highest_of(pairs);
  const bool wide = highest > std::numeric_limits<std::uint32_t>::max();
  std::size_t& filled = filled_[wide ? 1 : 0];
  for (std::size_t done = 0; done < pairs.size();) {
    IdChunk& chunk = open_chunk(wide, holds_strings, !weights.empty());
    const std::size_t count = std::min(pairs.size() - done, kChunkEdges - filled);
    const std::span<const IdPair> part = pairs.subspan(done, count);
    chunk.segments.push_back({filled, block, done});
    chunk.highest_id = std::max(chunk.highest_id, highest);
    if (wide) {
      std::copy(part.begin(), part.end(), chunk.wide.begin() + filled);
    } else {
      std::transform(part.begin(), part.end(), chunk.narrow.begin() + filled, [](const IdPair& pair) {
        return Edge{static_cast<OriginalNode>(pair.source), static_cast<OriginalNode>(pair.target)};
      });
    }
    if (!weights.empty()) std::copy_n(weights.begin() + done, count, chunk.weights.begin() + filled);
    filled += count;
    done += count;
  }
}

// A chunk of the given kind with room for an edge.
IdChunk& IdChunkFiller::open_chunk(bool wide, bool holds_strings, bool weighted) {
  IdChunk& chunk = open_[wide ? 1 : 0];
  std::size_t& filled = filled_[wide ? 1 : 0];
  if (filled > 0 && filled < kChunkEdges && chunk.holds_strings == holds_strings) return chunk;
  if (filled > 0) close(chunk, filled);
  chunk.holds_strings = holds_strings;
  if (wide) {
    chunk.wide = HugeArray<IdPair>(kChunkEdges);
  } else {
    chunk.narrow = HugeArray<Edge>(kChunkEdges);
  }
  if (weighted) chunk.weights = HugeArray<float>(kChunkEdges);
  return chunk;
}

void IdChunkFiller::close(IdChunk& chunk, std::size_t& filled) {
  chunk.narrow.shrink(std::min(filled, chunk.narrow.size()));
  chunk.wide.shrink(std::min(filled, chunk.wide.size()));
  chunk.weights.shrink(std::min(filled, chunk.weights.size()));
  closed_.push_back(std::exchange(chunk, IdChunk{}));
  filled = 0;
}

std::vector<IdChunk> IdChunkFiller::take() {
  for (std::size_t kind = 0; kind < open_.size(); ++kind) {
    if (filled_[kind] > 0) close(open_[kind], filled_[kind]);
  }
  return std::exchange(closed_, {});
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
