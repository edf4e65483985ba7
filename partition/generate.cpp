#include "partition/generate.h"

#include <algorithm>
#include <atomic>
#include <charconv>
#include <cmath>

#include "partition/errors.h"
#include "partition/random.h"
#include "partition/text_chunks.h"

namespace knotwork::partition {

namespace {

constexpr std::uint64_t kEdgesPerChunk = std::uint64_t{1} << 17;
constexpr std::uint64_t kNodesPerChunk = std::uint64_t{1} << 12;

void append_number(std::uint64_t number, std::string& text) {
  char digits[20];
  const auto [end, error] = std::to_chars(digits, digits + sizeof(digits), number);
  text.append(digits, end);
}

void append_pair(std::uint64_t first, std::uint64_t second, std::string& text) {
  append_number(first, text);
  text += '\t';
  append_number(second, text);
  text += '\n';
}

/// A permutation of 0 .. 2^scale - 1: odd multiplications and folded-down high bits, each of which can be undone.
std::uint32_t scramble(std::uint32_t node, unsigned scale, const RandomBlock& keys) {
  const auto mask = static_cast<std::uint32_t>((std::uint64_t{1} << scale) - 1);
  const unsigned half = (scale + 1) / 2;
  for (const std::uint32_t key : keys) {
    node = (node * (key | 1U) + (key >> 7)) & mask;
    node ^= node >> half;
  }
  return node;
}

void check(const RmatOptions& options) {
  if (options.scale < 1 || options.scale > 31) {
    throw InputError("the scale is " + std::to_string(options.scale) + ", expected 1 to 31");
  }
  if (options.edge_factor < 1) throw InputError("the edge factor is 0, expected at least 1");
  if (!(options.a >= 0 && options.b >= 0 && options.c >= 0 && options.a + options.b + options.c <= 1)) {
    throw InputError("R-MAT's a, b and c are probabilities, expected a sum of at most 1");
  }
}

void check(const SbmOptions& options) {
  if (options.nodes < 1 || options.nodes > kMaxNodes) {
    throw InputError("the number of nodes is " + std::to_string(options.nodes) + ", expected 1 to " +
                     std::to_string(kMaxNodes));
  }
  if (options.blocks < 1 || options.blocks > options.nodes) {
    throw InputError("the number of blocks is " + std::to_string(options.blocks) + ", expected 1 to " +
                     std::to_string(options.nodes) + " (the nodes)");
  }
  if (!(options.inside >= 0 && options.inside <= 1 && options.outside >= 0 && options.outside <= 1)) {
    throw InputError("edge probabilities inside and outside of blocks lie between 0 and 1");
  }
}

/// Appends node's edges to [first, last) of one probability: the gap to the next edge is geometric.
void append_run(const SbmOptions& options, OriginalNode node, std::uint64_t first, std::uint64_t last,
                double probability, std::uint32_t run, std::vector<Edge>& edges) {
  if (probability <= 0 || first >= last) return;
  const double log_miss = std::log1p(-probability);  // -inf for probability 1: no gaps
  std::uint64_t target = first;
  for (std::uint32_t draw = 0;; ++draw) {
    const RandomBlock block = random_block(options.seed, RandomPurpose::kGenerate, node, run, draw, 1);
    const double gap = std::floor(std::log1p(-unit_double(block[0], block[1])) / log_miss);
    if (gap >= static_cast<double>(last - target)) return;
    target += static_cast<std::uint64_t>(gap);
    edges.push_back({.source = node, .target = static_cast<OriginalNode>(target)});
    if (++target >= last) return;
  }
}

void write_labels(const SbmOptions& options, const std::string& path) {
  const std::uint64_t chunks = (options.nodes + kEdgesPerChunk - 1) / kEdgesPerChunk;
  write_text_chunks(path, chunks, [&](std::uint64_t chunk, std::string& text) {
    const std::uint64_t last = std::min(options.nodes, (chunk + 1) * kEdgesPerChunk);
    for (std::uint64_t node = chunk * kEdgesPerChunk; node < last; ++node) {
      append_pair(node, sbm_block(options, node), text);
    }
  });
}

}  // namespace

Edge rmat_edge(const RmatOptions& options, std::uint64_t index) {
  const auto low = static_cast<std::uint32_t>(index);
  const auto high = static_cast<std::uint32_t>(index >> 32);
  std::uint32_t source = 0;
  std::uint32_t target = 0;
  RandomBlock block{};
  for (unsigned level = 0; level < options.scale; ++level) {
    if (level % 4 == 0) block = random_block(options.seed, RandomPurpose::kGenerate, low, high, level / 4);
    const double random = block[level % 4] * 0x1.0p-32;
    const bool lower = random >= options.a + options.b;
    const bool right = lower ? random >= options.a + options.b + options.c : random >= options.a;
    source = source << 1 | static_cast<std::uint32_t>(lower);
    target = target << 1 | static_cast<std::uint32_t>(right);
  }
  const RandomBlock keys = random_block(options.seed, RandomPurpose::kGenerate, 0, 0, 0, 2);
  return {.source = scramble(source, options.scale, keys), .target = scramble(target, options.scale, keys)};
}

std::uint64_t sbm_block(const SbmOptions& options, std::uint64_t node) {
  return node * options.blocks / options.nodes;
}

void append_sbm_edges(const SbmOptions& options, OriginalNode node, std::vector<Edge>& edges) {
  // The block's last node + 1: the first node of the next block, rounded as sbm_block rounds.
  const std::uint64_t next = sbm_block(options, node) + 1;
  const std::uint64_t block_end = (next * options.nodes + options.blocks - 1) / options.blocks;
  append_run(options, node, std::uint64_t{node} + 1, block_end, options.inside, 0, edges);
  append_run(options, node, block_end, options.nodes, options.outside, 1, edges);
}

GenerateReport write_rmat(const RmatOptions& options, const std::string& path) {
  check(options);
  const std::uint64_t edges = options.edge_count();
  const std::uint64_t chunks = (edges + kEdgesPerChunk - 1) / kEdgesPerChunk;
  write_text_chunks(path, chunks, [&](std::uint64_t chunk, std::string& text) {
    const std::uint64_t last = std::min(edges, (chunk + 1) * kEdgesPerChunk);
    for (std::uint64_t index = chunk * kEdgesPerChunk; index < last; ++index) {
      const Edge edge = rmat_edge(options, index);
      append_pair(edge.source, edge.target, text);
    }
  });
  return {.node_count = options.node_count(), .edge_count = edges};
}

GenerateReport write_sbm(const SbmOptions& options, const std::string& path, const std::string& labels_path) {
  check(options);
  std::atomic<std::uint64_t> edge_count{0};
  const std::uint64_t chunks = (options.nodes + kNodesPerChunk - 1) / kNodesPerChunk;
  write_text_chunks(path, chunks, [&](std::uint64_t chunk, std::string& text) {
    const std::uint64_t last = std::min(options.nodes, (chunk + 1) * kNodesPerChunk);
    std::vector<Edge> edges;
    for (std::uint64_t node = chunk * kNodesPerChunk; node < last; ++node) {
      edges.clear();
      append_sbm_edges(options, static_cast<OriginalNode>(node), edges);
      for (const Edge& edge : edges) append_pair(edge.source, edge.target, text);
      edge_count.fetch_add(edges.size(), std::memory_order_relaxed);
    }
  });
  if (!labels_path.empty()) write_labels(options, labels_path);
  return {.node_count = options.nodes, .edge_count = edge_count.load()};
}

}  // namespace knotwork::partition
