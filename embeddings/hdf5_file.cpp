// Vectors in HDF5, as h5py, R and Julia read it: dataset `embeddings` (float32, n x d), dataset `ids` (variable-length
// UTF-8 strings), string attributes at the root. The library is the C one, without its C++ face.
// Format: https://docs.hdfgroup.org/hdf5/develop/ (library 1.10 or newer).
#include <algorithm>
#include <mutex>
#include <stdexcept>
#include <utility>

#include <hdf5.h>

#include "embeddings/embedding_format.h"
#include "partition/errors.h"
#include "partition/whole_file.h"

namespace knotwork::embeddings {
namespace {

using partition::InputError;
using partition::SystemError;

constexpr const char* kRowsName = "embeddings";
constexpr const char* kIdsName = "ids";
constexpr hsize_t kIdsABlock = 65536;

/// The library prints its error stack by default; messages are ours to make.
class QuietErrors {
 public:
  QuietErrors() {
    // After a failed write a file cannot be closed, and the library's clean-up at exit crashes over it. All handles are
    // closed here anyway. Must come before the first other call.
    static std::once_flag once;
    std::call_once(once, [] { H5dont_atexit(); });
    H5Eget_auto2(H5E_DEFAULT, &function_, &data_);
    H5Eset_auto2(H5E_DEFAULT, nullptr, nullptr);
  }
  ~QuietErrors() { H5Eset_auto2(H5E_DEFAULT, function_, data_); }
  QuietErrors(const QuietErrors&) = delete;
  QuietErrors& operator=(const QuietErrors&) = delete;

 private:
  H5E_auto2_t function_ = nullptr;
  void* data_ = nullptr;
};

/// An HDF5 id that is closed with its scope.
class Handle {
 public:
  using Closer = herr_t (*)(hid_t);
  Handle(hid_t id, Closer closer) : id_(id), closer_(closer) {}
  ~Handle() { close(); }
  Handle(const Handle&) = delete;
  Handle& operator=(const Handle&) = delete;
  bool valid() const { return id_ >= 0; }
  hid_t get() const { return id_; }
  /// False if the library failed to write what it still held.
  bool close() {
    const QuietErrors quiet;
    return id_ < 0 || closer_(std::exchange(id_, -1)) >= 0;
  }

 private:
  hid_t id_;
  Closer closer_;
};

Handle utf8_strings() {
  const hid_t type = H5Tcopy(H5T_C_S1);
  H5Tset_size(type, H5T_VARIABLE);
  H5Tset_cset(type, H5T_CSET_UTF8);
  return {type, H5Tclose};
}

class Hdf5Writer final : public EmbeddingWriter {
 public:
  Hdf5Writer(const std::string& path, partition::NodeNames node_names, std::size_t columns,
             const Attributes& attributes)
      : EmbeddingWriter(std::move(node_names), columns),
        output_(path),
        file_(H5Fcreate(output_.partial_path().c_str(), H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT), H5Fclose),
        rows_(create_rows(), H5Dclose) {
    require(file_.valid() && rows_.valid(), "create");
    for (const auto& [key, value] : attributes) write_attribute(key, value);
    write_ids();
  }

 private:
  void require(bool good, const char* action) const {
    if (!good) throw SystemError(output_.path() + ": cannot " + action + " the HDF5 file: is the disk full?");
  }

  hid_t create_rows() const {
    const hsize_t shape[2] = {names().size(), dim()};
    const Handle space(H5Screate_simple(2, shape, nullptr), H5Sclose);
    return H5Dcreate2(file_.get(), kRowsName, H5T_IEEE_F32LE, space.get(), H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
  }

  void write_attribute(const std::string& key, const std::string& value) const {
    const Handle type = utf8_strings();
    const Handle space(H5Screate(H5S_SCALAR), H5Sclose);
    const Handle attribute(H5Acreate2(file_.get(), key.c_str(), type.get(), space.get(), H5P_DEFAULT, H5P_DEFAULT),
                           H5Aclose);
    const char* text = value.c_str();
    require(attribute.valid() && H5Awrite(attribute.get(), type.get(), &text) >= 0, "write an attribute of");
  }

  void write_ids() const {
    const Handle type = utf8_strings();
    const hsize_t count = names().size();
    const Handle space(H5Screate_simple(1, &count, nullptr), H5Sclose);
    const Handle ids(H5Dcreate2(file_.get(), kIdsName, type.get(), space.get(), H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT),
                     H5Dclose);
    require(ids.valid(), "create");
    for (hsize_t first = 0; first < count; first += kIdsABlock) {
      const hsize_t block = std::min(kIdsABlock, count - first);
      std::vector<std::string> texts(block);
      std::vector<const char*> pointers(block);
      for (hsize_t i = 0; i < block; ++i) {
        texts[i] = names().name(static_cast<partition::OriginalNode>(first + i));
        pointers[i] = texts[i].c_str();
      }
      const Handle memory(H5Screate_simple(1, &block, nullptr), H5Sclose);
      H5Sselect_hyperslab(space.get(), H5S_SELECT_SET, &first, nullptr, &block, nullptr);
      require(H5Dwrite(ids.get(), type.get(), memory.get(), space.get(), H5P_DEFAULT, pointers.data()) >= 0,
              "write ids to");
    }
  }

  void write_rows(std::size_t first, std::span<const float> rows) override {
    const QuietErrors quiet;
    const hsize_t start[2] = {first, 0};
    const hsize_t block[2] = {rows.size() / dim(), dim()};
    const Handle space(H5Dget_space(rows_.get()), H5Sclose);
    const Handle memory(H5Screate_simple(2, block, nullptr), H5Sclose);
    H5Sselect_hyperslab(space.get(), H5S_SELECT_SET, start, nullptr, block, nullptr);
    require(H5Dwrite(rows_.get(), H5T_NATIVE_FLOAT, memory.get(), space.get(), H5P_DEFAULT, rows.data()) >= 0,
            "write rows to");
  }

  void commit() override {
    const QuietErrors quiet;
    const bool rows_closed = rows_.close();
    require(file_.close() && rows_closed, "finish");
    output_.sync();
    output_.publish();
  }

  partition::WholeFile output_;
  Handle file_;
  Handle rows_;
};

/// The opened parts of a file to read.
struct Hdf5Input {
  Handle file;
  Handle rows;
  Handle ids;
  hsize_t shape[2] = {0, 0};

  explicit Hdf5Input(const std::string& path)
      : file(H5Fopen(path.c_str(), H5F_ACC_RDONLY, H5P_DEFAULT), H5Fclose),
        rows(file.valid() ? H5Dopen2(file.get(), kRowsName, H5P_DEFAULT) : H5I_INVALID_HID, H5Dclose),
        ids(file.valid() ? H5Dopen2(file.get(), kIdsName, H5P_DEFAULT) : H5I_INVALID_HID, H5Dclose) {
    if (!file.valid()) throw InputError(path + ": HDF5 cannot open it; the file is damaged or truncated");
    if (!rows.valid() || !ids.valid()) {
      throw InputError(path + ": no dataset `" + (rows.valid() ? kIdsName : kRowsName) +
                       "`; expected `embeddings` (rows x columns) and `ids`");
    }
    const Handle space(H5Dget_space(rows.get()), H5Sclose);
    const Handle type(H5Dget_type(rows.get()), H5Tclose);
    if (H5Sget_simple_extent_ndims(space.get()) != 2 || H5Tget_class(type.get()) != H5T_FLOAT) {
      throw InputError(path + ": dataset `embeddings` is no table of numbers; expected float32, rows x columns");
    }
    H5Sget_simple_extent_dims(space.get(), shape, nullptr);
    const Handle ids_space(H5Dget_space(ids.get()), H5Sclose);
    hsize_t count = 0;
    const bool is_list = H5Sget_simple_extent_ndims(ids_space.get()) == 1;
    if (is_list) H5Sget_simple_extent_dims(ids_space.get(), &count, nullptr);
    if (!is_list || count != shape[0] || shape[0] == 0 || shape[1] == 0 || shape[0] > partition::kMaxNodes) {
      throw InputError(path + ": `embeddings` is " + std::to_string(shape[0]) + " x " + std::to_string(shape[1]) +
                       " and `ids` holds " + std::to_string(count) + "; expected one id a row");
    }
    // Contiguous data must be there in full before memory is asked for; a chunked file may have gaps.
    const hsize_t stored = H5Dget_storage_size(rows.get());
    const Handle layout(H5Dget_create_plist(rows.get()), H5Pclose);
    if (H5Pget_layout(layout.get()) == H5D_CONTIGUOUS && stored / H5Tget_size(type.get()) / shape[1] < shape[0]) {
      throw InputError(path + ": dataset `embeddings` holds " + std::to_string(stored) +
                       " bytes, too few for its shape");
    }
  }
};

/// Reads strings of variable or fixed length, a block at a time.
class IdReader {
 public:
  IdReader(const Hdf5Input& input, const std::string& path)
      : input_(input), path_(path), type_(H5Dget_type(input.ids.get()), H5Tclose) {
    if (H5Tget_class(type_.get()) != H5T_STRING) throw InputError(path + ": dataset `ids` holds no strings");
  }

  void read(NameList& names) const {
    const Handle space(H5Dget_space(input_.ids.get()), H5Sclose);
    for (hsize_t first = 0; first < input_.shape[0]; first += kIdsABlock) {
      const hsize_t block = std::min(kIdsABlock, input_.shape[0] - first);
      H5Sselect_hyperslab(space.get(), H5S_SELECT_SET, &first, nullptr, &block, nullptr);
      const Handle memory(H5Screate_simple(1, &block, nullptr), H5Sclose);
      if (H5Tis_variable_str(type_.get()) > 0) {
        read_variable(memory.get(), space.get(), block, names);
      } else {
        read_fixed(memory.get(), space.get(), block, names);
      }
    }
  }

 private:
  void require(bool good) const {
    if (!good) throw InputError(path_ + ": dataset `ids` cannot be read; the file is damaged");
  }
  void read_variable(hid_t memory, hid_t space, hsize_t count, NameList& names) const {
    std::vector<char*> pointers(count, nullptr);
    require(H5Dread(input_.ids.get(), type_.get(), memory, space, H5P_DEFAULT, pointers.data()) >= 0);
    for (const char* text : pointers) names.append(text == nullptr ? "" : text);
    H5Dvlen_reclaim(type_.get(), memory, H5P_DEFAULT, pointers.data());
  }
  void read_fixed(hid_t memory, hid_t space, hsize_t count, NameList& names) const {
    const std::size_t width = H5Tget_size(type_.get());
    std::vector<char> bytes(count * width);
    require(H5Dread(input_.ids.get(), type_.get(), memory, space, H5P_DEFAULT, bytes.data()) >= 0);
    const bool blanks = H5Tget_strpad(type_.get()) == H5T_STR_SPACEPAD;
    for (hsize_t i = 0; i < count; ++i) {
      std::string_view text(bytes.data() + i * width, width);
      text = text.substr(0, text.find('\0'));
      while (blanks && text.ends_with(' ')) text.remove_suffix(1);
      names.append(text);
    }
  }

  const Hdf5Input& input_;
  const std::string& path_;
  Handle type_;
};

}  // namespace

std::unique_ptr<EmbeddingWriter> create_hdf5_writer(const std::string& path, partition::NodeNames names,
                                                    std::size_t dim, const Attributes& attributes) {
  const QuietErrors quiet;
  require_names_without(names, std::string_view("\0", 1), path, "it holds a zero byte");
  return std::make_unique<Hdf5Writer>(path, std::move(names), dim, attributes);
}

Embedding read_hdf5(const std::string& path) {
  const QuietErrors quiet;
  const Hdf5Input input(path);
  NameList names;
  IdReader(input, path).read(names);
  Embedding embedding(make_node_names(std::move(names), path, 0), input.shape[1]);
  if (H5Dread(input.rows.get(), H5T_NATIVE_FLOAT, H5S_ALL, H5S_ALL, H5P_DEFAULT, embedding.values().data()) < 0) {
    throw InputError(path + ": dataset `embeddings` cannot be read; the file is damaged or truncated");
  }
  require_finite(embedding, path);
  return embedding;
}

EmbeddingSummary inspect_hdf5(const std::string& path) {
  const QuietErrors quiet;
  const Hdf5Input input(path);
  return {EmbeddingFormat::kHdf5, input.shape[0], input.shape[1]};
}

}  // namespace knotwork::embeddings
