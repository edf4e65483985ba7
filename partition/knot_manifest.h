// The manifest of a .knot folder as a struct, and as JSON with a checksum over itself.
#pragma once

#include <map>
#include <string>
#include <string_view>

#include "partition/knot_folder.h"
#include "partition/section_file.h"

namespace knotwork::partition {

inline constexpr std::uint32_t kKnotVersion = 1;
inline constexpr std::string_view kManifestFile = "manifest.json";
inline constexpr std::string_view kNamesFile = "names.bin";
inline constexpr std::string_view kDegreeRankFile = "degree_rank.bin";
inline constexpr std::string_view kPartMagic = "KNOTPART";
inline constexpr std::string_view kNamesMagic = "KNOTNAME";
inline constexpr std::string_view kDegreeRankMagic = "KNOTRANK";

struct KnotManifest {
  KnotSummary summary;
  /// Every binary file of the folder.
  std::map<std::string, SectionFileFacts> files;
};

/// "part-00007.bin".
std::string part_file_name(Part part);

/// Whether a file of that name may lie in a .knot folder, finished or partial.
bool is_knot_file_name(std::string_view name);

/// The JSON text, ending in a newline.
std::string manifest_text(const KnotManifest& manifest);

/// Parses and checks everything that can be checked without the other files. `path` is for messages. Throws InputError.
KnotManifest parse_manifest(const std::string& path, std::string_view text);

/// Reads and parses FOLDER/manifest.json. Throws InputError.
KnotManifest read_manifest(const std::string& folder);

}  // namespace knotwork::partition
