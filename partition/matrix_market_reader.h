// Matrix Market coordinate files (https://math.nist.gov/MatrixMarket/formats.html) as adjacency matrices: a banner
// `%%MatrixMarket matrix coordinate FIELD SYMMETRY`, % comments, `rows columns entries`, then `row column [value]`,
// numbered from 1. FIELD is pattern, real or integer; SYMMETRY is general or symmetric; the matrix is square.
//
// An entry is an edge between its row and its column. A symmetric matrix is an undirected graph. A general one is a
// directed graph, unless it turns out to be symmetric in fact (read_graph looks at the finished arcs) and
// ReadOptions::directed is off. Names are the file's numbers, 1 .. n.
#pragma once

#include <string_view>

#include "partition/parsed_edges.h"
#include "partition/read_graph.h"
#include "partition/text_source.h"

namespace knotwork::partition {

bool looks_like_matrix_market(std::string_view head);

/// Reads the edges of `source`, from which nothing was taken yet. Throws as read_graph.
ParsedEdges read_matrix_market(TextSource& source, const ReadOptions& options);

}  // namespace knotwork::partition
