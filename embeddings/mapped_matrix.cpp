#include "embeddings/mapped_matrix.h"

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <filesystem>
#include <sys/mman.h>
#include <unistd.h>

#include "embeddings/embedding_format.h"
#include "partition/errors.h"

namespace knotwork::embeddings {
namespace {

using partition::SystemError;

[[noreturn]] void fail(const std::string& path, const char* action, int error) {
  throw SystemError(path + ": cannot " + action + ": " + std::strerror(error));
}

/// Closes what it holds.
class Descriptor {
 public:
  explicit Descriptor(int number) : number_(number) {}
  ~Descriptor() {
    if (number_ >= 0) ::close(number_);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  int number() const { return number_; }

 private:
  int number_;
};

}  // namespace

std::unique_ptr<MappedMatrix> MappedMatrix::scratch(const std::string& beside, std::size_t rows, std::size_t columns) {
  std::unique_ptr<MappedMatrix> matrix(new MappedMatrix(rows, columns));
  const std::filesystem::path folder = std::filesystem::path(beside).parent_path();
  std::string name = ((folder.empty() ? "." : folder) / ".knotwork-scratch-XXXXXX").string();
  const Descriptor file(::mkostemp(name.data(), O_CLOEXEC));
  if (file.number() < 0) fail(name, "make a scratch file", errno);
  ::unlink(name.c_str());
  matrix->map(file.number(), 0, "scratch file beside " + beside);
  return matrix;
}

std::unique_ptr<MappedMatrix> MappedMatrix::npy(const std::string& path, const partition::NodeNames& names,
                                                std::size_t columns) {
  std::unique_ptr<MappedMatrix> matrix(new MappedMatrix(names.size(), columns));
  matrix->ids_ = write_ids(path, names);
  matrix->file_ = std::make_unique<partition::WholeFile>(path);
  const std::string header = npy_header(names.size(), columns);
  matrix->file_->write(header);
  const Descriptor file(::open(matrix->file_->partial_path().c_str(), O_RDWR | O_CLOEXEC));
  if (file.number() < 0) fail(path, "open", errno);
  matrix->map(file.number(), header.size(), path);
  return matrix;
}

void MappedMatrix::map(int descriptor, std::size_t header_bytes, const std::string& path) {
  mapped_bytes_ = header_bytes + rows_ * columns_ * sizeof(float);
  // Room now, or a full disk would end the process with SIGBUS when a page is written.
  const int error = ::posix_fallocate(descriptor, 0, static_cast<off_t>(std::max<std::size_t>(mapped_bytes_, 1)));
  if (error != 0) fail(path, ("find room for " + std::to_string(mapped_bytes_) + " bytes").c_str(), error);
  if (mapped_bytes_ == 0) return;
  void* const mapping = ::mmap(nullptr, mapped_bytes_, PROT_READ | PROT_WRITE, MAP_SHARED, descriptor, 0);
  if (mapping == MAP_FAILED) fail(path, "map into memory", errno);
  mapping_ = static_cast<std::byte*>(mapping);
  values_ = reinterpret_cast<float*>(mapping_ + header_bytes);
}

MappedMatrix::~MappedMatrix() {
  if (mapping_ != nullptr) ::munmap(mapping_, mapped_bytes_);
}

void MappedMatrix::release(std::size_t first, std::size_t last) {
  if (first >= last) return;
  // Whole pages only. A shared mapping's pages stay in the file's cache.
  const auto page = static_cast<std::uintptr_t>(::sysconf(_SC_PAGESIZE));
  const auto begin = reinterpret_cast<std::uintptr_t>(row(first)) / page * page;
  const auto end = reinterpret_cast<std::uintptr_t>(row(last)) / page * page;
  // NOLINTNEXTLINE(performance-no-int-to-ptr): rounding an address
  if (begin < end) ::madvise(reinterpret_cast<void*>(begin), end - begin, MADV_DONTNEED);
}

void MappedMatrix::publish() {
  ids_->sync();
  file_->sync();
  ids_->publish();
  file_->publish();
}

}  // namespace knotwork::embeddings
