// What the formats share: mapped files, the word2vec header, checks of names and values.
#include "embeddings/embedding_format.h"

#include <algorithm>
#include <bit>
#include <cerrno>
#include <charconv>
#include <cmath>
#include <cstring>
#include <fcntl.h>
#include <functional>
#include <optional>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "partition/errors.h"

namespace knotwork::embeddings {
namespace {

using partition::InputError;
using partition::SystemError;

std::string row_place(const std::string& path, std::size_t first_line, std::size_t row) {
  return first_line == 0 ? path + ": row " + std::to_string(row + 1) : path + ":" + std::to_string(first_line + row);
}

/// The value of a number written the one plain way: no sign, no leading zeros, below 2^64.
std::optional<std::uint64_t> plain_integer(std::string_view text) {
  if (text.empty() || (text.size() > 1 && text[0] == '0')) return std::nullopt;
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

/// All names as rising plain integers, or nothing.
std::optional<std::vector<std::uint64_t>> rising_integers(const NameList& list) {
  std::vector<std::uint64_t> ids;
  ids.reserve(list.size());
  for (std::size_t i = 0; i < list.size(); ++i) {
    const std::optional<std::uint64_t> id = plain_integer(list.name(i));
    if (!id || (i > 0 && *id <= ids.back())) return std::nullopt;
    ids.push_back(*id);
  }
  return ids;
}

/// Open addressing over row numbers: 4 bytes a slot, no copies of the names.
void require_distinct(const NameList& list, const std::string& path, std::size_t first_line) {
  std::vector<std::uint32_t> slots(std::bit_ceil(list.size() * 2), partition::kInvalidNode);
  const std::size_t mask = slots.size() - 1;
  for (std::size_t i = 0; i < list.size(); ++i) {
    const std::string_view name = list.name(i);
    if (name.empty()) throw InputError(row_place(path, first_line, i) + ": empty name");
    std::size_t slot = std::hash<std::string_view>()(name) & mask;
    while (slots[slot] != partition::kInvalidNode) {
      if (list.name(slots[slot]) == name) {
        throw InputError(row_place(path, first_line, i) + ": name '" + std::string(name) + "' comes twice");
      }
      slot = (slot + 1) & mask;
    }
    slots[slot] = static_cast<std::uint32_t>(i);
  }
}

}  // namespace

MappedFile::MappedFile(const std::string& path) {
  const int descriptor = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (descriptor < 0) throw InputError(path + ": cannot be read: " + std::strerror(errno));
  struct stat status {};
  const bool plain = ::fstat(descriptor, &status) == 0 && S_ISREG(status.st_mode);
  if (!plain || status.st_size == 0) {
    ::close(descriptor);
    throw InputError(path + (plain ? ": empty file; expected an embedding" : ": not a plain file"));
  }
  size_ = static_cast<std::size_t>(status.st_size);
  void* address = ::mmap(nullptr, size_, PROT_READ, MAP_PRIVATE, descriptor, 0);
  const int error = errno;
  ::close(descriptor);
  if (address == MAP_FAILED) throw SystemError(path + ": cannot be mapped: " + std::strerror(error));
  data_ = static_cast<const char*>(address);
}

MappedFile::~MappedFile() {
  ::munmap(const_cast<char*>(data_), size_);  // munmap wants a mutable pointer; nothing is changed
}

bool parse_word2vec_header(std::string_view bytes, Word2vecHeader& header) {
  const std::size_t length = bytes.substr(0, 64).find('\n');
  if (length == std::string_view::npos) return false;
  const char* end = bytes.data() + length;
  const auto [after_rows, rows_error] = std::from_chars(bytes.data(), end, header.rows);
  if (rows_error != std::errc() || after_rows == end || *after_rows != ' ') return false;
  auto [after_dim, dim_error] = std::from_chars(after_rows + 1, end, header.dim);
  if (dim_error != std::errc()) return false;
  while (after_dim != end && (*after_dim == ' ' || *after_dim == '\r')) ++after_dim;
  header.bytes = length + 1;
  return after_dim == end && header.rows > 0 && header.dim > 0 && header.rows <= partition::kMaxNodes;
}

void require_names_without(const partition::NodeNames& names, std::string_view forbidden, const std::string& path,
                           const std::string& what) {
  if (names.are_integers()) return;
  std::string name;
  for (std::size_t node = 0; node < names.size(); ++node) {
    name.clear();
    names.append_name(static_cast<partition::OriginalNode>(node), name);
    if (name.find_first_of(forbidden) != std::string::npos) {
      throw InputError(path + ": cannot hold the node name '" + name + "': " + what);
    }
  }
}

partition::NodeNames make_node_names(NameList list, const std::string& path, std::size_t first_line) {
  if (std::optional<std::vector<std::uint64_t>> ids = rising_integers(list)) {
    const bool counted = ids->empty() || ids->back() == ids->size() - 1;  // rising and distinct, so 0 .. n-1
    return counted ? partition::NodeNames::counted(static_cast<partition::OriginalNode>(ids->size()))
                   : partition::NodeNames::from_integers(std::move(*ids));
  }
  require_distinct(list, path, first_line);
  return partition::NodeNames::from_strings(std::move(list.bytes), std::move(list.ends));
}

void require_finite(const Embedding& embedding, const std::string& path) {
  const std::span<const float> values = embedding.values();
  const auto bad = std::ranges::find_if(values, [](float value) { return !std::isfinite(value); });
  if (bad == values.end()) return;
  const auto row = static_cast<partition::OriginalNode>((bad - values.begin()) / embedding.dim());
  throw InputError(path + ": the row of node '" + embedding.names().name(row) + "' holds " + std::to_string(*bad) +
                   "; expected finite numbers");
}

}  // namespace knotwork::embeddings
