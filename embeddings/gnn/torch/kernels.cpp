#include "embeddings/gnn/torch/kernels.h"

#include <algorithm>
#include <cmath>
#include <type_traits>
#include <vector>

#include "embeddings/gnn/torch/weighted_sums.h"
#include "partition/random.h"

namespace knotwork::embeddings::gnn {
namespace {

// Rows that a thread takes at a time: hubs come first, and a run of them should not be the last to end.
constexpr int kRun = 16;

template <typename Real>
void add_scaled(Real* __restrict to, Real factor, const Real* __restrict from, std::size_t columns) {
#pragma omp simd
  for (std::size_t c = 0; c < columns; ++c) to[c] += factor * from[c];
}

/// Elements with random bits below this are dropped.
std::uint64_t drop_below(double rate) {
  return static_cast<std::uint64_t>(rate * 0x1.0p32);
}

/// The dropout factors of one row, asked for by place: places are drawn four at a time.
class RowDropout {
 public:
  RowDropout(const DropoutKey& key, std::size_t row)
      : key_(key), node_(key.rate > 0 ? key.nodes[row] : 0), below_(drop_below(key.rate)) {}

  /// 0 or 1 / (1 - rate).
  double factor(std::uint64_t place) {
    if (key_.rate <= 0) return 1;
    const auto group = static_cast<std::uint32_t>(place / 4);
    if (group != group_ || !drawn_) {
      block_ =
          partition::random_block(key_.seed, partition::RandomPurpose::kDropout, node_, key_.step, group, key_.tag);
      group_ = group;
      drawn_ = true;
    }
    return block_[place % 4] < below_ ? 0 : 1 / (1 - key_.rate);
  }

 private:
  const DropoutKey& key_;
  std::uint32_t node_;
  std::uint64_t below_;
  partition::RandomBlock block_{};
  std::uint32_t group_ = 0;
  bool drawn_ = false;
};

/// Calls visit(entry, source) for the arcs of a target, and then for its loop: entry arcs + target.
template <typename Visit>
void for_each_entry(const MessageBlock& block, std::size_t target, Visit visit) {
  for (std::uint64_t arc = block.offsets[target]; arc < block.offsets[target + 1]; ++arc)
    visit(arc, std::size_t{block.neighbours[arc]});
  visit(block.arcs() + target, target);
}

/// Calls visit(entry, target, place of the entry in the target's list) for all targets that `source` sends to.
template <typename Visit>
void for_each_reverse_entry(const MessageBlock& block, std::size_t source, Visit visit) {
  for (std::uint64_t at = block.reverse_offsets[source]; at < block.reverse_offsets[source + 1]; ++at)
    visit(block.reverse_arcs[at], std::size_t{block.reverse_targets[at]});
  if (source < block.targets) visit(block.arcs() + source, source);
}

/// All rows, by all threads.
void sum_all(const WeightedSums& sums) {
  const std::size_t rows = sums.rows();
#pragma omp parallel for schedule(dynamic, 1)
  for (std::size_t first = 0; first < rows; first += kRun) sum_rows(sums, first, std::min(rows, first + kRun));
}

template <typename Real>
Real leaky(Real x, double slope) {
  return x > 0 ? x : static_cast<Real>(slope) * x;
}

}  // namespace

template <typename Real>
void aggregate(const MessageBlock& block, std::span<const Real> x, std::size_t columns, std::span<Real> y) {
  if constexpr (std::is_same_v<Real, float>) {
    return sum_all({.offsets = block.offsets,
                    .numbers = block.neighbours,
                    .factors = block.coefficients,
                    .own = block.self_coefficients,
                    .x = x.data(),
                    .y = y.data(),
                    .columns = columns});
  }
#pragma omp parallel for schedule(dynamic, kRun)
  for (std::size_t i = 0; i < block.targets; ++i) {
    Real* const row = y.data() + i * columns;
    std::fill_n(row, columns, Real{0});
    for (std::uint64_t arc = block.offsets[i]; arc < block.offsets[i + 1]; ++arc)
      add_scaled(row, static_cast<Real>(block.coefficients[arc]), x.data() + block.neighbours[arc] * columns, columns);
    if (!block.self_coefficients.empty())
      add_scaled(row, static_cast<Real>(block.self_coefficients[i]), x.data() + i * columns, columns);
  }
}

template <typename Real>
void aggregate_backward(const MessageBlock& block, std::span<const Real> by_y, std::size_t columns,
                        std::span<Real> by_x) {
  if constexpr (std::is_same_v<Real, float>) {
    return sum_all({.offsets = block.reverse_offsets,
                    .numbers = block.reverse_targets,
                    .factors = block.reverse_coefficients,
                    .own = block.self_coefficients,
                    .x = by_y.data(),
                    .y = by_x.data(),
                    .columns = columns});
  }
#pragma omp parallel for schedule(dynamic, kRun)
  for (std::size_t j = 0; j < block.sources; ++j) {
    Real* const row = by_x.data() + j * columns;
    std::fill_n(row, columns, Real{0});
    for (std::uint64_t at = block.reverse_offsets[j]; at < block.reverse_offsets[j + 1]; ++at)
      add_scaled(row, static_cast<Real>(block.reverse_coefficients[at]),
                 by_y.data() + block.reverse_targets[at] * columns, columns);
    if (!block.self_coefficients.empty() && j < block.targets)
      add_scaled(row, static_cast<Real>(block.self_coefficients[j]), by_y.data() + j * columns, columns);
  }
}

template <typename Real>
void maximum(const MessageBlock& block, std::span<const Real> x, std::size_t columns, std::span<Real> y,
             std::span<std::uint64_t> winners) {
#pragma omp parallel for schedule(dynamic, kRun)
  for (std::size_t i = 0; i < block.targets; ++i) {
    Real* const row = y.data() + i * columns;
    std::uint64_t* const winner = winners.data() + i * columns;
    std::fill_n(row, columns, Real{0});
    std::fill_n(winner, columns, kNoArc);
    for (std::uint64_t arc = block.offsets[i]; arc < block.offsets[i + 1]; ++arc) {
      const Real* const from = x.data() + block.neighbours[arc] * columns;
      for (std::size_t c = 0; c < columns; ++c) {
        if (winner[c] != kNoArc && !(from[c] > row[c])) continue;
        row[c] = from[c];
        winner[c] = arc;
      }
    }
  }
}

template <typename Real>
void maximum_backward(const MessageBlock& block, std::span<const Real> by_y, std::span<const std::uint64_t> winners,
                      std::size_t columns, std::span<Real> by_x) {
#pragma omp parallel for schedule(dynamic, kRun)
  for (std::size_t j = 0; j < block.sources; ++j) {
    Real* const row = by_x.data() + j * columns;
    std::fill_n(row, columns, Real{0});
    for (std::uint64_t at = block.reverse_offsets[j]; at < block.reverse_offsets[j + 1]; ++at) {
      const std::size_t target = block.reverse_targets[at] * columns;
      for (std::size_t c = 0; c < columns; ++c)
        if (winners[target + c] == block.reverse_arcs[at]) row[c] += by_y[target + c];
    }
  }
}

template <typename Real>
void drop(const DropoutKey& key, std::span<const Real> x, std::size_t columns, std::span<Real> y) {
  const std::size_t rows = columns == 0 ? 0 : x.size() / columns;
#pragma omp parallel for schedule(static)
  for (std::size_t i = 0; i < rows; ++i) {
    RowDropout dropout(key, i);
    for (std::size_t c = 0; c < columns; ++c)
      y[i * columns + c] = x[i * columns + c] * static_cast<Real>(dropout.factor(c));
  }
}

void drop_entries(const DropoutKey& key, const SparseRows& rows, std::span<float> values) {
#pragma omp parallel for schedule(static)
  for (std::uint32_t i = 0; i < rows.rows(); ++i) {
    RowDropout dropout(key, i);
    for (std::uint64_t at = rows.offsets[i]; at < rows.offsets[i + 1]; ++at)
      values[at] = rows.values[at] * static_cast<float>(dropout.factor(rows.numbers[at]));
  }
}

void multiply_sparse(const SparseRows& x, std::span<const float> values, std::span<const float> w, std::size_t columns,
                     std::span<float> y) {
  sum_all({.offsets = x.offsets,
           .numbers = x.numbers,
           .factors = values,
           .x = w.data(),
           .y = y.data(),
           .columns = columns});
}

void multiply_sparse_backward(const SparseRows& x, std::span<const float> values, std::span<const float> by_y,
                              std::size_t columns, std::span<float> by_w) {
  std::vector<float> by_column(values.size());
  for (std::size_t at = 0; at < by_column.size(); ++at) by_column[at] = values[x.entries[at]];
  sum_all({.offsets = x.column_offsets,
           .numbers = x.entry_rows,
           .factors = by_column,
           .x = by_y.data(),
           .y = by_w.data(),
           .columns = columns});
}

template <typename Real>
void attend(const MessageBlock& block, const AttentionShape& shape, const DropoutKey& key, std::span<const Real> h,
            std::span<const Real> left, std::span<const Real> right, std::span<Real> shares, std::span<Real> y) {
  const std::size_t heads = shape.heads;
  const std::size_t width = heads * shape.columns;
#pragma omp parallel for schedule(dynamic, kRun)
  for (std::size_t i = 0; i < block.targets; ++i) {
    RowDropout dropout(key, i);
    Real* const row = y.data() + i * width;
    std::fill_n(row, width, Real{0});
    for (std::size_t head = 0; head < heads; ++head) {
      const auto score = [&](std::size_t j) {
        return leaky(left[i * heads + head] + right[j * heads + head], shape.slope);
      };
      Real most = score(i);
      for_each_entry(block, i, [&](std::uint64_t, std::size_t j) { most = std::max(most, score(j)); });
      Real sum = 0;
      for_each_entry(block, i, [&](std::uint64_t entry, std::size_t j) {
        sum += shares[entry * heads + head] = std::exp(score(j) - most);
      });
      for_each_entry(block, i, [&](std::uint64_t entry, std::size_t) { shares[entry * heads + head] /= sum; });
    }
    std::uint64_t place = 0;
    for_each_entry(block, i, [&](std::uint64_t entry, std::size_t j) {
      for (std::size_t head = 0; head < heads; ++head) {
        const Real factor = shares[entry * heads + head] * static_cast<Real>(dropout.factor(place++));
        const std::size_t at = head * shape.columns;
        if (factor != 0) add_scaled(row + at, factor, h.data() + j * width + at, shape.columns);
      }
    });
  }
}

// By target: derivatives of scores, which replace by_scores' entries; dropped shares replace shares.
// By source: what each row's messages and scores were worth.
template <typename Real>
void attend_backward(const MessageBlock& block, const AttentionShape& shape, const DropoutKey& key,
                     std::span<const Real> h, std::span<const Real> left, std::span<const Real> right,
                     std::span<Real> shares, std::span<const Real> by_y, std::span<Real> by_h, std::span<Real> by_left,
                     std::span<Real> by_right) {
  const std::size_t heads = shape.heads;
  const std::size_t width = heads * shape.columns;
  std::vector<Real> by_scores(shares.size());
#pragma omp parallel for schedule(dynamic, kRun)
  for (std::size_t i = 0; i < block.targets; ++i) {
    RowDropout dropout(key, i);
    std::vector<Real> weighed(heads);
    std::uint64_t place = 0;
    for_each_entry(block, i, [&](std::uint64_t entry, std::size_t j) {
      for (std::size_t head = 0; head < heads; ++head) {
        const std::size_t at = head * shape.columns;
        Real product = 0;
        for (std::size_t c = 0; c < shape.columns; ++c) product += by_y[i * width + at + c] * h[j * width + at + c];
        product *= static_cast<Real>(dropout.factor(place++));
        by_scores[entry * heads + head] = product;
        weighed[head] += shares[entry * heads + head] * product;
      }
    });
    std::fill_n(by_left.data() + i * heads, heads, Real{0});
    RowDropout again(key, i);
    place = 0;
    for_each_entry(block, i, [&](std::uint64_t entry, std::size_t j) {
      for (std::size_t head = 0; head < heads; ++head) {
        Real& share = shares[entry * heads + head];
        Real& by_score = by_scores[entry * heads + head];
        const bool rises = left[i * heads + head] + right[j * heads + head] > 0;
        by_score = share * (by_score - weighed[head]) * static_cast<Real>(rises ? 1.0 : shape.slope);
        by_left[i * heads + head] += by_score;
        share *= static_cast<Real>(again.factor(place++));
      }
    });
  }
#pragma omp parallel for schedule(dynamic, kRun)
  for (std::size_t j = 0; j < block.sources; ++j) {
    Real* const row = by_h.data() + j * width;
    std::fill_n(row, width, Real{0});
    std::fill_n(by_right.data() + j * heads, heads, Real{0});
    for_each_reverse_entry(block, j, [&](std::uint64_t entry, std::size_t i) {
      for (std::size_t head = 0; head < heads; ++head) {
        const std::size_t at = head * shape.columns;
        by_right[j * heads + head] += by_scores[entry * heads + head];
        const Real share = shares[entry * heads + head];
        if (share != 0) add_scaled(row + at, share, by_y.data() + i * width + at, shape.columns);
      }
    });
  }
}

#define KNOTWORK_INSTANTIATE(Real)                                                                                    \
  template void aggregate(const MessageBlock&, std::span<const Real>, std::size_t, std::span<Real>);                  \
  template void aggregate_backward(const MessageBlock&, std::span<const Real>, std::size_t, std::span<Real>);         \
  template void maximum(const MessageBlock&, std::span<const Real>, std::size_t, std::span<Real>,                     \
                        std::span<std::uint64_t>);                                                                    \
  template void maximum_backward(const MessageBlock&, std::span<const Real>, std::span<const std::uint64_t>,          \
                                 std::size_t, std::span<Real>);                                                       \
  template void drop(const DropoutKey&, std::span<const Real>, std::size_t, std::span<Real>);                         \
  template void attend(const MessageBlock&, const AttentionShape&, const DropoutKey&, std::span<const Real>,          \
                       std::span<const Real>, std::span<const Real>, std::span<Real>, std::span<Real>);               \
  template void attend_backward(const MessageBlock&, const AttentionShape&, const DropoutKey&, std::span<const Real>, \
                                std::span<const Real>, std::span<const Real>, std::span<Real>, std::span<const Real>, \
                                std::span<Real>, std::span<Real>, std::span<Real>);
KNOTWORK_INSTANTIATE(float)
KNOTWORK_INSTANTIATE(double)
#undef KNOTWORK_INSTANTIATE

}  // namespace knotwork::embeddings::gnn
