// Small line-by-line inputs of the evaluators: label files and splits, plain or gzipped.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace knotwork::embeddings {

/// Reads a text file line after line, without comments (`#` first) and empty lines. Use from one thread.
class LineFile {
 public:
  /// Throws InputError if the file cannot be opened.
  explicit LineFile(std::string path);
  ~LineFile();
  LineFile(const LineFile&) = delete;
  LineFile& operator=(const LineFile&) = delete;

  /// The next line without its end; valid until the next call. False at the end. Throws InputError on damaged or
  /// truncated gzip data and on bytes that are no text.
  bool next(std::string_view& line);
  /// "path:17": where the latest line stands.
  std::string place() const { return path_ + ":" + std::to_string(number_); }
  const std::string& path() const { return path_; }

 private:
  bool fill();

  std::string path_;
  void* stream_;  // a gzFile; zlib.h stays out of the header
  std::vector<char> buffer_;
  std::size_t begin_ = 0;
  std::size_t end_ = 0;
  std::size_t number_ = 0;
};

/// The first field of `line`, which loses it and the separators after it. Separators: TABs, blanks, and those in
/// `more`.
std::string_view take_field(std::string_view& line, std::string_view more = {});

}  // namespace knotwork::embeddings
