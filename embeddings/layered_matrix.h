// The result of a propagation on its way to disk: wider than memory if need be.
//
// Rows lie in the order of original nodes in files that are mapped into memory: an .npy file is filled in place, some
// columns at a time; other formats, and layers that must wait for their row norms, lie in an unlinked scratch file
// beside it. Pages are let go of as soon as they are filled, so they count as the kernel's file cache, not as this
// program's memory. What is merged across columns (row norms, column means) is done at the end, in the order of
// original nodes by fixed chunks: the result depends on nothing but the rows.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "embeddings/embedding_file.h"
#include "partition/ids.h"
#include "partition/node_names.h"

namespace knotwork::embeddings {

/// How layers become the published rows.
struct LayerMerge {
  /// One weight a layer: rows are the weighted sum of layers. Empty: layers stand side by side.
  std::vector<float> weights;
  /// Scale each layer's row to length 1 before it is weighted. Rows of zeros stay zero.
  bool unit_rows = false;
  /// At the end, each column is moved and scaled to mean 0 and variance 1 over the rows that are not zero.
  bool standardise = false;
  /// At the end, each column is scaled to length 1.
  bool unit_columns = false;
};

class MappedMatrix;

class LayeredMatrix {
 public:
  /// For `layers` layers of `columns` columns. Makes all files, at their full size, so that a full disk is found here.
  /// Errors as EmbeddingWriter::create; SystemError if there is no room.
  LayeredMatrix(const std::string& path, partition::NodeNames names, std::uint32_t layers, std::size_t columns,
                LayerMerge merge, const std::map<std::string, std::string>& attributes);
  /// Without finish(): removes what was written.
  ~LayeredMatrix();
  LayeredMatrix(const LayeredMatrix&) = delete;
  LayeredMatrix& operator=(const LayeredMatrix&) = delete;

  std::size_t rows() const;
  /// Columns of a layer, and of the published matrix.
  std::size_t columns() const { return columns_; }
  std::size_t dim() const { return dim_; }
  /// Column 0 of a row of a layer. Threads may write different rows.
  float* row(std::uint32_t layer, partition::OriginalNode node);
  /// The rows [first, last) of a layer are not needed for now.
  void release(std::uint32_t layer, partition::OriginalNode first, partition::OriginalNode last);

  /// Merges, writes and publishes. Throws SystemError.
  void finish(unsigned threads);

 private:
  struct ColumnSums;
  void merge_rows(std::size_t first, std::size_t last, ColumnSums* sums);
  void merge(unsigned threads, std::vector<ColumnSums>& sums);
  void scale_columns(unsigned threads, const std::vector<ColumnSums>& sums);
  std::size_t chunk_count() const;

  std::size_t columns_;
  std::size_t dim_;
  LayerMerge merge_;
  /// Null if the published file is one that is filled in place.
  std::unique_ptr<EmbeddingWriter> writer_;
  /// The first one becomes the result.
  std::vector<std::unique_ptr<MappedMatrix>> files_;
};

}  // namespace knotwork::embeddings
