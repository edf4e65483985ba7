// What every reader of a format hands to read_graph: edges between original nodes, names, counts.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "partition/build_graph.h"
#include "partition/edge_list_parser.h"
#include "partition/huge_array.h"
#include "partition/node_names.h"

namespace knotwork::partition {

struct ParsedEdges {
  EdgeArrays edges;
  NodeNames names;
  bool directed = false;
  std::uint64_t lines = 0;
  std::uint64_t edges_read = 0;
  std::uint64_t zero_weights_dropped = 0;
  bool header_skipped = false;
};

/// Where the edges of a block, or of a part of it, begin in a chunk.
struct IdSegment {
  std::size_t first_edge;
  std::uint64_t block;
  /// Edges of the block that lie in earlier chunks.
  std::size_t edges_before;
};

/// Edges of some blocks with ids as they were parsed: in 8 bytes an edge if they all fit, else in 16.
struct IdChunk {
  std::vector<IdSegment> segments;
  HugeArray<Edge> narrow;
  HugeArray<IdPair> wide;
  HugeArray<float> weights;
  std::uint64_t highest_id = 0;
  /// Ids are provisional numbers of a StringTable.
  bool holds_strings = false;

  std::size_t size() const { return narrow.size() + wide.size(); }
  IdPair pair(std::size_t edge) const {
    return wide.empty() ? IdPair{narrow[edge].source, narrow[edge].target} : wide[edge];
  }
};

/// Gathers the edges of a thread's blocks in chunks of whole huge pages, which are cheaper to touch than small pages.
class IdChunkFiller {
 public:
  /// Copies what `parser` holds.
  void add(const EdgeBlockParser& parser, std::uint64_t block, bool holds_strings);
  /// The chunks; none is empty. The filler is empty afterwards.
  std::vector<IdChunk> take();

 private:
  IdChunk& open_chunk(bool wide, bool holds_strings, bool weighted);
  void close(IdChunk& chunk, std::size_t& filled);

  /// One for narrow and one for wide ids; `filled_` edges are there, the arrays have room for more.
  std::array<IdChunk, 2> open_;
  std::array<std::size_t, 2> filled_{};
  std::vector<IdChunk> closed_;
};

/// Removes edges of weight zero. Returns how many.
std::uint64_t drop_zero_weights(EdgeChunk& chunk);

/// Exchanges ids through `to_node` (any callable from std::uint64_t to OriginalNode), in place where possible.
template <typename ToNode>
EdgeChunk exchange_ids(IdChunk&& chunk, ToNode to_node) {
  EdgeChunk result;
  result.weights = std::move(chunk.weights);
  if (chunk.wide.empty()) {
    result.edges = std::move(chunk.narrow);
    for (Edge& edge : result.edges) edge = {to_node(edge.source), to_node(edge.target)};
  } else {
    result.edges = HugeArray<Edge>(chunk.wide.size());
    for (std::size_t i = 0; i < result.edges.size(); ++i) {
      result.edges[i] = {to_node(chunk.wide[i].source), to_node(chunk.wide[i].target)};
    }
    chunk.wide = HugeArray<IdPair>();
  }
  return result;
}

}  // namespace knotwork::partition
