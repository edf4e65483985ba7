// Embeddings on disk, in the formats that other tools read: .npy, word2vec text and binary, .tsv, .h5.
//
// docs/formats.md describes each byte by byte. A file bears its final name only when it is whole: rows go to
// PATH.partial, which is flushed to disk and renamed by finish(), and removed if anything fails before that.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <utility>

#include "embeddings/embedding.h"
#include "partition/node_names.h"

namespace knotwork::embeddings {

enum class EmbeddingFormat : std::uint8_t {
  kNumpy,           ///< .npy: float32 n x d, C order; names in the .ids.txt beside it
  kWord2vecText,    ///< .txt: "n d", then "name v1 ... vd" a line
  kWord2vecBinary,  ///< .bin: "n d", then name, blank, d little-endian float32, newline
  kTsv,             ///< .tsv: name TAB v1 TAB ... TAB vd, no header
  kHdf5,            ///< .h5 or .hdf5: datasets `embeddings` (float32 n x d) and `ids` (strings)
};

/// The format that the ending of `path` stands for. Throws partition::InputError that lists the known endings.
EmbeddingFormat embedding_format(const std::string& path);

/// "npy", "word2vec text", ...: for messages and reports.
std::string embedding_format_name(EmbeddingFormat format);

/// Where the names of an .npy file lie: emb.npy -> emb.ids.txt.
std::string ids_path(const std::string& npy_path);

/// Writes one embedding, row after row. Use from one thread at a time; text is formatted by OpenMP threads inside.
class EmbeddingWriter {
 public:
  /// Opens PATH.partial for names.size() rows of `dim` floats. `attributes` (method, seed, ...) are kept by .h5 only.
  /// Throws InputError: unknown ending, dim 0, a name that the format cannot hold (white space in word2vec files, TAB
  /// or newline in .tsv, newline in .ids.txt), a folder that does not exist or cannot be written.
  static std::unique_ptr<EmbeddingWriter> create(const std::string& path, partition::NodeNames names, std::size_t dim,
                                                 const std::map<std::string, std::string>& attributes = {});
  /// Without finish(): removes what was written.
  virtual ~EmbeddingWriter() = default;
  EmbeddingWriter(const EmbeddingWriter&) = delete;
  EmbeddingWriter& operator=(const EmbeddingWriter&) = delete;

  /// The next rows in the order of the names: a multiple of dim floats, row after row without padding. Throws
  /// SystemError when the disk is full, std::logic_error on more rows than names.
  void append(std::span<const float> rows);
  /// Flushes, syncs and renames. Throws SystemError; std::logic_error if rows are missing.
  void finish();

  std::size_t rows_written() const { return written_; }

 protected:
  EmbeddingWriter(partition::NodeNames names, std::size_t dim) : names_(std::move(names)), dim_(dim) {}
  const partition::NodeNames& names() const { return names_; }
  std::size_t dim() const { return dim_; }
  /// Writes rows first, first + 1, ...
  virtual void write_rows(std::size_t first, std::span<const float> rows) = 0;
  virtual void commit() = 0;

 private:
  partition::NodeNames names_;
  std::size_t dim_;
  std::size_t written_ = 0;
};

/// Writes a whole embedding. Errors as EmbeddingWriter.
void write_embedding(const std::string& path, const Embedding& embedding,
                     const std::map<std::string, std::string>& attributes = {});

/// Reads any of the formats, recognised by its content and, between .txt and .tsv, by its ending. Throws InputError
/// (file and line or field: missing, truncated or damaged file, sizes that do not fit the file's length, values that
/// are not finite numbers, a name twice). Memory: the result plus, for text, the mapped file.
Embedding read_embedding(const std::string& path);

/// What an embedding file says about itself, without reading its rows.
struct EmbeddingSummary {
  EmbeddingFormat format = EmbeddingFormat::kNumpy;
  std::uint64_t rows = 0;  ///< for .tsv, lines are counted
  std::uint64_t dim = 0;
};
/// Throws InputError as read_embedding.
EmbeddingSummary inspect_embedding(const std::string& path);

}  // namespace knotwork::embeddings
