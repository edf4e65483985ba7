// An output file that bears its final name only when it is whole.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace knotwork::partition {

/// Collects bytes in PATH.partial. Without publish() the destructor removes it. Use from one thread at a time.
class WholeFile {
 public:
  /// Throws InputError if the folder is missing or cannot be written, or `path` is a folder; SystemError otherwise.
  explicit WholeFile(std::string path);
  ~WholeFile();
  WholeFile(const WholeFile&) = delete;
  WholeFile& operator=(const WholeFile&) = delete;

  /// Throws SystemError (full disk, ...).
  void write(std::string_view bytes);
  /// Replaces bytes that were written before. Throws SystemError.
  void write_at(std::uint64_t offset, std::string_view bytes);
  /// Forces what was written, by this object or by a library through partial_path(), to the disk and closes the file.
  void sync();
  /// Renames to the final path; sync() must have been called.
  void publish();

  const std::string& path() const { return path_; }
  const std::string& partial_path() const { return partial_path_; }

 private:
  std::string path_;
  std::string partial_path_;
  int descriptor_ = -1;
  bool published_ = false;
};

}  // namespace knotwork::partition
