// --snapshot-dir, --snapshot-every, --keep-snapshots, --resume: what they mean, and how a command that trains uses
// them (docs/reliability.md).
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "cluster/communicator.h"
#include "jobs/command.h"
#include "partition/graph.h"
#include "worker/snapshot_keeper.h"
#include "worker/snapshot_reader.h"

namespace knotwork::jobs {

struct SnapshotChoice {
  /// Where snapshots go; empty: none are kept, unless a job is resumed, whose folder it is then.
  std::string folder;
  /// As parse_duration reads it.
  std::string every = "10m";
  std::uint32_t keep = 2;
  /// Folder whose newest whole snapshot the job goes on from; empty: it begins anew.
  std::string resume;

  bool is_wanted() const { return !folder.empty(); }
};

void declare(SnapshotChoice& choice, OptionSet& set);
/// After all options are known. Throws partition::InputError.
void resolve(SnapshotChoice& choice, const OptionSet& set);

/// Names and values of options, as the command line has them, that a resumed job must have in common with its
/// snapshots.
using AgreedOptions = std::vector<std::pair<std::string, std::string>>;

/// Collective: what snapshots remember of a graph, which rank 0 has.
worker::SnapshotIdentity identity_of(const std::optional<partition::Graph>& whole, cluster::Communicator& communicator);

/// Collective: a checksum of a file's bytes as rank 0 sees it, to tell whether a resumed job reads the same; "none" for
/// an empty path, "unreadable" for what can't be read.
std::string contents_of(const std::string& path, cluster::Communicator& communicator);

/// Throws partition::InputError that names an option and both values if they differ.
void check_agreement(const worker::SnapshotReader& snapshot, const AgreedOptions& options);

/// The command line `words` (behind the program's name) with --resume FOLDER, as one would type it.
std::string resume_command(const std::vector<std::string>& words, const std::string& folder, int ranks);

/// The snapshots of one job while it runs. Collective where a constructor or method is not said to be otherwise.
class JobSnapshots {
 public:
  /// Opens the snapshot to resume, or makes sure that the folder holds none of another job. `agreed`: known before the
  /// graph is. Throws partition::InputError.
  JobSnapshots(const SnapshotChoice& choice, AgreedOptions agreed, Session& session);
  ~JobSnapshots();
  JobSnapshots(const JobSnapshots&) = delete;
  JobSnapshots& operator=(const JobSnapshots&) = delete;

  /// The snapshot to go on from, or null.
  worker::SnapshotReader* snapshot() { return snapshot_ ? &*snapshot_ : nullptr; }
  /// The graph is known: compares it with the snapshot's, and begins to keep snapshots. `identity` without
  /// configuration. Throws partition::InputError.
  worker::SnapshotKeeper& start(worker::SnapshotIdentity identity);
  /// Training is over: SIGTERM and SIGUSR1 mean again what they meant before. Not collective.
  void end_of_training();
  /// A stopped training: says where it can go on, and sets the exit code. Throws partition::SystemError if its last
  /// snapshot could not be written. Not collective.
  void report_stop(bool last_is_whole);
  /// The result is written, and there is nothing left to resume. Not collective.
  void finish(const std::string& output);

 private:
  void tell(const worker::SnapshotEvent& event);
  std::string advice() const;

  SnapshotChoice choice_;
  AgreedOptions agreed_;
  Session& session_;
  std::optional<worker::SnapshotReader> snapshot_;
  std::unique_ptr<worker::SnapshotKeeper> keeper_;
  bool has_whole_ = false;
  std::string last_failure_;
};

}  // namespace knotwork::jobs
