// Graphs that a person has: edge lists, METIS .graph, Matrix Market, plain and compressed, with every choice of format.
#include <zlib.h>
#include <zstd.h>

#include "partition/errors.h"
#include "partition/read_graph.h"
#include "tests/fuzz/target.h"

namespace knotwork::fuzz {
namespace {

using partition::GlobalNode;
using partition::NamedGraph;

/// The first byte: format, directed, weights, threads, size of blocks, name of the file.
partition::ReadOptions graph_options(unsigned flags) {
  partition::ReadOptions options;
  options.format = static_cast<partition::GraphFormat>(flags & 3U);
  options.directed = (flags & 4U) != 0;
  options.weights = static_cast<partition::WeightColumn>((flags >> 3U & 3U) % 3);
  options.threads = (flags & 32U) != 0 ? 2 : 1;
  if ((flags & 64U) != 0) options.tuning.block_bytes = 64;
  return options;
}

/// What partition/graph.h says of every graph.
void check_graph(const NamedGraph& read) {
  const partition::Graph& graph = read.graph;
  require(graph.is_whole() && read.names.size() == graph.summary().node_count, "every node has a name");
  std::uint64_t arcs = 0;
  for (GlobalNode node = 0; node < graph.last_node(); ++node) {
    const auto targets = graph.neighbours(node);
    arcs += targets.size();
    for (std::size_t i = 0; i < targets.size(); ++i) {
      require(targets[i] < graph.last_node() && targets[i] != node, "arcs lead to other nodes of the graph");
      require(i == 0 || targets[i - 1] < targets[i], "arcs are sorted, without duplicates");
      require(graph.summary().directed || graph.has_arc(targets[i], node), "undirected edges have both arcs");
      require(!graph.summary().weighted || graph.weights(node)[i] > 0, "weights are positive");
    }
  }
  require(arcs == graph.summary().arc_count, "arcs are counted");
}

bool run_graph(std::string_view input) {
  static const ScratchFolder folder("graph");
  const unsigned flags = take_flags(input);
  const std::string path = folder.write((flags & 128U) != 0 ? "g.graph" : "g.txt", input);
  try {
    check_graph(partition::read_graph(path, graph_options(flags)));
    return true;
  } catch (const partition::InputError&) {
    return false;
  }
}

std::string gzipped(std::string_view text) {
  z_stream stream{};
  deflateInit2(&stream, Z_BEST_SPEED, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY);
  std::string out(deflateBound(&stream, text.size()), '\0');
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(text.data()));
  stream.avail_in = static_cast<uInt>(text.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<uInt>(out.size());
  deflate(&stream, Z_FINISH);
  out.resize(stream.total_out);
  deflateEnd(&stream);
  return out;
}

std::string zstd_compressed(std::string_view text) {
  std::string out(ZSTD_compressBound(text.size()), '\0');
  out.resize(ZSTD_compress(out.data(), out.size(), text.data(), text.size(), 1));
  return out;
}

std::vector<Seed> graph_seeds() {
  const std::string plain(1, '\0');
  const std::string small_blocks = "\x60";  // and two threads
  const std::string as_metis = "\x02";
  const std::string as_market = "\x03";
  const std::string edges = "0 1\n1 2\n2,0\n# comment\n7\t0\r\n";
  const std::string names = "source target weight\nanna bert 1.5\nbert carl 2e-1\ncarl anna 0\n";
  const std::string metis = "% comment\n4 4 001\n2 1 3 2\n1 1 3 1\n1 2 2 1 4 5\n3 5\n";
  const std::string market = "%%MatrixMarket matrix coordinate real symmetric\n% c\n4 4 3\n2 1 .5\n3 2 1\n4 1 2\n";
  const std::string pattern = "%%MatrixMarket matrix coordinate pattern general\n3 3 3\n2 1\n1 2\n3 1\n";
  return {
      {plain + edges},
      {small_blocks + edges + edges + edges},
      {plain + names},
      {small_blocks + "10 20\n30 forty\n18446744073709551615 18446744073709551616\n007 7\n"},
      {"\x04" + names},
      {as_metis + metis},
      {"\x82" + metis},
      {plain + market},
      {as_market + pattern},
      {plain + gzipped(names)},
      {plain + gzipped(edges) + gzipped(edges)},
      {plain + zstd_compressed(edges)},
      {plain + "\xEF\xBB\xBF" + edges},
      {plain, false},
      {as_metis + "4294967290 0\n", false},
      {as_metis + "4 99999999999999\n2\n1\n\n\n", false},
      {as_market + "%%MatrixMarket matrix coordinate real general\n4294967290 4294967290 1\n", false},
      {plain + "a b 1e999\n", false},
      {plain + std::string("0 1\n\0 2\n", 8), false},
  };
}

}  // namespace

Target graph_target() {
  return {"graph", graph_seeds, run_graph};
}

}  // namespace knotwork::fuzz
