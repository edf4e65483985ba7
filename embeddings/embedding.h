// A finished embedding in memory: one row of floats for every node, and the nodes' names.
//
// Rows are float32, row-major, `dim` floats each, without padding, in the order of the input's dictionary (original
// nodes): the form in which results are written, read back and judged. Training tables are another thing (row_table.h).
#pragma once

#include <cstddef>
#include <span>
#include <utility>

#include "partition/huge_array.h"
#include "partition/ids.h"
#include "partition/node_names.h"

namespace knotwork::embeddings {

/// Names and rows. Movable, not copyable. Const methods may be called from any thread.
class Embedding {
 public:
  Embedding() = default;
  /// Zero rows, one for each of `names`. Throws std::bad_alloc.
  Embedding(partition::NodeNames names, std::size_t dim)
      : names_(std::move(names)), rows_(names_.size()), dim_(dim), values_(rows_ * dim) {}
  /// Takes over rows that are filled already. REQUIRES: values.size() == names.size() * dim.
  Embedding(partition::NodeNames names, std::size_t dim, partition::HugeArray<float> values)
      : names_(std::move(names)), rows_(names_.size()), dim_(dim), values_(std::move(values)) {}

  std::size_t rows() const { return rows_; }
  std::size_t dim() const { return dim_; }
  const partition::NodeNames& names() const { return names_; }

  /// REQUIRES: node < rows().
  std::span<const float> row(partition::OriginalNode node) const {
    return values_.span().subspan(static_cast<std::size_t>(node) * dim_, dim_);
  }
  std::span<float> row(partition::OriginalNode node) {
    return values_.span().subspan(static_cast<std::size_t>(node) * dim_, dim_);
  }
  /// All rows, rows() * dim() floats.
  std::span<const float> values() const { return values_.span(); }
  std::span<float> values() { return values_.span(); }

 private:
  partition::NodeNames names_;
  std::size_t rows_ = 0;
  std::size_t dim_ = 0;
  partition::HugeArray<float> values_;
};

/// Throws partition::InputError, naming the node, if some value is no number, or beyond 1e15 and so too large to be
/// squared and summed in float: scores would not be numbers, and logistic regression would never end.
void require_judgeable(const Embedding& embedding);

}  // namespace knotwork::embeddings
