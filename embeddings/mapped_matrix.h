// A matrix of floats in a file that is mapped into memory, and the .npy file that is filled so.
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>

#include "partition/node_names.h"
#include "partition/whole_file.h"

namespace knotwork::embeddings {

/// Rows of floats, row-major, in a file. Threads may write different rows.
class MappedMatrix {
 public:
  /// A file without a name in the folder of `beside`: gone when this is. Zero at first. Throws SystemError.
  static std::unique_ptr<MappedMatrix> scratch(const std::string& beside, std::size_t rows, std::size_t columns);
  /// `path`.npy with its names; both bear their final names after publish(). Throws as EmbeddingWriter::create.
  static std::unique_ptr<MappedMatrix> npy(const std::string& path, const partition::NodeNames& names,
                                           std::size_t columns);
  ~MappedMatrix();
  MappedMatrix(const MappedMatrix&) = delete;
  MappedMatrix& operator=(const MappedMatrix&) = delete;

  std::size_t rows() const { return rows_; }
  std::size_t columns() const { return columns_; }
  float* row(std::size_t row) { return values_ + row * columns_; }
  /// The pages of [first, last) leave this process's memory; what was written stays in the file.
  void release(std::size_t first, std::size_t last);
  /// Forces all to disk and gives the files of npy() their final names. Throws SystemError.
  void publish();

 private:
  MappedMatrix(std::size_t rows, std::size_t columns) : rows_(rows), columns_(columns) {}
  /// Sizes and maps the file, which has `header_bytes` bytes before the first row.
  void map(int descriptor, std::size_t header_bytes, const std::string& path);

  std::size_t rows_;
  std::size_t columns_;
  std::byte* mapping_ = nullptr;
  std::size_t mapped_bytes_ = 0;
  float* values_ = nullptr;
  std::unique_ptr<partition::WholeFile> ids_;
  std::unique_ptr<partition::WholeFile> file_;
};

}  // namespace knotwork::embeddings
