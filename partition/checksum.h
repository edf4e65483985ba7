// Checksums of files: XXH3 (64 bits, the xxHash library), arranged so that all cores can work on one array.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

namespace knotwork::partition {

/// The checksum hashes blocks of this size apart. Part of the format (docs/formats.md): never change it.
inline constexpr std::size_t kChecksumBlockBytes = std::size_t{1} << 20;

/// XXH3-64 of the XXH3-64s (little-endian, in order) of the consecutive blocks of `bytes`; the last block is shorter,
/// and no bytes make no block. Parallel by OpenMP; the result does not depend on the number of threads.
std::uint64_t block_checksum(std::span<const std::byte> bytes);

/// XXH3-64 of `bytes`, for small things.
std::uint64_t plain_checksum(std::span<const std::byte> bytes);

/// 16 hexadecimal digits.
std::string checksum_text(std::uint64_t checksum);

}  // namespace knotwork::partition
