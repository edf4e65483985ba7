// NumPy's .npy, versions 1 to 3, with the names in a text file beside it, one a line.
// Format: https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html
#include <algorithm>
#include <bit>
#include <charconv>
#include <cstring>
#include <optional>
#include <utility>

#include "embeddings/embedding_format.h"
#include "partition/errors.h"
#include "partition/whole_file.h"

namespace knotwork::embeddings {
namespace {

using partition::InputError;

static_assert(std::endian::native == std::endian::little, ".npy rows are written as they lie in memory");

constexpr std::size_t kPrefixBytes = 10;  // magic (6), version (2), header length (2)

/// Names first, rows as they come; both files are published when both are whole.
class NpyWriter final : public EmbeddingWriter {
 public:
  NpyWriter(const std::string& path, partition::NodeNames node_names, std::size_t columns)
      : EmbeddingWriter(std::move(node_names), columns), ids_(write_ids(path, names())), rows_(path) {
    rows_.write(npy_header(names().size(), dim()));
  }

 private:
  void write_rows(std::size_t /*first*/, std::span<const float> rows) override {
    rows_.write({reinterpret_cast<const char*>(rows.data()), rows.size_bytes()});
  }
  void commit() override {
    ids_->sync();
    rows_.sync();
    ids_->publish();
    rows_.publish();
  }

  std::unique_ptr<partition::WholeFile> ids_;
  partition::WholeFile rows_;
};

struct NpyLayout {
  std::uint64_t rows = 0;
  std::uint64_t dim = 0;
  std::size_t value_bytes = 4;
  std::size_t data_offset = 0;
};

/// The text after `key` in the header's dictionary, e.g. after "'shape':".
std::string_view header_value(std::string_view header, std::string_view key, const std::string& path) {
  const std::size_t at = header.find(key);
  if (at == std::string_view::npos) {
    throw InputError(path + ": .npy header has no " + std::string(key) + " entry; the file is damaged");
  }
  const std::size_t begin = header.find_first_not_of(' ', at + key.size());
  return begin == std::string_view::npos ? std::string_view() : header.substr(begin);
}

/// "(n, d)" with both numbers positive.
void parse_shape(std::string_view text, const std::string& path, NpyLayout& layout) {
  const std::size_t close = text.find(')');
  const std::string shape(text.substr(0, close == std::string_view::npos ? text.size() : close + 1));
  const auto bad = [&] { return InputError(path + ": shape " + shape + "; expected (rows, columns)"); };
  const char* end = shape.data() + shape.size();
  if (!shape.starts_with('(') || !shape.ends_with(')')) throw bad();
  const auto rows = std::from_chars(shape.data() + 1, end, layout.rows);
  if (rows.ec != std::errc() || *rows.ptr != ',') throw bad();
  const char* second = rows.ptr + 1;
  while (*second == ' ') ++second;
  const auto columns = std::from_chars(second, end, layout.dim);
  if (columns.ec != std::errc() || (*columns.ptr != ')' && *columns.ptr != ',')) throw bad();
  if (*columns.ptr == ',' && columns.ptr + 2 != end) throw bad();
  if (layout.rows == 0 || layout.dim == 0 || layout.rows > partition::kMaxNodes) throw bad();
}

/// Header and length of the file agree, or InputError.
NpyLayout parse_npy(std::string_view bytes, const std::string& path) {
  const auto byte = [&](std::size_t at) { return static_cast<std::size_t>(static_cast<unsigned char>(bytes[at])); };
  if (bytes.size() < kPrefixBytes + 2) throw InputError(path + ": .npy file ends within its header");
  const std::size_t version = byte(6);
  if (version < 1 || version > 3) throw InputError(path + ": .npy version " + std::to_string(version) + " is unknown");
  std::size_t length = byte(8) | byte(9) << 8;
  std::size_t begin = kPrefixBytes;
  if (version > 1) {
    length |= byte(10) << 16 | byte(11) << 24;
    begin += 2;
  }
  if (length > bytes.size() - begin) throw InputError(path + ": .npy file ends within its header");
  const std::string_view header = bytes.substr(begin, length);

  NpyLayout layout;
  layout.data_offset = begin + length;
  const std::string_view type = header_value(header, "'descr':", path);
  if (type.starts_with("'<f8'")) {
    layout.value_bytes = 8;
  } else if (!type.starts_with("'<f4'")) {
    throw InputError(path + ": values of type " + std::string(type.substr(0, type.find(','))) +
                     "; expected '<f4' (float32) or '<f8'");
  }
  if (!header_value(header, "'fortran_order':", path).starts_with("False")) {
    throw InputError(path + ": columns lie one after another (fortran_order); expected rows");
  }
  parse_shape(header_value(header, "'shape':", path), path, layout);
  const std::size_t data_bytes = bytes.size() - layout.data_offset;
  if (layout.dim > data_bytes || layout.rows * layout.dim * layout.value_bytes != data_bytes ||
      layout.rows > data_bytes / layout.dim) {
    throw InputError(path + ": holds " + std::to_string(data_bytes) + " bytes of values; expected " +
                     std::to_string(layout.rows) + " x " + std::to_string(layout.dim) + " values of " +
                     std::to_string(layout.value_bytes) + " bytes");
  }
  return layout;
}

partition::NodeNames read_ids(const std::string& npy_path, std::uint64_t rows) {
  const std::string path = ids_path(npy_path);
  std::optional<MappedFile> file;
  try {
    file.emplace(path);
  } catch (const InputError& error) {
    throw InputError(std::string(error.what()) + "; expected the names of the rows of " + npy_path + ", one a line");
  }
  std::string_view rest = file->bytes();
  NameList list;
  while (!rest.empty()) {
    const std::size_t length = std::min(rest.find('\n'), rest.size());
    std::string_view line = rest.substr(0, length);
    if (line.ends_with('\r')) line.remove_suffix(1);
    list.append(line);
    rest.remove_prefix(std::min(length + 1, rest.size()));
  }
  if (list.size() != rows) {
    throw InputError(path + ": " + std::to_string(list.size()) + " names; expected " + std::to_string(rows) +
                     ", one for each row of " + npy_path);
  }
  return make_node_names(std::move(list), path, 1);
}

}  // namespace

std::string npy_header(std::size_t rows, std::size_t dim) {
  std::string text = "{'descr': '<f4', 'fortran_order': False, 'shape': (" + std::to_string(rows) + ", " +
                     std::to_string(dim) + "), }";
  const std::size_t padded = (kPrefixBytes + text.size() + 1 + 63) / 64 * 64;
  text.resize(padded - kPrefixBytes - 1, ' ');
  text += '\n';
  std::string header("\x93NUMPY\x01\x00", 8);
  header += static_cast<char>(text.size() & 0xff);
  header += static_cast<char>(text.size() >> 8);
  return header + text;
}

std::unique_ptr<partition::WholeFile> write_ids(const std::string& npy_path, const partition::NodeNames& names) {
  require_names_without(names, "\n\r", ids_path(npy_path), "it holds a line end; write .h5 instead");
  auto file = std::make_unique<partition::WholeFile>(ids_path(npy_path));
  std::string block;
  for (std::size_t node = 0; node < names.size(); ++node) {
    names.append_name(static_cast<partition::OriginalNode>(node), block);
    block += '\n';
    if (block.size() > (1U << 20)) {
      file->write(block);
      block.clear();
    }
  }
  file->write(block);
  return file;
}

std::unique_ptr<EmbeddingWriter> create_npy_writer(const std::string& path, partition::NodeNames names,
                                                   std::size_t dim) {
  return std::make_unique<NpyWriter>(path, std::move(names), dim);
}

Embedding read_npy(const std::string& path) {
  const MappedFile file(path);
  const NpyLayout layout = parse_npy(file.bytes(), path);
  Embedding embedding(read_ids(path, layout.rows), layout.dim);
  const char* data = file.bytes().data() + layout.data_offset;
  std::span<float> values = embedding.values();
  if (layout.value_bytes == sizeof(float)) {
    std::memcpy(values.data(), data, values.size_bytes());
  } else {
    for (std::size_t i = 0; i < values.size(); ++i) {
      double value = 0;
      std::memcpy(&value, data + i * sizeof(double), sizeof(double));
      values[i] = static_cast<float>(value);
    }
  }
  require_finite(embedding, path);
  return embedding;
}

EmbeddingSummary inspect_npy(const std::string& path) {
  const MappedFile file(path);
  const NpyLayout layout = parse_npy(file.bytes(), path);
  return {EmbeddingFormat::kNumpy, layout.rows, layout.dim};
}

}  // namespace knotwork::embeddings
