// The loops of graph neural networks over arcs: sums, maxima and attention over neighbours, sparse inputs, dropout.
//
// Each is a plain function of spans, row-major without padding, in float or (for checks of derivatives) double. Threads
// share rows, and each row is summed up by one thread in list order, so results are the same bits for any number of
// threads. Derivatives gather, too: over the block's arcs by source. What LibTorch has for this scatters with atomic
// additions, or makes a row for each arc.
#pragma once

#include <cstdint>
#include <span>

#include "embeddings/gnn/message_block.h"
#include "embeddings/gnn/sparse_rows.h"
#include "partition/ids.h"

namespace knotwork::embeddings::gnn {

/// y_i = sum over j of c_ij x_j + c_ii x_i. `x`: sources x columns, `y`: targets x columns.
template <typename Real>
void aggregate(const MessageBlock& block, std::span<const Real> x, std::size_t columns, std::span<Real> y);

/// The derivative of aggregate: from by_y to by_x, which is overwritten.
template <typename Real>
void aggregate_backward(const MessageBlock& block, std::span<const Real> by_y, std::size_t columns,
                        std::span<Real> by_x);

/// y_ic = max over j of x_jc, 0 for targets without arcs; `winners`: the first arc that has it (kNoArc if none).
inline constexpr std::uint64_t kNoArc = ~std::uint64_t{0};
template <typename Real>
void maximum(const MessageBlock& block, std::span<const Real> x, std::size_t columns, std::span<Real> y,
             std::span<std::uint64_t> winners);
template <typename Real>
void maximum_backward(const MessageBlock& block, std::span<const Real> by_y, std::span<const std::uint64_t> winners,
                      std::size_t columns, std::span<Real> by_x);

/// Which elements are dropped: functions of (seed, original node, step, place); `tag` tells layers apart.
struct DropoutKey {
  double rate = 0;
  std::uint64_t seed = 0;
  std::uint32_t step = 0;
  std::uint32_t tag = 0;
  /// Original node of each row.
  std::span<const partition::OriginalNode> nodes;
};

/// y = x, dropped elements 0 and others divided by 1 - rate. Its own derivative.
template <typename Real>
void drop(const DropoutKey& key, std::span<const Real> x, std::size_t columns, std::span<Real> y);
/// The same for the entries of sparse rows: what drop() would leave of the dense ones.
void drop_entries(const DropoutKey& key, const SparseRows& rows, std::span<float> values);

/// y = X w, with `values` in place of x.values. `w`: x.columns x columns.
void multiply_sparse(const SparseRows& x, std::span<const float> values, std::span<const float> w, std::size_t columns,
                     std::span<float> y);
/// by_w = X^T by_y.
void multiply_sparse_backward(const SparseRows& x, std::span<const float> values, std::span<const float> by_y,
                              std::size_t columns, std::span<float> by_w);

/// Attention of GAT (Velickovic et al., ICLR 2018, equations 1 to 4) in each of `heads` heads:
///   e_ij = leaky_relu(left_i + right_j, slope) for j in N(i) and i itself,  a_ij = softmax over j of e_ij,
///   y_i = sum over j of drop(a_ij) h_j
/// `h`: sources x (heads * columns); `left`: targets x heads; `right`: sources x heads; `y` as h, by target.
/// `shares`: a_ij, arcs first and then loops, (arcs + targets) x heads.
struct AttentionShape {
  std::size_t heads = 1;
  std::size_t columns = 1;
  double slope = 0.2;
};
template <typename Real>
void attend(const MessageBlock& block, const AttentionShape& shape, const DropoutKey& key, std::span<const Real> h,
            std::span<const Real> left, std::span<const Real> right, std::span<Real> shares, std::span<Real> y);
/// Overwrites the last three, and `shares` too.
template <typename Real>
void attend_backward(const MessageBlock& block, const AttentionShape& shape, const DropoutKey& key,
                     std::span<const Real> h, std::span<const Real> left, std::span<const Real> right,
                     std::span<Real> shares, std::span<const Real> by_y, std::span<Real> by_h, std::span<Real> by_left,
                     std::span<Real> by_right);

}  // namespace knotwork::embeddings::gnn
