// What a snapshot says about itself: manifest.json of its folder (docs/formats.md), as a struct and as JSON with a
// checksum over itself. Nothing in it is believed before it is checked.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "partition/section_file.h"

namespace knotwork::worker {

inline constexpr std::uint32_t kSnapshotVersion = 1;
inline constexpr std::string_view kSnapshotMagic = "KNOTSNAP";
inline constexpr std::string_view kSnapshotManifest = "manifest.json";
/// Ranks of a job that a reader believes in.
inline constexpr std::uint32_t kMostSnapshotRanks = 1U << 20;

/// What a job must agree on with the snapshot that it resumes.
struct SnapshotIdentity {
  /// Names and values of options, as people give them.
  std::vector<std::pair<std::string, std::string>> configuration;
  std::uint64_t node_count = 0;
  std::uint64_t arc_count = 0;
  /// partition::graph_checksum.
  std::uint64_t graph_checksum = 0;

  bool operator==(const SnapshotIdentity&) const = default;
};

struct SnapshotManifest {
  std::uint64_t sequence = 0;
  /// For people: version of the program, time.
  std::string program;
  std::string made_at;
  SnapshotIdentity identity;

  /// A table of rows by original nodes, spread over the ranks.
  struct Table {
    std::string name;
    std::uint32_t dim = 0;
    /// Floats of optimizer state a row.
    std::uint32_t state_width = 0;
    bool operator==(const Table&) const = default;
  };
  std::vector<Table> tables;
  /// Further facts of every row: bytes a row, by name.
  std::map<std::string, std::uint64_t> row_arrays;
  /// Arrays that every rank has of its own.
  std::vector<std::string> rank_arrays;
  /// Arrays that the job has once; they lie in rank 0's file.
  std::map<std::string, std::uint64_t> job_arrays;
  /// Numbers that are the same on all ranks, such as the position in deterministic training.
  std::map<std::string, std::uint64_t> marks;

  /// The file of each rank.
  struct RankFile {
    partition::SectionFileFacts facts;
    std::uint64_t rows = 0;
    /// Entries of row arrays, where they are of other nodes than the tables' rows: in all files or in none.
    std::optional<std::uint64_t> array_rows = {};
  };
  std::vector<RankFile> files;
};

/// "snapshot-00000042".
std::string snapshot_name(std::uint64_t sequence);
/// The number of a folder of that name; 0 if it is none.
std::uint64_t snapshot_sequence(std::string_view name);
/// "rank-00003.bin".
std::string snapshot_file_name(std::uint64_t rank);

/// The JSON text, ending in a newline.
std::string manifest_text(const SnapshotManifest& manifest);

/// Parses, and checks everything that can be checked without the other files. `path` is for messages. Throws
/// partition::InputError.
SnapshotManifest parse_snapshot_manifest(const std::string& path, std::string_view text);

}  // namespace knotwork::worker
