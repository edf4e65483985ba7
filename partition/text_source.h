// A text file as blocks of whole lines, handed to parsing threads in the order of the file.
//
// The file is never mapped nor held as a whole: each thread owns one block buffer. Reading (and decompressing) happens
// under a lock while the other threads parse, so that it overlaps with parsing.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "partition/decompression.h"

namespace knotwork::partition {

/// Called now and then while reading, one call at a time but from any thread: bytes of the file taken so far and in
/// all (0: unknown, as for a pipe).
using ReadProgress = std::function<void(std::uint64_t bytes_done, std::uint64_t bytes_total)>;

/// Some whole lines. The text ends with a newline and is followed by at least kPadding readable bytes.
struct TextBlock {
  static constexpr std::size_t kPadding = 40;
  std::vector<char> buffer;
  std::size_t size = 0;
  /// Place among the blocks of the file: 0, 1, 2, …
  std::uint64_t index = 0;

  const char* begin() const { return buffer.data(); }
  const char* end() const { return buffer.data() + size; }
};

/// Something wrong on a line of a block; for_each_block makes an InputError of it.
class LineError : public std::runtime_error {
 public:
  /// `line`: counted from 1 at the start of the block.
  LineError(std::uint64_t line, const std::string& message) : std::runtime_error(message), line_(line) {}
  std::uint64_t line() const { return line_; }

 private:
  std::uint64_t line_;
};

class TextSource {
 public:
  /// Opens `path` ("-": standard input) and reads its head. Errors as open_bytes. A UTF-8 byte order mark is skipped.
  TextSource(const std::string& path, std::size_t block_bytes, ReadProgress progress);

  /// The first 64 KiB of text (less if the file is shorter), to recognise formats and headers by. REQUIRES: before the
  /// first next_block().
  std::string_view head() const { return {pending_.data(), pending_.size()}; }
  /// Puts `with` at the head's byte `position`: how a reader turns a header that it has understood into a comment or
  /// blanks. REQUIRES: before the first next_block().
  void overwrite_head(std::size_t position, std::string_view with);

  /// Fills `block` with the next lines, about block_bytes of them; false at the end. A missing last newline is added.
  /// Throws InputError for a line longer than kMaxLineBytes. Not thread-safe.
  bool next_block(TextBlock& block);

  /// How messages call the file.
  const std::string& name() const { return name_; }
  /// Bytes of text handed out so far.
  std::uint64_t text_bytes() const { return text_bytes_; }

  static constexpr std::size_t kMaxLineBytes = std::size_t{1} << 32;
  static constexpr std::size_t kHeadBytes = std::size_t{1} << 16;

 private:
  void fill(TextBlock& block, std::size_t wanted);

  std::unique_ptr<ByteStream> stream_;
  std::string name_;
  std::size_t block_bytes_;
  ReadProgress progress_;
  /// Text that was read and not handed out: the head, later the start of a line whose end was not yet read.
  std::string pending_;
  std::size_t pending_begin_ = 0;
  bool at_end_ = false;
  std::uint64_t next_index_ = 0;
  std::uint64_t text_bytes_ = 0;
};

/// Runs `parse(thread, block)` for every block on `threads` threads (0: all of the machine); it returns the number of
/// lines in the block. Returns the number of lines of the file. Throws InputError "file:line: message" for the first
/// LineError in the order of the file, whatever the threads; other exceptions of `parse` as they are.
std::uint64_t for_each_block(TextSource& source, unsigned threads,
                             const std::function<std::uint64_t(unsigned thread, const TextBlock& block)>& parse);

/// `threads`, or the number that the machine offers if 0.
unsigned thread_count(unsigned threads);

}  // namespace knotwork::partition
