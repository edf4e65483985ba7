// METIS .graph files (manual of METIS 5.1, section 4.1.1): a header `n m [fmt [ncon]]`, then one line a node with its
// neighbours, numbered from 1; % comments; an empty line is a node without neighbours. fmt is three digits: vertex
// sizes, vertex weights (ncon of them, 1 if not given), edge weights. Sizes and weights of vertices are read and
// ignored.
//
// Every edge must be listed by both of its nodes, with the same weight: that is checked, and the first fault is named.
// Names are the file's numbers, 1 .. n.
#pragma once

#include <string_view>

#include "partition/parsed_edges.h"
#include "partition/read_graph.h"
#include "partition/text_source.h"

namespace knotwork::partition {

/// Whether the first line of `head` that is no comment has the form of a METIS header.
bool looks_like_metis_graph(std::string_view head);

/// Reads the edges of `source`, from which nothing was taken yet. Throws as read_graph.
ParsedEdges read_metis_graph(TextSource& source, const ReadOptions& options);

}  // namespace knotwork::partition
