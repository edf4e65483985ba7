// A file of named arrays: the container of every binary file in a .knot folder (docs/formats.md). A header and a table
// of sections, then the sections, each aligned to 64 bytes so that it can be used where the file is mapped.
//
// Nothing that a file says about itself is believed before it is checked: sizes against the real file, offsets against
// sizes, contents against checksums.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace knotwork::partition {

/// Version of the container and of what the sections mean.
inline constexpr std::uint32_t kSectionFileVersion = 1;

/// One array to write. `name`: 1 to 31 characters.
struct SectionToWrite {
  std::string_view name;
  std::span<const std::byte> bytes;
};

/// What a manifest remembers of a file: enough to tell that it is the very file that was written.
struct SectionFileFacts {
  std::uint64_t bytes = 0;
  std::uint64_t header_checksum = 0;
};

/// Writes the file beside and renames it. `magic`: 8 characters that say what kind of file it is.
/// Throws as WholeFile does; std::invalid_argument for a name or magic that does not fit.
SectionFileFacts write_section_file(const std::string& path, std::string_view magic,
                                    std::span<const SectionToWrite> sections);

/// An array whose bytes are made while they are written, because they don't lie in memory as the file has them, or
/// change meanwhile. `read` is asked for them once, in order, in pieces of kChecksumBlockBytes.
struct StreamedSection {
  std::string name;
  std::uint64_t bytes = 0;
  std::function<void(std::uint64_t offset, std::span<std::byte> out)> read;
};

/// The same file as write_section_file's, of sections that are read once and hashed as they were read. On the calling
/// thread alone. Throws as write_section_file does, and whatever `read` throws.
SectionFileFacts stream_section_file(const std::string& path, std::string_view magic,
                                     std::span<const StreamedSection> sections);

/// A mapped section file. Movable; the spans it gives live as long as it does. Safe to read from any thread.
class SectionFile {
 public:
  /// Maps the file and checks its header and table (not yet the contents of sections) against `expected`. Throws
  /// InputError that names the file and what is wrong: missing, truncated, another kind, another version, damaged.
  SectionFile(const std::string& path, std::string_view magic, const SectionFileFacts& expected);
  /// The same for a file that stands alone, with no manifest that would know it: its header vouches for itself.
  SectionFile(const std::string& path, std::string_view magic);
  SectionFile(SectionFile&&) noexcept;
  SectionFile& operator=(SectionFile&&) noexcept;
  SectionFile(const SectionFile&) = delete;
  SectionFile& operator=(const SectionFile&) = delete;
  ~SectionFile();

  /// The section as `count` elements of T. Throws InputError if there is no such section or its size differs.
  template <typename T>
  std::span<const T> array(std::string_view name, std::uint64_t count) const {
    static_assert(64 % alignof(T) == 0);
    const std::span<const std::byte> bytes = section(name, count, sizeof(T));
    return {reinterpret_cast<const T*>(bytes.data()), static_cast<std::size_t>(count)};
  }
  /// Size of a section in bytes. Throws InputError if there is no such section.
  std::uint64_t section_bytes(std::string_view name) const;

  /// Reads everything and compares all checksums, in parallel. Throws InputError that names file, section, and both
  /// checksums.
  void verify_checksums() const;
  const std::string& path() const { return path_; }

 private:
  struct Section {
    std::string name;
    std::uint64_t offset;
    std::uint64_t bytes;
    std::uint64_t checksum;
  };

  void map(std::uint64_t expected_bytes);
  void unmap() noexcept;
  void read_header(std::string_view magic, const SectionFileFacts& expected);
  const Section& find(std::string_view name) const;
  std::span<const std::byte> section(std::string_view name, std::uint64_t count, std::size_t element_bytes) const;

  std::string path_;
  const std::byte* data_ = nullptr;
  std::size_t size_ = 0;
  std::vector<Section> sections_;
};

}  // namespace knotwork::partition
