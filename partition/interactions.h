// User-item graphs: lines `user item [weight]`, where user "3" and item "3" are two nodes.
//
// The file is read as any edge list (edge_list_reader.h: same grammar, headers, compression, messages); what stands
// first is a user, what stands second an item. Users are the original nodes 0 .. U - 1 and items U .. U + I - 1, each
// in the order of the edge list's own names: integers by value, strings by first appearance in either column.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "partition/build_graph.h"
#include "partition/graph.h"
#include "partition/node_names.h"
#include "partition/read_graph.h"

namespace knotwork::partition {

/// The lines of a file, in no particular order.
struct InteractionList {
  NodeNames users;
  NodeNames items;
  /// source: a user, target: an item; each numbered from 0. Duplicates are still there.
  EdgeArrays pairs;
  ReadReport report;
};

/// Reads `path`. Throws as read_graph; InputError also for a format other than an edge list.
InteractionList read_interactions(const std::string& path, const ReadOptions& options = {});

/// Takes about `share` of the distinct pairs out of the list and returns them, sorted. Which ones is a function of
/// (seed, user, item); each user and each item keeps one pair at least.
std::vector<Edge> hold_out(InteractionList& list, double share, std::uint64_t seed);

/// An undirected graph of users and items in one part.
struct BipartiteGraph {
  Graph graph;
  NodeNames users;
  NodeNames items;
  ReadReport report;

  OriginalNode user_count() const { return static_cast<OriginalNode>(users.size()); }
};

/// Merges duplicates (weights are added) and builds the graph. Throws InputError for more nodes than ids can name.
BipartiteGraph build_bipartite_graph(InteractionList&& list, unsigned threads = 0);

/// "user:NAME" for all users, then "item:NAME" for all items: how a file of vectors tells them apart.
NodeNames bipartite_names(const NodeNames& users, const NodeNames& items);

inline constexpr const char* kUserPrefix = "user:";
inline constexpr const char* kItemPrefix = "item:";

}  // namespace knotwork::partition
