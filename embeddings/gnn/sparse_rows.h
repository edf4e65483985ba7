// Rows that are mostly zeros (bags of words, one-hot ids), as networks take them: by row for the product X W, and by
// column for its derivative X^T G.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace knotwork::embeddings::gnn {

/// By row: offsets (rows + 1) into numbers (columns, rising) and values. By column: column_offsets (columns + 1) into
/// entry_rows (rising) and entries (places in values).
struct SparseRows {
  std::uint32_t columns = 0;
  std::vector<std::uint64_t> offsets{0};
  std::vector<std::uint32_t> numbers;
  std::vector<float> values;
  std::vector<std::uint64_t> column_offsets;
  std::vector<std::uint32_t> entry_rows;
  std::vector<std::uint64_t> entries;

  std::uint32_t rows() const { return static_cast<std::uint32_t>(offsets.size() - 1); }
};

/// Takes rows over and adds the view by column. O(entries + columns).
SparseRows sparse_rows(std::uint32_t columns, std::vector<std::uint64_t> offsets, std::vector<std::uint32_t> numbers,
                       std::vector<float> values);

/// Row i has a one in column i: networks without features learn a vector for each node.
SparseRows identity_rows(std::uint32_t rows);

/// Scales each row so that the absolute values of its entries add up to 1; rows of zeros stay. (Planetoid's data sets
/// are used so by GCN, GAT, SGC, APPNP and DAGNN.)
void normalise_rows(SparseRows& rows);

}  // namespace knotwork::embeddings::gnn
