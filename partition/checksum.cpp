#include "partition/checksum.h"

#include <algorithm>
#include <bit>
#include <cstdio>
#include <vector>
#include <xxhash.h>

namespace knotwork::partition {

static_assert(std::endian::native == std::endian::little, "the file formats are little-endian and not converted");

std::uint64_t block_checksum(std::span<const std::byte> bytes) {
  std::vector<std::uint64_t> hashes((bytes.size() + kChecksumBlockBytes - 1) / kChecksumBlockBytes);
#pragma omp parallel for schedule(dynamic, 1) if (hashes.size() > 1)
  for (std::size_t block = 0; block < hashes.size(); ++block) {
    const std::size_t first = block * kChecksumBlockBytes;
    hashes[block] = XXH3_64bits(bytes.data() + first, std::min(kChecksumBlockBytes, bytes.size() - first));
  }
  return plain_checksum(std::as_bytes(std::span(hashes)));
}

std::uint64_t plain_checksum(std::span<const std::byte> bytes) {
  return XXH3_64bits(bytes.data(), bytes.size());
}

std::string checksum_text(std::uint64_t checksum) {
  char text[17];
  std::snprintf(text, sizeof(text), "%016llx", static_cast<unsigned long long>(checksum));
  return text;
}

}  // namespace knotwork::partition
