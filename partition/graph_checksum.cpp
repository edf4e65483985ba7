#include "partition/graph_checksum.h"

#include <bit>
#include <stdexcept>

namespace knotwork::partition {

namespace {

/// The finaliser of MurmurHash3 (Appleby): every bit of the input changes every bit of the output.
std::uint64_t mixed(std::uint64_t word) {
  word ^= word >> 33;
  word *= 0xff51afd7ed558ccdULL;
  word ^= word >> 33;
  word *= 0xc4ceb9fe1a85ec53ULL;
  return word ^ (word >> 33);
}

std::uint64_t checksum_of_row(const Graph& graph, GlobalNode node) {
  const std::uint64_t from = graph.original(node);
  const auto neighbours = graph.neighbours(node);
  std::uint64_t sum = mixed((from << 32) + neighbours.size() + 1);
  for (std::size_t i = 0; i < neighbours.size(); ++i) {
    const std::uint32_t weight = graph.summary().weighted ? std::bit_cast<std::uint32_t>(graph.weights(node)[i]) : 0;
    sum += mixed(mixed((from << 32) | graph.original(neighbours[i])) + weight);
  }
  return sum;
}

}  // namespace

std::uint64_t graph_checksum(const Graph& graph) {
  if (!graph.is_whole()) throw std::invalid_argument("a graph's checksum needs the whole graph");
  std::uint64_t sum = graph.summary().directed ? 1 : 0;
#pragma omp parallel for schedule(dynamic, 1024) reduction(+ : sum)
  for (GlobalNode node = 0; node < graph.row_count(); ++node) sum += checksum_of_row(graph, node);
  return mixed(sum);
}

}  // namespace knotwork::partition
