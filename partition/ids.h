// The one vocabulary of ids. Every room that speaks of nodes uses these words and no others.
//
//   name            what the user wrote in the file: a string or an integer ("nginx", 4711)
//   original node   the node's place in the input's dictionary, 0 .. n-1; independent of threads, parts and ranks.
//                   Random numbers are keyed by it, and results are written in its order.
//   degree rank     the node's place when all nodes are sorted by falling degree (ties: smaller original node first)
//   global node     the node's number inside Knotwork: parts are contiguous ranges of it, and inside a part nodes
//                   are sorted by degree rank, so that hubs lie together. With one part it equals the degree rank.
//   local node      global node minus the first global node of the slice at hand
//   part            one of the K pieces of the graph; rank: an MPI process, which holds one or more whole parts
#pragma once

#include <cstdint>
#include <limits>

namespace knotwork::partition {

using OriginalNode = std::uint32_t;
using GlobalNode = std::uint32_t;
using LocalNode = std::uint32_t;
using Part = std::uint32_t;

/// Counts and positions of arcs: always 64 bits.
using ArcIndex = std::uint64_t;

inline constexpr GlobalNode kInvalidNode = std::numeric_limits<GlobalNode>::max();
inline constexpr Part kInvalidPart = std::numeric_limits<Part>::max();

/// The most nodes a graph may have: ids are 32 bits wide (4 bytes an arc), and one value marks "no node".
inline constexpr std::uint64_t kMaxNodes = kInvalidNode;

}  // namespace knotwork::partition
