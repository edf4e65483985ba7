// Chooses the format, and keeps count of the rows for all of them.
#include "embeddings/embedding_file.h"

#include <algorithm>
#include <cctype>
#include <stdexcept>
#include <utility>

#include "embeddings/embedding_format.h"
#include "partition/errors.h"

namespace knotwork::embeddings {
namespace {

using partition::InputError;

constexpr std::string_view kNpyMagic = "\x93NUMPY";
constexpr std::string_view kHdf5Magic = "\x89HDF\r\n\x1a\n";

bool is_text(std::string_view bytes) {
  return std::ranges::none_of(bytes, [](char c) {
    const auto byte = static_cast<unsigned char>(c);
    return byte < 0x20 && byte != '\t' && byte != '\n' && byte != '\r';
  });
}

/// By magic bytes first; text and word2vec binary have none, so their ending and look decide.
EmbeddingFormat recognise(const std::string& path) {
  const MappedFile file(path);
  const std::string_view bytes = file.bytes();
  if (bytes.starts_with(kNpyMagic)) return EmbeddingFormat::kNumpy;
  if (bytes.starts_with(kHdf5Magic)) return EmbeddingFormat::kHdf5;
  if (path.ends_with(".npy") || path.ends_with(".h5") || path.ends_with(".hdf5")) {
    throw InputError(path + ": does not begin with the signature of its format; the file is damaged or something else");
  }
  if (path.ends_with(".bin")) return EmbeddingFormat::kWord2vecBinary;
  if (path.ends_with(".tsv")) return EmbeddingFormat::kTsv;
  Word2vecHeader header;
  if (path.ends_with(".txt") || parse_word2vec_header(bytes, header)) {
    const std::string_view beginning = bytes.substr(0, 4096);
    return is_text(beginning) ? EmbeddingFormat::kWord2vecText : EmbeddingFormat::kWord2vecBinary;
  }
  if (is_text(bytes.substr(0, 4096)) && bytes.substr(0, bytes.find('\n')).find('\t') != std::string_view::npos) {
    return EmbeddingFormat::kTsv;
  }
  throw InputError(path + ": not an embedding; expected .npy, word2vec text (.txt) or binary (.bin), .tsv or .h5");
}

}  // namespace

EmbeddingFormat embedding_format(const std::string& path) {
  if (path.ends_with(".npy")) return EmbeddingFormat::kNumpy;
  if (path.ends_with(".txt")) return EmbeddingFormat::kWord2vecText;
  if (path.ends_with(".bin")) return EmbeddingFormat::kWord2vecBinary;
  if (path.ends_with(".tsv")) return EmbeddingFormat::kTsv;
  if (path.ends_with(".h5") || path.ends_with(".hdf5")) return EmbeddingFormat::kHdf5;
  throw InputError(path +
                   ": unknown kind of embedding file; expected a name that ends in .npy, .txt (word2vec text), " +
                   ".bin (word2vec binary), .tsv or .h5");
}

std::string embedding_format_name(EmbeddingFormat format) {
  switch (format) {
    case EmbeddingFormat::kNumpy:
      return "npy";
    case EmbeddingFormat::kWord2vecText:
      return "word2vec text";
    case EmbeddingFormat::kWord2vecBinary:
      return "word2vec binary";
    case EmbeddingFormat::kTsv:
      return "tsv";
    case EmbeddingFormat::kHdf5:
      return "hdf5";
  }
  throw std::invalid_argument("embedding_format_name: no such format");
}

std::string ids_path(const std::string& npy_path) {
  constexpr std::string_view kEnding = ".npy";
  const bool has_ending = npy_path.ends_with(kEnding);
  return npy_path.substr(0, npy_path.size() - (has_ending ? kEnding.size() : 0)) + ".ids.txt";
}

std::unique_ptr<EmbeddingWriter> EmbeddingWriter::create(const std::string& path, partition::NodeNames names,
                                                         std::size_t dim, const Attributes& attributes) {
  const EmbeddingFormat format = embedding_format(path);
  if (dim == 0) throw InputError(path + ": vectors of dimension 0; expected at least 1");
  if (names.size() == 0) throw InputError(path + ": no nodes to write");
  switch (format) {
    case EmbeddingFormat::kNumpy:
      return create_npy_writer(path, std::move(names), dim);
    case EmbeddingFormat::kWord2vecText:
    case EmbeddingFormat::kTsv:
      return create_text_writer(path, std::move(names), dim, format);
    case EmbeddingFormat::kWord2vecBinary:
      return create_word2vec_binary_writer(path, std::move(names), dim);
    case EmbeddingFormat::kHdf5:
      return create_hdf5_writer(path, std::move(names), dim, attributes);
  }
  throw std::invalid_argument("EmbeddingWriter: no such format");
}

void EmbeddingWriter::append(std::span<const float> rows) {
  const std::size_t count = rows.size() / dim_;
  if (rows.size() % dim_ != 0 || count > names_.size() - written_) {
    throw std::logic_error("EmbeddingWriter::append: " + std::to_string(rows.size()) + " floats after row " +
                           std::to_string(written_) + " of " + std::to_string(names_.size()));
  }
  if (count == 0) return;
  write_rows(written_, rows);
  written_ += count;
}

void EmbeddingWriter::finish() {
  if (written_ != names_.size()) {
    throw std::logic_error("EmbeddingWriter::finish: " + std::to_string(written_) + " of " +
                           std::to_string(names_.size()) + " rows were written");
  }
  commit();
}

void write_embedding(const std::string& path, const Embedding& embedding, const Attributes& attributes) {
  const std::unique_ptr<EmbeddingWriter> writer =
      EmbeddingWriter::create(path, embedding.names(), embedding.dim(), attributes);
  writer->append(embedding.values());
  writer->finish();
}

Embedding read_embedding(const std::string& path) {
  const EmbeddingFormat format = recognise(path);
  switch (format) {
    case EmbeddingFormat::kNumpy:
      return read_npy(path);
    case EmbeddingFormat::kWord2vecText:
    case EmbeddingFormat::kTsv:
      return read_text(path, format);
    case EmbeddingFormat::kWord2vecBinary:
      return read_word2vec_binary(path);
    case EmbeddingFormat::kHdf5:
      return read_hdf5(path);
  }
  throw std::invalid_argument("read_embedding: no such format");
}

EmbeddingSummary inspect_embedding(const std::string& path) {
  const EmbeddingFormat format = recognise(path);
  switch (format) {
    case EmbeddingFormat::kNumpy:
      return inspect_npy(path);
    case EmbeddingFormat::kWord2vecText:
    case EmbeddingFormat::kTsv:
      return inspect_text(path, format);
    case EmbeddingFormat::kWord2vecBinary:
      return inspect_word2vec_binary(path);
    case EmbeddingFormat::kHdf5:
      return inspect_hdf5(path);
  }
  throw std::invalid_argument("inspect_embedding: no such format");
}

}  // namespace knotwork::embeddings
