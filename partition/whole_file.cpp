#include "partition/whole_file.h"

#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include <utility>

#include "partition/errors.h"

namespace knotwork::partition {
namespace {

[[noreturn]] void fail(const std::string& path, const char* action, int error) {
  throw SystemError(path + ": cannot " + action + ": " + std::strerror(error));
}

}  // namespace

WholeFile::WholeFile(std::string path) : path_(std::move(path)), partial_path_(path_ + ".partial") {
  struct stat status {};
  if (::stat(path_.c_str(), &status) == 0 && S_ISDIR(status.st_mode)) {
    throw InputError(path_ + ": is a folder; expected the name of a file to write");
  }
  descriptor_ = ::open(partial_path_.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
  if (descriptor_ >= 0) return;
  const int error = errno;
  if (error == ENOENT || error == ENOTDIR || error == EACCES || error == EROFS || error == EPERM ||
      error == ENAMETOOLONG || error == EISDIR) {
    throw InputError(path_ + ": cannot be written: " + std::strerror(error) +
                     "; expected a file name in a folder that exists and is writable");
  }
  fail(path_, "open for writing", error);
}

WholeFile::~WholeFile() {
  if (descriptor_ >= 0) ::close(descriptor_);
  if (!published_) ::unlink(partial_path_.c_str());
}

void WholeFile::write(std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t written = ::write(descriptor_, bytes.data(), bytes.size());
    if (written < 0) {
      if (errno == EINTR) continue;
      fail(path_, "write", errno);
    }
    bytes.remove_prefix(static_cast<std::size_t>(written));
  }
}

void WholeFile::write_at(std::uint64_t offset, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t written = ::pwrite(descriptor_, bytes.data(), bytes.size(), static_cast<off_t>(offset));
    if (written < 0) {
      if (errno == EINTR) continue;
      fail(path_, "write", errno);
    }
    offset += static_cast<std::uint64_t>(written);
    bytes.remove_prefix(static_cast<std::size_t>(written));
  }
}

void WholeFile::sync() {
  if (::fsync(descriptor_) != 0 && errno != EINVAL) fail(path_, "flush to disk", errno);
  const int closed = ::close(std::exchange(descriptor_, -1));
  if (closed != 0) fail(path_, "close", errno);
}

void WholeFile::publish() {
  if (std::rename(partial_path_.c_str(), path_.c_str()) != 0) fail(path_, "rename the finished file", errno);
  published_ = true;
}

}  // namespace knotwork::partition
