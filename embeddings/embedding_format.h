// One reader and one writer for each format: what embedding_file.cpp chooses from. Not for other rooms.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "embeddings/embedding.h"
#include "embeddings/embedding_file.h"
#include "partition/whole_file.h"

namespace knotwork::embeddings {

/// A file mapped read-only into memory.
class MappedFile {
 public:
  /// Throws InputError: missing, empty, not a plain file; SystemError if it cannot be mapped.
  explicit MappedFile(const std::string& path);
  ~MappedFile();
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;
  std::string_view bytes() const { return {data_, size_}; }

 private:
  const char* data_ = nullptr;
  std::size_t size_ = 0;
};

/// The header line "n d" of both word2vec formats.
struct Word2vecHeader {
  std::uint64_t rows = 0;
  std::uint64_t dim = 0;
  std::size_t bytes = 0;  ///< length of the line, newline included
};
/// False if `bytes` does not begin with two positive integers alone on a line.
bool parse_word2vec_header(std::string_view bytes, Word2vecHeader& header);

using Attributes = std::map<std::string, std::string>;

std::unique_ptr<EmbeddingWriter> create_npy_writer(const std::string& path, partition::NodeNames names,
                                                   std::size_t dim);
/// The bytes before the first row of an .npy file: a multiple of 64.
std::string npy_header(std::size_t rows, std::size_t dim);
/// Writes the names of an .npy file beside it; whoever asked publishes them. Errors as EmbeddingWriter::create.
std::unique_ptr<partition::WholeFile> write_ids(const std::string& npy_path, const partition::NodeNames& names);

std::unique_ptr<EmbeddingWriter> create_text_writer(const std::string& path, partition::NodeNames names,
                                                    std::size_t dim, EmbeddingFormat format);
std::unique_ptr<EmbeddingWriter> create_word2vec_binary_writer(const std::string& path, partition::NodeNames names,
                                                               std::size_t dim);
std::unique_ptr<EmbeddingWriter> create_hdf5_writer(const std::string& path, partition::NodeNames names,
                                                    std::size_t dim, const Attributes& attributes);

Embedding read_npy(const std::string& path);
Embedding read_text(const std::string& path, EmbeddingFormat format);
Embedding read_word2vec_binary(const std::string& path);
Embedding read_hdf5(const std::string& path);

EmbeddingSummary inspect_npy(const std::string& path);
EmbeddingSummary inspect_text(const std::string& path, EmbeddingFormat format);
EmbeddingSummary inspect_word2vec_binary(const std::string& path);
EmbeddingSummary inspect_hdf5(const std::string& path);

/// Throws InputError if one of `names` holds a byte of `forbidden`; `format` and `what` word the message.
void require_names_without(const partition::NodeNames& names, std::string_view forbidden, const std::string& path,
                           const std::string& what);

/// Names read from a file, in the file's order, back to back.
struct NameList {
  std::string bytes;
  std::vector<std::uint64_t> ends;
  void append(std::string_view name) {
    bytes.append(name);
    ends.push_back(bytes.size());
  }
  std::size_t size() const { return ends.size(); }
  std::string_view name(std::size_t index) const {
    const std::uint64_t begin = index == 0 ? 0 : ends[index - 1];
    return std::string_view(bytes).substr(begin, ends[index] - begin);
  }
};
/// Integers if they are plain decimal numbers in rising order, else strings. Throws InputError on an empty name or a
/// name that comes twice; `first_line` is the line of name 0 in `path` (0: rows are counted instead of lines).
partition::NodeNames make_node_names(NameList list, const std::string& path, std::size_t first_line);

/// Throws InputError on the first value that is not a finite number.
void require_finite(const Embedding& embedding, const std::string& path);

}  // namespace knotwork::embeddings
