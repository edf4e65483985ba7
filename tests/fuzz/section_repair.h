// Makes checksums of a mutated file right again: otherwise a fuzzer would see nothing but the check of checksums. A
// neighbour who writes a file on purpose can do the same.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>

#include <nlohmann/json.hpp>

#include "partition/checksum.h"
#include "partition/section_file.h"

namespace knotwork::fuzz {

template <typename T>
T number_at(const std::string& bytes, std::size_t at) {
  T value{};
  if (at + sizeof(T) <= bytes.size()) std::memcpy(&value, bytes.data() + at, sizeof(T));
  return value;
}

inline void set_number(std::string& bytes, std::size_t at, std::uint64_t value) {
  if (at + sizeof value <= bytes.size()) std::memcpy(bytes.data() + at, &value, sizeof value);
}

/// Size, checksums of sections and of the header of a section file (docs/formats.md); returns what a manifest says.
inline partition::SectionFileFacts repair_section_file(std::string& bytes) {
  constexpr std::size_t kHeader = 64;
  constexpr std::size_t kEntry = 64;
  constexpr std::size_t kFileBytes = 16;
  constexpr std::size_t kHeaderChecksum = 24;
  if (bytes.size() < kHeader) return {.bytes = bytes.size(), .header_checksum = 0};
  set_number(bytes, kFileBytes, bytes.size());
  const std::size_t count =
      std::min<std::size_t>(number_at<std::uint32_t>(bytes, 12), (bytes.size() - kHeader) / kEntry);
  for (std::size_t i = 0; i < count; ++i) {
    const std::size_t entry = kHeader + i * kEntry;
    const auto offset = number_at<std::uint64_t>(bytes, entry + 32);
    const auto size = number_at<std::uint64_t>(bytes, entry + 40);
    if (offset > bytes.size() || size > bytes.size() - offset) continue;
    const auto content = std::as_bytes(std::span(bytes)).subspan(offset, size);
    set_number(bytes, entry + 48, partition::block_checksum(content));
  }
  set_number(bytes, kHeaderChecksum, 0);
  const auto head = std::as_bytes(std::span(bytes)).first(kHeader + count * kEntry);
  const std::uint64_t checksum = partition::plain_checksum(head);
  set_number(bytes, kHeaderChecksum, checksum);
  return {.bytes = bytes.size(), .header_checksum = checksum};
}

/// The facts of a file as a manifest has them.
inline void set_facts(nlohmann::json& json, const partition::SectionFileFacts& facts) {
  json["bytes"] = facts.bytes;
  json["header_checksum"] = partition::checksum_text(facts.header_checksum);
}

/// The text of a manifest with a right checksum over itself.
inline std::string sealed(nlohmann::json manifest) {
  manifest.erase("checksum");
  const std::string text = manifest.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
  manifest["checksum"] = partition::checksum_text(partition::plain_checksum(std::as_bytes(std::span(text))));
  return manifest.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

}  // namespace knotwork::fuzz
