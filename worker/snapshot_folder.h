// The folder of --snapshot-dir as one process sees it: which snapshots lie there, and how old ones go.
//
//   DIR/snapshot-00000003/rank-00000.bin    every rank's own, on a disk that others need not see
//                         manifest.json     rank 0's, renamed into place last: without it there is no snapshot
//   DIR/finished.json                       the job came to its end
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "worker/snapshot_manifest.h"

namespace knotwork::worker {

class SnapshotFolder {
 public:
  explicit SnapshotFolder(std::string path) : path_(std::move(path)) {}

  const std::string& path() const { return path_; }
  /// DIR/snapshot-00000003, with a file of it if `file` isn't empty.
  std::string place(std::uint64_t sequence, const std::string& file = {}) const;

  /// Makes the folder unless it is there, and finds out whether a file can be written in it. Throws
  /// partition::InputError.
  void make_ready() const;
  /// Numbers of all snapshots of which anything lies here, whole or not, rising.
  std::vector<std::uint64_t> sequences() const;
  bool has_manifest(std::uint64_t sequence) const;
  /// The manifest's text if it can be read; of at most 64 MiB. Throws nothing.
  std::optional<std::string> manifest(std::uint64_t sequence) const;
  /// Whether the file of a rank lies here in full length.
  bool has_file(std::uint64_t sequence, std::uint64_t rank, std::uint64_t bytes) const;

  /// Makes the folder of a snapshot. Throws partition::SystemError.
  void open(std::uint64_t sequence) const;
  /// Writes the manifest beside, forces it to the disk and renames it: from now on the snapshot is whole. Throws
  /// partition::SystemError.
  void publish(const SnapshotManifest& manifest) const;
  /// Removes what lies here of a snapshot, its manifest first, and the folder once it is empty. Files of other names
  /// stay. Several processes may do so at a time. Throws nothing: what can't be removed stays.
  void remove(std::uint64_t sequence) const;

  /// Where the job that this folder belongs to wrote its result, once it has come to its end.
  std::optional<std::string> finished() const;
  /// Throws partition::SystemError.
  void mark_finished(const std::string& output) const;

 private:
  std::string path_;
};

}  // namespace knotwork::worker
