#include "partition/decompression.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <string_view>
#include <sys/stat.h>
#include <unistd.h>
#include <utility>
#include <vector>
#include <zlib.h>
#include <zstd.h>
#include <zstd_errors.h>

#include "partition/errors.h"

namespace knotwork::partition {

namespace {

constexpr std::size_t kInputBytes = std::size_t{1} << 18;

class File {
 public:
  explicit File(const std::string& path) : name_(display_name(path)), descriptor_(STDIN_FILENO) {
    if (path != "-") descriptor_ = open(path.c_str(), O_RDONLY | O_CLOEXEC);
    if (descriptor_ < 0) {
      throw InputError(name_ + ": " + std::strerror(errno) + ", expected a readable graph file");
    }
    struct stat status = {};
    if (fstat(descriptor_, &status) == 0) {
      if (S_ISDIR(status.st_mode)) {
        close_descriptor();
        throw InputError(name_ + ": found a folder, expected a graph file");
      }
      if (S_ISREG(status.st_mode)) size_ = static_cast<std::uint64_t>(status.st_size);
    }
    posix_fadvise(descriptor_, 0, 0, POSIX_FADV_SEQUENTIAL);
  }
  File(const File&) = delete;
  File& operator=(const File&) = delete;
  ~File() { close_descriptor(); }

  std::size_t read_some(std::span<char> out) {
    for (;;) {
      const ssize_t got = ::read(descriptor_, out.data(), out.size());
      if (got >= 0) {
        taken_ += static_cast<std::uint64_t>(got);
        return static_cast<std::size_t>(got);
      }
      if (errno != EINTR) throw SystemError(name_ + ": " + std::strerror(errno) + " while reading");
    }
  }

  const std::string& name() const { return name_; }
  std::uint64_t taken() const { return taken_; }
  std::uint64_t size() const { return size_; }

 private:
  void close_descriptor() {
    if (descriptor_ > STDIN_FILENO) close(descriptor_);
    descriptor_ = -1;
  }

  std::string name_;
  int descriptor_;
  std::uint64_t taken_ = 0;
  std::uint64_t size_ = 0;
};

// What all three kinds share: the file and the bytes that were read ahead to recognise it.
class FileStream : public ByteStream {
 public:
  FileStream(std::unique_ptr<File> file, std::vector<char> ahead) : file_(std::move(file)), ahead_(std::move(ahead)) {}
  std::uint64_t file_bytes_read() const override { return file_->taken(); }
  std::uint64_t file_bytes_total() const override { return file_->size(); }

 protected:
  std::size_t read_file(std::span<char> out) {
    if (!ahead_.empty()) {
      const std::size_t taken = std::min(ahead_.size(), out.size());
      std::copy_n(ahead_.begin(), taken, out.begin());
      ahead_.erase(ahead_.begin(), ahead_.begin() + static_cast<std::ptrdiff_t>(taken));
      return taken;
    }
    return file_->read_some(out);
  }
  const std::string& name() const { return file_->name(); }

 private:
  std::unique_ptr<File> file_;
  std::vector<char> ahead_;
};

class PlainStream final : public FileStream {
 public:
  using FileStream::FileStream;
  std::size_t read(std::span<char> out) override {
    std::size_t filled = 0;
    while (filled < out.size()) {
      const std::size_t got = read_file(out.subspan(filled));
      if (got == 0) break;
      filled += got;
    }
    return filled;
  }
};

class GzipStream final : public FileStream {
 public:
  GzipStream(std::unique_ptr<File> file, std::vector<char> ahead)
      : FileStream(std::move(file), std::move(ahead)), input_(kInputBytes) {
    if (inflateInit2(&zlib_, kGzipOnly) != Z_OK) throw SystemError(name() + ": zlib can't start");
  }
  ~GzipStream() override { inflateEnd(&zlib_); }

  std::size_t read(std::span<char> out) override {
    zlib_.next_out = reinterpret_cast<Bytef*>(out.data());
    zlib_.avail_out = static_cast<uInt>(out.size());
    while (zlib_.avail_out > 0) {
      if (zlib_.avail_in == 0 && !refill()) {
        if (!between_members_) throw InputError(name() + ": found a truncated gzip file, expected its end mark");
        break;
      }
      if (between_members_ && !start_member()) break;
      const int status = inflate(&zlib_, Z_NO_FLUSH);
      if (status == Z_STREAM_END) {
        between_members_ = true;
      } else if (status != Z_OK) {
        throw InputError(name() + ": found damaged gzip data (" + (zlib_.msg != nullptr ? zlib_.msg : "zlib error") +
                         "), expected an intact file");
      }
    }
    return out.size() - zlib_.avail_out;
  }

 private:
  static constexpr int kGzipOnly = 15 + 16;

  bool refill() {
    const std::size_t got = read_file(input_);
    zlib_.next_in = reinterpret_cast<Bytef*>(input_.data());
    zlib_.avail_in = static_cast<uInt>(got);
    return got > 0;
  }

  // Another member may follow; zeros that pad the file (tapes, block devices) end it.
  bool start_member() {
    while (zlib_.avail_in > 0 && *zlib_.next_in == 0) {
      ++zlib_.next_in;
      if (--zlib_.avail_in == 0 && !refill()) return false;
    }
    if (first_member_) {
      first_member_ = false;
    } else {
      inflateReset(&zlib_);
    }
    between_members_ = false;
    return true;
  }

  z_stream zlib_ = {};
  std::vector<char> input_;
  bool between_members_ = true;
  bool first_member_ = true;
};

/// log2 of the bytes that a zstd file of this size may have for its window. A header of a few bytes can ask for 2 GiB;
/// files of `zstd --long` that are worth it are large themselves. Of a pipe (size 0) the length isn't known.
int largest_window_log(std::uint64_t file_bytes) {
  constexpr int kZstdDefault = 27;
  constexpr int kMost = 31;
  return file_bytes == 0 ? kMost : std::clamp(static_cast<int>(std::bit_width(4 * file_bytes)), kZstdDefault, kMost);
}

class ZstdStream final : public FileStream {
 public:
  ZstdStream(std::unique_ptr<File> file, std::vector<char> ahead)
      : FileStream(std::move(file), std::move(ahead)),
        input_(kInputBytes),
        zstd_(ZSTD_createDStream(), ZSTD_freeDStream) {
    if (zstd_ == nullptr) throw SystemError(name() + ": zstd can't start");
    ZSTD_DCtx_setParameter(zstd_.get(), ZSTD_d_windowLogMax, largest_window_log(file_bytes_total()));
  }

  std::size_t read(std::span<char> out) override {
    ZSTD_outBuffer output = {out.data(), out.size(), 0};
    while (output.pos < output.size) {
      // Decompressed bytes may still wait inside when the input is used up.
      if (pending_.pos == pending_.size && !output_waits_) {
        pending_ = {input_.data(), read_file(input_), 0};
        if (pending_.size == 0) {
          if (expected_ != 0) throw InputError(name() + ": found a truncated zstd file, expected its last frame's end");
          break;
        }
      }
      const std::size_t result = ZSTD_decompressStream(zstd_.get(), &output, &pending_);
      if (ZSTD_getErrorCode(result) == ZSTD_error_frameParameter_windowTooLarge) {
        throw InputError(name() +
                         ": found a zstd window of more than 128 MiB and four times the file, expected less; " +
                         "unpack it first (zstd -d --long=31)");
      }
      if (ZSTD_isError(result) != 0) {
        throw InputError(name() + ": found damaged zstd data (" + ZSTD_getErrorName(result) +
                         "), expected an intact file");
      }
      expected_ = result;
      output_waits_ = output.pos == output.size && result != 0;
    }
    return output.pos;
  }

 private:
  std::vector<char> input_;
  std::unique_ptr<ZSTD_DStream, std::size_t (*)(ZSTD_DStream*)> zstd_;
  ZSTD_inBuffer pending_ = {nullptr, 0, 0};
  std::size_t expected_ = 0;
  bool output_waits_ = false;
};

bool starts_with(const std::vector<char>& bytes, std::string_view magic) {
  return std::string_view(bytes.data(), bytes.size()).starts_with(magic);
}

}  // namespace

std::string display_name(const std::string& path) {
  return path == "-" ? "standard input" : path;
}

std::unique_ptr<ByteStream> open_bytes(const std::string& path) {
  auto file = std::make_unique<File>(path);
  std::vector<char> ahead;
  while (ahead.size() < 4) {  // a pipe may hand over its first bytes one by one
    std::array<char, 4> bytes{};
    const std::size_t got = file->read_some(std::span(bytes).first(4 - ahead.size()));
    if (got == 0) break;
    ahead.insert(ahead.end(), bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(got));
  }
  // A skippable zstd frame (0x184D2A5?) may come first; pzstd writes such files.
  const bool skippable = ahead.size() == 4 && (ahead[0] & '\xf0') == '\x50' &&
                         starts_with({ahead.begin() + 1, ahead.end()}, "\x2a\x4d\x18");
  if (starts_with(ahead, "\x1f\x8b")) return std::make_unique<GzipStream>(std::move(file), std::move(ahead));
  if (skippable || starts_with(ahead, "\x28\xb5\x2f\xfd")) {
    return std::make_unique<ZstdStream>(std::move(file), std::move(ahead));
  }
  return std::make_unique<PlainStream>(std::move(file), std::move(ahead));
}

}  // namespace knotwork::partition
