#include "partition/section_file.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <fstream>
#include <limits>
#include <stdexcept>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <utility>

#include "partition/checksum.h"
#include "partition/errors.h"
#include "partition/whole_file.h"

namespace knotwork::partition {

namespace {

constexpr std::size_t kAlignment = 64;
constexpr std::uint32_t kMaxSections = 64;

/// The first 64 bytes of a file; the table of sections follows at once.
struct FileHeader {
  char magic[8];
  std::uint32_t version;
  std::uint32_t section_count;
  std::uint64_t file_bytes;
  /// plain_checksum of header and table with this field zero.
  std::uint64_t header_checksum;
  std::uint8_t reserved[32];
};
static_assert(sizeof(FileHeader) == 64);

struct TableEntry {
  char name[32];
  std::uint64_t offset;
  std::uint64_t bytes;
  /// block_checksum of the section's bytes.
  std::uint64_t checksum;
  std::uint64_t reserved;
};
static_assert(sizeof(TableEntry) == 64);

std::uint64_t aligned(std::uint64_t bytes) {
  return (bytes + kAlignment - 1) / kAlignment * kAlignment;
}

/// Places of sections in the file, one behind the other; checksums are still to come.
std::vector<TableEntry> lay_out(std::string_view magic, std::span<const std::string_view> names,
                                std::span<const std::uint64_t> sizes) {
  if (magic.size() != sizeof(FileHeader::magic) || names.size() > kMaxSections) {
    throw std::invalid_argument("a section file has a magic of 8 characters and at most 64 sections");
  }
  std::vector<TableEntry> table(names.size());
  std::uint64_t offset = sizeof(FileHeader) + table.size() * sizeof(TableEntry);
  for (std::size_t i = 0; i < table.size(); ++i) {
    TableEntry& entry = table[i];
    entry = {};
    if (names[i].empty() || names[i].size() >= sizeof(entry.name)) {
      throw std::invalid_argument("the name of a section has 1 to 31 characters");
    }
    names[i].copy(entry.name, sizeof(entry.name) - 1);
    entry.offset = offset;
    entry.bytes = sizes[i];
    offset += aligned(entry.bytes);
  }
  return table;
}

/// Header and table as they are on disk.
std::vector<std::byte> make_header(std::string_view magic, std::span<const TableEntry> table) {
  std::vector<std::byte> head(sizeof(FileHeader) + table.size_bytes());
  if (!table.empty()) std::memcpy(head.data() + sizeof(FileHeader), table.data(), table.size_bytes());
  FileHeader header{};
  magic.copy(header.magic, sizeof(header.magic));
  header.version = kSectionFileVersion;
  header.section_count = static_cast<std::uint32_t>(table.size());
  header.file_bytes = table.empty() ? head.size() : table.back().offset + aligned(table.back().bytes);
  std::memcpy(head.data(), &header, sizeof(header));
  header.header_checksum = plain_checksum(head);
  std::memcpy(head.data(), &header, sizeof(header));
  return head;
}

SectionFileFacts facts_of(std::span<const std::byte> head) {
  FileHeader header;
  std::memcpy(&header, head.data(), sizeof(header));
  return {.bytes = header.file_bytes, .header_checksum = header.header_checksum};
}

/// Writes one section and returns its checksum, block by block as block_checksum defines it.
std::uint64_t stream_section(const StreamedSection& section, std::vector<std::byte>& block, WholeFile& file) {
  std::vector<std::uint64_t> hashes;
  for (std::uint64_t offset = 0; offset < section.bytes; offset += kChecksumBlockBytes) {
    const std::span<std::byte> piece =
        std::span(block).first(std::min<std::uint64_t>(kChecksumBlockBytes, section.bytes - offset));
    section.read(offset, piece);
    hashes.push_back(plain_checksum(piece));
    file.write({reinterpret_cast<const char*>(piece.data()), piece.size()});
  }
  return plain_checksum(std::as_bytes(std::span(hashes)));
}

constexpr char kPadding[kAlignment] = {};

std::string_view text_of(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

[[noreturn]] void damaged(const std::string& path, const std::string& what) {
  throw InputError(path + ": " + what);
}

/// What the file says of itself. A header that cannot be read gives facts that no file has.
SectionFileFacts own_facts(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  FileHeader header{};
  file.read(reinterpret_cast<char*>(&header), sizeof(header));
  if (!file) throw InputError(path + ": cannot be read, or is shorter than any file of knotwork's");
  return {.bytes = header.file_bytes, .header_checksum = header.header_checksum};
}

}  // namespace

SectionFileFacts write_section_file(const std::string& path, std::string_view magic,
                                    std::span<const SectionToWrite> sections) {
  std::vector<std::string_view> names;
  std::vector<std::uint64_t> sizes;
  for (const SectionToWrite& section : sections) {
    names.push_back(section.name);
    sizes.push_back(section.bytes.size());
  }
  std::vector<TableEntry> table = lay_out(magic, names, sizes);
  for (std::size_t i = 0; i < table.size(); ++i) table[i].checksum = block_checksum(sections[i].bytes);
  const std::vector<std::byte> head = make_header(magic, table);
  WholeFile file(path);
  file.write(text_of(head));
  for (const SectionToWrite& section : sections) {
    file.write(text_of(section.bytes));
    file.write({kPadding, aligned(section.bytes.size()) - section.bytes.size()});
  }
  file.sync();
  file.publish();
  return facts_of(head);
}

SectionFileFacts stream_section_file(const std::string& path, std::string_view magic,
                                     std::span<const StreamedSection> sections) {
  std::vector<std::string_view> names;
  std::vector<std::uint64_t> sizes;
  for (const StreamedSection& section : sections) {
    names.emplace_back(section.name);
    sizes.push_back(section.bytes);
  }
  std::vector<TableEntry> table = lay_out(magic, names, sizes);
  std::vector<std::byte> block(kChecksumBlockBytes);
  WholeFile file(path);
  file.write(text_of(make_header(magic, table)));  // Its checksums come when the contents are known.
  for (std::size_t i = 0; i < table.size(); ++i) {
    table[i].checksum = stream_section(sections[i], block, file);
    file.write({kPadding, aligned(table[i].bytes) - table[i].bytes});
  }
  const std::vector<std::byte> head = make_header(magic, table);
  file.write_at(0, text_of(head));
  file.sync();
  file.publish();
  return facts_of(head);
}

SectionFile::SectionFile(const std::string& path, std::string_view magic, const SectionFileFacts& expected)
    : path_(path) {
  map(expected.bytes);
  try {
    read_header(magic, expected);
  } catch (...) {
    unmap();
    throw;
  }
}

SectionFile::SectionFile(const std::string& path, std::string_view magic) : SectionFile(path, magic, own_facts(path)) {}

SectionFile::SectionFile(SectionFile&& other) noexcept
    : path_(std::move(other.path_)),
      data_(std::exchange(other.data_, nullptr)),
      size_(std::exchange(other.size_, 0)),
      sections_(std::move(other.sections_)) {}

SectionFile& SectionFile::operator=(SectionFile&& other) noexcept {
  std::swap(path_, other.path_);
  std::swap(data_, other.data_);
  std::swap(size_, other.size_);
  std::swap(sections_, other.sections_);
  return *this;
}

SectionFile::~SectionFile() {
  unmap();
}

void SectionFile::map(std::uint64_t expected_bytes) {
  const int descriptor = ::open(path_.c_str(), O_RDONLY | O_CLOEXEC);
  if (descriptor < 0) {
    if (errno == ENOENT) damaged(path_, "is missing from the folder");
    throw SystemError(path_ + ": cannot open: " + std::strerror(errno));
  }
  struct stat status {};
  const bool known = ::fstat(descriptor, &status) == 0;
  size_ = known ? static_cast<std::size_t>(status.st_size) : 0;
  if (size_ != expected_bytes || size_ < sizeof(FileHeader)) {
    ::close(descriptor);
    damaged(path_, "has " + std::to_string(size_) + " bytes, expected " + std::to_string(expected_bytes) +
                       ": the file is truncated or not the one that was written");
  }
  void* const mapped = ::mmap(nullptr, size_, PROT_READ, MAP_SHARED, descriptor, 0);
  const int error = errno;
  ::close(descriptor);
  if (mapped == MAP_FAILED) throw SystemError(path_ + ": cannot map: " + std::strerror(error));
  data_ = static_cast<const std::byte*>(mapped);
}

void SectionFile::unmap() noexcept {
  if (data_ != nullptr) ::munmap(const_cast<std::byte*>(data_), size_);
  data_ = nullptr;
}

void SectionFile::read_header(std::string_view magic, const SectionFileFacts& expected) {
  FileHeader header;
  std::memcpy(&header, data_, sizeof(header));
  if (std::string_view(header.magic, sizeof(header.magic)) != magic) {
    damaged(path_, "does not begin with " + std::string(magic) + ": another kind of file, or damaged");
  }
  if (header.version != kSectionFileVersion) {
    damaged(path_, "has version " + std::to_string(header.version) + ", expected " +
                       std::to_string(kSectionFileVersion) + ": written by another release of knotwork");
  }
  const std::size_t head_bytes = sizeof(FileHeader) + std::size_t{header.section_count} * sizeof(TableEntry);
  if (header.section_count > kMaxSections || head_bytes > size_ || header.file_bytes != size_) {
    damaged(path_, "has a header that does not fit its size: damaged");
  }
  std::vector<std::byte> head(data_, data_ + head_bytes);
  FileHeader zeroed = header;
  zeroed.header_checksum = 0;
  std::memcpy(head.data(), &zeroed, sizeof(zeroed));
  const std::uint64_t found = plain_checksum(head);
  if (found != header.header_checksum || found != expected.header_checksum) {
    damaged(path_, "the header is damaged: checksum " + checksum_text(found) + " found, " +
                       checksum_text(expected.header_checksum) + " expected");
  }
  for (std::uint32_t i = 0; i < header.section_count; ++i) {
    TableEntry entry;
    std::memcpy(&entry, data_ + sizeof(FileHeader) + i * sizeof(TableEntry), sizeof(entry));
    entry.name[sizeof(entry.name) - 1] = '\0';
    if (entry.offset % kAlignment != 0 || entry.offset < head_bytes || entry.offset > size_ ||
        entry.bytes > size_ - entry.offset) {
      damaged(path_, "section " + std::string(entry.name) + " lies outside of the file: damaged");
    }
    sections_.push_back({entry.name, entry.offset, entry.bytes, entry.checksum});
  }
}

const SectionFile::Section& SectionFile::find(std::string_view name) const {
  for (const Section& section : sections_) {
    if (section.name == name) return section;
  }
  damaged(path_, "has no section " + std::string(name));
}

std::span<const std::byte> SectionFile::section(std::string_view name, std::uint64_t count,
                                                std::size_t element_bytes) const {
  const Section& found = find(name);
  // Not count * element_bytes, which wraps around for a count that a manifest made up.
  if (found.bytes / element_bytes != count || found.bytes % element_bytes != 0) {
    const bool wraps = count > std::numeric_limits<std::uint64_t>::max() / element_bytes;
    damaged(path_, "section " + found.name + " has " + std::to_string(found.bytes) + " bytes, expected " +
                       (wraps ? "more than there can be" : std::to_string(count * element_bytes)));
  }
  return {data_ + found.offset, static_cast<std::size_t>(found.bytes)};
}

std::uint64_t SectionFile::section_bytes(std::string_view name) const {
  return find(name).bytes;
}

void SectionFile::verify_checksums() const {
  for (const Section& section : sections_) {
    const std::uint64_t found = block_checksum({data_ + section.offset, static_cast<std::size_t>(section.bytes)});
    if (found == section.checksum) continue;
    damaged(path_, "section " + section.name + " is damaged: checksum " + checksum_text(found) + " found, " +
                       checksum_text(section.checksum) + " expected");
  }
}

}  // namespace knotwork::partition
