// word2vec's binary format (Mikolov et al. 2013): "n d\n", then for each row its name, a blank, d little-endian float32
// and a newline, which readers skip and gensim's writer leaves out; both are read.
#include <bit>
#include <cstring>
#include <utility>

#include "embeddings/embedding_format.h"
#include "partition/errors.h"
#include "partition/whole_file.h"

namespace knotwork::embeddings {
namespace {

using partition::InputError;

static_assert(std::endian::native == std::endian::little, "rows are written as they lie in memory");

constexpr std::size_t kBlockBytes = std::size_t{4} << 20;

class Word2vecBinaryWriter final : public EmbeddingWriter {
 public:
  Word2vecBinaryWriter(const std::string& path, partition::NodeNames node_names, std::size_t columns)
      : EmbeddingWriter(std::move(node_names), columns), file_(path) {
    file_.write(std::to_string(names().size()) + " " + std::to_string(dim()) + "\n");
  }

 private:
  void write_rows(std::size_t first, std::span<const float> rows) override {
    for (std::size_t begin = 0; begin < rows.size(); begin += dim(), ++first) {
      names().append_name(static_cast<partition::OriginalNode>(first), block_);
      block_ += ' ';
      block_.append(reinterpret_cast<const char*>(rows.data() + begin), dim() * sizeof(float));
      block_ += '\n';
      if (block_.size() > kBlockBytes) flush();
    }
  }
  void flush() {
    file_.write(block_);
    block_.clear();
  }
  void commit() override {
    flush();
    file_.sync();
    file_.publish();
  }

  partition::WholeFile file_;
  std::string block_;
};

Word2vecHeader checked_header(std::string_view bytes, const std::string& path) {
  Word2vecHeader header;
  if (!parse_word2vec_header(bytes, header)) {
    throw InputError(path + ":1: not a word2vec header; expected the number of rows, a blank and the dimension");
  }
  const std::size_t body = bytes.size() - header.bytes;
  if (header.dim > body / sizeof(float) || header.rows > body / (header.dim * sizeof(float) + 2)) {
    throw InputError(path + ": promises " + std::to_string(header.rows) + " rows of " + std::to_string(header.dim) +
                     " values; the file is too short for them");
  }
  return header;
}

}  // namespace

std::unique_ptr<EmbeddingWriter> create_word2vec_binary_writer(const std::string& path, partition::NodeNames names,
                                                               std::size_t dim) {
  require_names_without(names, " \t\n\v\f\r", path, "it holds white space; write .tsv, .npy or .h5 instead");
  return std::make_unique<Word2vecBinaryWriter>(path, std::move(names), dim);
}

Embedding read_word2vec_binary(const std::string& path) {
  const MappedFile file(path);
  const Word2vecHeader header = checked_header(file.bytes(), path);
  std::string_view rest = file.bytes().substr(header.bytes);
  const std::size_t row_bytes = header.dim * sizeof(float);
  partition::HugeArray<float> values(header.rows * header.dim);
  NameList names;
  for (std::size_t row = 0; row < header.rows; ++row) {
    while (rest.starts_with('\n')) rest.remove_prefix(1);
    const std::size_t length = rest.find(' ');
    if (length == std::string_view::npos || rest.size() - length - 1 < row_bytes) {
      throw InputError(path + ": ends within row " + std::to_string(row + 1) + " of " + std::to_string(header.rows));
    }
    names.append(rest.substr(0, length));
    std::memcpy(values.data() + row * header.dim, rest.data() + length + 1, row_bytes);
    rest.remove_prefix(length + 1 + row_bytes);
  }
  if (rest.find_first_not_of('\n') != std::string_view::npos) {
    throw InputError(path + ": " + std::to_string(rest.size()) + " bytes after the last of " +
                     std::to_string(header.rows) + " rows; the file is damaged");
  }
  Embedding embedding(make_node_names(std::move(names), path, 0), header.dim, std::move(values));
  require_finite(embedding, path);
  return embedding;
}

EmbeddingSummary inspect_word2vec_binary(const std::string& path) {
  const MappedFile file(path);
  const Word2vecHeader header = checked_header(file.bytes(), path);
  return {EmbeddingFormat::kWord2vecBinary, header.rows, header.dim};
}

}  // namespace knotwork::embeddings
