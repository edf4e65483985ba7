// LightGCN's propagation: the mean of a table and of its first K passes over the graph.
//
//   F  =  1 / (K + 1)  *  sum over k = 0 .. K of  S^k E,      S = D^-1/2 A D^-1/2
//
// He, Deng, Wang, Li, Zhang, Wang: "LightGCN: simplifying and powering graph convolution network for recommendation",
// SIGIR 2020, equations 7 and 8 with alpha_k = 1 / (K + 1). S is symmetric, so the gradient by E is the same function
// of the gradient by F: forward and backward are one.
//
// S^k E = D^1/2 (D^-1 A)^k D^-1/2 E, so the kernel of all propagation (propagation_kernel.h) does it unchanged, block
// by block of columns.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "embeddings/crew.h"
#include "embeddings/propagation.h"
#include "partition/graph.h"

namespace knotwork::embeddings {

/// Bound to a graph and a crew, which must outlive it. Not thread-safe: it uses threads itself.
class LayerMean {
 public:
  /// `stride`: floats of a row, a multiple of 16. Collective. Throws partition::InputError for weights that can't be
  /// summed (node_scales), std::bad_alloc.
  LayerMean(const partition::Graph& graph, std::uint32_t layers, bool weighted, std::size_t stride, Crew& crew);

  /// Collective: out = F(in), whole tables of graph.row_count() rows, which may not overlap. Waits for all before, so
  /// `in` may just have been written by others, and after.
  void apply(std::span<const float> in, std::span<float> out);

 private:
  void fill(std::span<const float> in, std::span<float> out, std::size_t column);
  void multiply_once(std::span<float> out, std::size_t column, bool is_last);

  const partition::Graph& graph_;
  std::uint32_t layers_;
  std::size_t stride_;
  bool weighted_;
  Crew& crew_;
  NodeScales scales_;
  std::vector<std::uint32_t> runs_;
  ColumnBlock source_;
  ColumnBlock result_;
};

}  // namespace knotwork::embeddings
