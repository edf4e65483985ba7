// Bytes of a file or of standard input, decompressed on the way. Gzip (RFC 1952, any number of members) and Zstandard
// (RFC 8878, any number of frames) are recognised by their magic bytes, never by the file's name.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>

namespace knotwork::partition {

/// A stream of plain bytes. Not thread-safe.
class ByteStream {
 public:
  virtual ~ByteStream() = default;
  /// Fills `out` unless the stream ends before; returns the bytes written, 0 at the end.
  /// Throws InputError if compressed data is damaged or cut off, SystemError if the file can't be read on.
  virtual std::size_t read(std::span<char> out) = 0;
  /// Bytes taken from the file so far, as they lie on disk.
  virtual std::uint64_t file_bytes_read() const = 0;
  /// Size of the file, 0 if unknown (a pipe).
  virtual std::uint64_t file_bytes_total() const = 0;
};

/// Opens `path` ("-": standard input). Throws InputError if it doesn't exist, is a folder or may not be read.
std::unique_ptr<ByteStream> open_bytes(const std::string& path);

/// How messages call `path`: itself, or "standard input".
std::string display_name(const std::string& path);

}  // namespace knotwork::partition
