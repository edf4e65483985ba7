// Reads a snapshot into a job that may have another number of ranks, other parts, and disks of its own: rows are found
// by original node.
//
// Every rank says which files of the snapshot its disk has. One that sees a file reads it, checks it against the
// manifest and all checksums, and sends each row to the rank that holds the node now. If a file is nowhere or damaged,
// all ranks turn to the snapshot before.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "cluster/communicator.h"
#include "partition/ids.h"
#include "partition/section_file.h"
#include "ps/table.h"
#include "worker/snapshot_folder.h"
#include "worker/snapshot_manifest.h"

namespace knotwork::worker {

class SnapshotReader {
 public:
  /// Collective: opens the newest snapshot in `folder` (of any rank's disk) that is whole. `notice` is called on rank 0
  /// for each one that isn't, with the reason. Throws partition::InputError if there is none, or the job has finished.
  SnapshotReader(cluster::Communicator& communicator, const std::string& folder,
                 const std::function<void(const std::string&)>& notice);

  const SnapshotManifest& manifest() const { return manifest_; }
  /// Folder of the snapshot, for messages.
  std::string place() const { return folder_.place(manifest_.sequence); }

  /// Collective: says where rows go from here on. `own_nodes`: original nodes of this rank's rows; rank r has the rows
  /// rank_bounds[r] .. rank_bounds[r + 1] - 1. Throws partition::InputError if there are other numbers of nodes.
  void spread_over(std::span<const partition::OriginalNode> own_nodes, std::span<const partition::GlobalNode> bounds);
  /// After spread_over, where ranks have row arrays of other nodes than those whose rows they keep (--servers): bounds
  /// of the former. Not collective.
  void spread_arrays_over(std::span<const partition::GlobalNode> bounds);

  /// Collective, after spread_over: fills this rank's rows and state. Throws partition::InputError if the snapshot has
  /// no such table, or one of other columns, or a row twice or not at all.
  void read_table(ps::Table& table);
  /// Collective, after spread_over: `width` bytes for each of this rank's rows. Throws as read_table does.
  std::vector<std::byte> read_row_array(const std::string& name, std::uint32_t width);
  /// Collective: what each rank of the job that wrote the snapshot had, on every rank.
  std::vector<std::vector<std::byte>> read_rank_array(const std::string& name);
  /// Collective: what the job had once, on every rank. Throws partition::InputError if it is not there.
  std::vector<std::byte> read_job_array(const std::string& name);
  /// Throws partition::InputError if it is not there.
  std::uint64_t mark(const std::string& name) const;

 private:
  /// A rank's file that this process reads.
  struct File {
    std::uint64_t rank;
    partition::SectionFile sections;
    std::span<const partition::OriginalNode> nodes;
    /// Of the row arrays; the same unless the manifest says otherwise.
    std::span<const partition::OriginalNode> array_nodes;
  };
  enum class Kind : std::uint8_t { kTable, kArray };
  using RowSink = std::function<void(partition::LocalNode row, std::span<const std::byte> bytes)>;

  std::vector<std::uint64_t> candidates() const;
  std::string open(std::uint64_t sequence);
  std::string open_files();
  void check_sections(const File& file) const;
  void send_rows(Kind kind, const std::string& section, std::size_t row_bytes, const RowSink& sink);

  cluster::Communicator& communicator_;
  SnapshotFolder folder_;
  SnapshotManifest manifest_;
  std::vector<File> files_;
  std::vector<partition::GlobalNode> global_of_original_;
  std::vector<partition::GlobalNode> bounds_;
  std::vector<partition::GlobalNode> array_bounds_;
};

}  // namespace knotwork::worker
