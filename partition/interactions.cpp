#include "partition/interactions.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include "partition/edge_list_reader.h"
#include "partition/errors.h"
#include "partition/matrix_market_reader.h"
#include "partition/parsed_edges.h"
#include "partition/random.h"
#include "partition/text_source.h"

namespace knotwork::partition {

namespace {

/// The names of one column, and the number of each in that column.
struct Column {
  NodeNames names;
  std::vector<OriginalNode> number;  // kInvalidNode: does not stand in this column.
};

Column column_of(const NodeNames& all, const std::vector<std::uint8_t>& is_here) {
  Column column;
  column.number.assign(all.size(), kInvalidNode);
  OriginalNode count = 0;
  std::vector<std::uint64_t> integers;
  std::string bytes;
  std::vector<std::uint64_t> ends;
  for (OriginalNode node = 0; node < all.size(); ++node) {
    if (is_here[node] == 0) continue;
    column.number[node] = count++;
    if (all.are_integers()) {
      integers.push_back(std::stoull(all.name(node)));
    } else {
      all.append_name(node, bytes);
      ends.push_back(bytes.size());
    }
  }
  column.names = all.are_integers() ? NodeNames::from_integers(std::move(integers))
                                    : NodeNames::from_strings(std::move(bytes), std::move(ends));
  return column;
}

/// Parts the names of both columns.
void separate(ParsedEdges&& parsed, InteractionList& list) {
  std::vector<std::uint8_t> is_user(parsed.names.size());
  std::vector<std::uint8_t> is_item(parsed.names.size());
  for (const EdgeChunk& chunk : parsed.edges.chunks) {
    for (const Edge& edge : chunk.edges) {
      is_user[edge.source] = 1;
      is_item[edge.target] = 1;
    }
  }
  Column users = column_of(parsed.names, is_user);
  Column items = column_of(parsed.names, is_item);
  for (EdgeChunk& chunk : parsed.edges.chunks) {
    for (Edge& edge : chunk.edges) edge = {users.number[edge.source], items.number[edge.target]};
  }
  list.users = std::move(users.names);
  list.items = std::move(items.names);
  list.pairs = std::move(parsed.edges);
}

/// Pairs leave in the order of these. Duplicates have the same.
std::uint64_t key_of(const Edge& edge, std::uint64_t seed) {
  const RandomBlock random = random_block(seed, RandomPurpose::kSplit, edge.source, edge.target, 0);
  return (std::uint64_t{random[0]} << 32) | random[1];
}

}  // namespace

InteractionList read_interactions(const std::string& path, const ReadOptions& options) {
  const auto start = std::chrono::steady_clock::now();
  TextSource source(path, options.tuning.block_bytes, options.progress);
  const bool is_other = options.format == GraphFormat::kAuto ? looks_like_matrix_market(source.head())
                                                             : options.format != GraphFormat::kEdgeList;
  if (is_other) throw InputError(source.name() + ": found another format, expected lines 'user item [weight]'");
  ReadOptions as_arcs = options;
  as_arcs.directed = true;
  ParsedEdges parsed = read_edge_list(source, as_arcs);
  InteractionList list;
  list.report.bytes = source.text_bytes();
  list.report.lines = parsed.lines;
  list.report.edges_read = parsed.edges_read;
  list.report.zero_weights_dropped = parsed.zero_weights_dropped;
  list.report.header_skipped = parsed.header_skipped;
  separate(std::move(parsed), list);
  if (list.pairs.edge_count() == 0)
    throw InputError(source.name() + ": all weights are zero, expected some interaction");
  list.report.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  return list;
}

std::vector<Edge> hold_out(InteractionList& list, double share, std::uint64_t seed) {
  // The last to leave stays.
  std::vector<std::uint64_t> last_of_user(list.users.size());
  std::vector<std::uint64_t> last_of_item(list.items.size());
  for (const EdgeChunk& chunk : list.pairs.chunks) {
    for (const Edge& edge : chunk.edges) {
      const std::uint64_t key = key_of(edge, seed);
      last_of_user[edge.source] = std::max(last_of_user[edge.source], key);
      last_of_item[edge.target] = std::max(last_of_item[edge.target], key);
    }
  }
  const auto limit = static_cast<std::uint64_t>(share * 0x1.0p63) * 2;
  std::vector<Edge> held;
  for (EdgeChunk& chunk : list.pairs.chunks) {
    std::size_t kept = 0;
    for (std::size_t i = 0; i < chunk.edges.size(); ++i) {
      const Edge edge = chunk.edges[i];
      const std::uint64_t key = key_of(edge, seed);
      if (key < limit && key < last_of_user[edge.source] && key < last_of_item[edge.target]) {
        held.push_back(edge);
        continue;
      }
      if (!chunk.weights.empty()) chunk.weights[kept] = chunk.weights[i];
      chunk.edges[kept++] = edge;
    }
    chunk.edges.shrink(kept);
    if (!chunk.weights.empty()) chunk.weights.shrink(kept);
  }
  const auto order = [](const Edge& edge) { return std::pair(edge.source, edge.target); };
  std::ranges::sort(held, {}, order);
  const auto same = [&](const Edge& a, const Edge& b) { return order(a) == order(b); };
  held.erase(std::unique(held.begin(), held.end(), same), held.end());
  return held;
}

BipartiteGraph build_bipartite_graph(InteractionList&& list, unsigned threads) {
  const auto start = std::chrono::steady_clock::now();
  const std::uint64_t nodes = std::uint64_t{list.users.size()} + list.items.size();
  if (nodes > kMaxNodes) {
    throw InputError("found " + std::to_string(nodes) + " users and items, expected at most " +
                     std::to_string(kMaxNodes));
  }
  const auto first_item = static_cast<OriginalNode>(list.users.size());
  for (EdgeChunk& chunk : list.pairs.chunks) {
    for (Edge& edge : chunk.edges) edge.target += first_item;
  }
  BuildReport built;
  Graph graph =
      build_graph(std::move(list.pairs), static_cast<OriginalNode>(nodes), false, built, thread_count(threads));
  list.report.duplicates_merged = built.duplicates_merged;
  list.report.seconds += std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  return {std::move(graph), std::move(list.users), std::move(list.items), list.report};
}

NodeNames bipartite_names(const NodeNames& users, const NodeNames& items) {
  std::string bytes;
  std::vector<std::uint64_t> ends;
  ends.reserve(users.size() + items.size());
  const auto append = [&](const char* prefix, const NodeNames& names) {
    for (OriginalNode node = 0; node < names.size(); ++node) {
      bytes += prefix;
      names.append_name(node, bytes);
      ends.push_back(bytes.size());
    }
  };
  append(kUserPrefix, users);
  append(kItemPrefix, items);
  return NodeNames::from_strings(std::move(bytes), std::move(ends));
}

}  // namespace knotwork::partition
