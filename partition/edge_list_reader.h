// Edge lists: blocks are parsed in parallel, ids become original nodes.
//
// Ids. If every id of the file is a canonical decimal integer below 2^64, names are integers and original nodes follow
// their value; otherwise all names are strings and original nodes follow the first appearance in the file. Integers are
// parsed as such until some thread meets an id that is none; blocks that were parsed before are then taken back to
// strings, which canonical decimals allow without loss. So a file is read once, also from a pipe.
//
// Header. The first data line is a header, and no edge, if
//   (a) its first two fields, in lower case and without "_", are a pair that people write there: source target, src
//   dst,
//       from to, fromnodeid tonodeid, node1 node2, head tail, user item, u v; or
//   (b) its third field is "weight" or "w"; or
//   (c) its first two fields begin with a letter or "_", its third (if any) is no number, the first two fields of the
//       second data line are integers, and so are all ids of the file. If later lines hold strings, it was an edge.
#pragma once

#include "partition/parsed_edges.h"
#include "partition/read_graph.h"
#include "partition/text_source.h"

namespace knotwork::partition {

/// Reads the edges of `source`, from which nothing was taken yet. Throws as read_graph.
ParsedEdges read_edge_list(TextSource& source, const ReadOptions& options);

}  // namespace knotwork::partition
