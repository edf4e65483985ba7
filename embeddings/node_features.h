// Features of nodes, given by the user: dense (an embedding file of any format) or sparse (svmlight-like lines).
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "partition/ids.h"
#include "partition/node_names.h"

namespace knotwork::embeddings {

/// Rows of features, sparse in memory whatever the file was. Rows are original nodes when read, and local nodes of a
/// slice after selecting. Const methods may be called from any thread.
class NodeFeatures {
 public:
  NodeFeatures() = default;
  /// `offsets`: rows + 1 positions into `numbers` and `values`; numbers rise within a row and are below `columns`.
  NodeFeatures(std::size_t columns, std::vector<std::uint64_t> offsets, std::vector<std::uint32_t> numbers,
               std::vector<float> values);

  std::size_t rows() const { return offsets_.size() - 1; }
  std::size_t columns() const { return columns_; }

  /// Columns first_column .. of a row.
  void fill(std::size_t row, std::size_t first_column, std::span<float> out) const;

  /// visit(number, value) for all that is not zero, by rising number.
  template <typename Visit>
  void for_each(std::size_t row, Visit visit) const {
    for (std::uint64_t at = offsets_[row]; at < offsets_[row + 1]; ++at) visit(numbers_[at], values_[at]);
  }

  /// The rows of `nodes`, in their order.
  NodeFeatures select(std::span<const partition::OriginalNode> nodes) const;

  std::span<const std::uint64_t> offsets() const { return offsets_; }
  std::span<const std::uint32_t> numbers() const { return numbers_; }
  std::span<const float> values() const { return values_; }
  std::uint64_t bytes() const;

 private:
  std::size_t columns_ = 0;
  std::vector<std::uint64_t> offsets_{0};
  std::vector<std::uint32_t> numbers_;
  std::vector<float> values_;
};

/// What reading left out.
struct FeatureReport {
  /// Lines of nodes that the graph does not have.
  std::uint64_t unknown_nodes = 0;
  /// Nodes of the graph without a line: rows of zeros.
  std::uint64_t nodes_without = 0;
};

/// Reads features of the nodes in `names`: .npy (with its .ids.txt), .txt, .bin, .tsv or .h5 as an embedding; any other
/// ending as lines `node TAB index:value ...` (index from 0; plain or .gz). Throws InputError: file and line, what was
/// found, what was expected; a node twice; values that are not finite; no node of the graph at all.
NodeFeatures read_node_features(const std::string& path, const partition::NodeNames& names, FeatureReport& report);

}  // namespace knotwork::embeddings
