// Writes snapshots of a running job: when, what on which rank, and which old ones go. Knows no method: whoever trains
// says what there is to keep (tables of rows by original node, and named arrays) at a moment of its own choice.
//
//   loop: vote()            collective, cheap, between two pieces of work
//         begin(content)    if the vote says so: a thread of its own writes this rank's file while training goes on
//   end:  finish()
//
// The file of a rank is written beside, forced to the disk and renamed; when all ranks have theirs (the next vote
// finds out), rank 0 writes the manifest the same way, and only then older snapshots are removed. A snapshot that can't
// be written (full disk) is dropped and told; training goes on, unless it was to end with it.
#pragma once

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <thread>
#include <vector>

#include "cluster/communicator.h"
#include "partition/ids.h"
#include "partition/section_file.h"
#include "ps/table.h"
#include "worker/frozen_rows.h"
#include "worker/snapshot_folder.h"
#include "worker/snapshot_manifest.h"

namespace knotwork::worker {

/// An array that is made when its turn to be written has come, on the writing thread.
struct SnapshotArray {
  std::string name;  ///< 1 to 23 characters
  std::uint64_t bytes = 0;
  std::function<std::vector<std::byte>()> make;

  static SnapshotArray of(std::string name, std::vector<std::byte> contents);
};

/// What of a rank goes into a snapshot. Names and kinds are the same on all ranks.
struct SnapshotContent {
  /// Original node of each row of this rank, in the order of the tables' rows. Must outlive the writing.
  std::span<const partition::OriginalNode> nodes;
  /// Tables whose row i (of this rank's) belongs to nodes[i]. Read while training may go on: each row as it is when it
  /// is copied, or, with `frozen`, as that says. Tables must outlive the writing.
  struct Table {
    const ps::Table* rows = nullptr;
    std::shared_ptr<FrozenRows> frozen = nullptr;
  };
  std::vector<Table> tables;
  /// Facts of each node: `make` gives `width` bytes for each of `nodes`, or of `array_nodes`.
  struct RowArray {
    std::string name;
    std::uint32_t width = 0;
    std::function<std::vector<std::byte>()> make;
  };
  std::vector<RowArray> row_arrays;
  /// Original node of each entry of the row arrays, where those are not `nodes`: with --servers one rank keeps a node's
  /// rows, another one walks from it. On all ranks or on none; must outlive the writing.
  std::optional<std::span<const partition::OriginalNode>> array_nodes;
  /// What each rank has of its own.
  std::vector<SnapshotArray> rank_arrays;
  /// What the job has once, such as the weights of layers: taken from rank 0, ignored elsewhere.
  std::vector<SnapshotArray> job_arrays;
  /// The same on all ranks.
  std::map<std::string, std::uint64_t> marks;
  /// How long this rank stood still for it.
  double pause_seconds = 0;
};

/// A snapshot that is done with.
struct SnapshotEvent {
  std::uint64_t sequence = 0;
  std::uint64_t bytes = 0;   ///< of all ranks
  double seconds = 0;        ///< of writing, on the slowest rank
  double pause_seconds = 0;  ///< that training stood still, on the rank where it did longest
  std::string folder;
  /// Empty: it is whole. Else why it was dropped.
  std::string failure;
};

struct SnapshotOptions {
  std::string folder;
  std::chrono::milliseconds every{600'000};
  /// Whole snapshots that stay; at least 1.
  std::uint32_t keep = 2;
  SnapshotIdentity identity;
  std::string program;
  /// The snapshot of this folder that the job goes on from, 0 for none. Newer ones were passed over: they don't count
  /// among those that stay.
  std::uint64_t resumed = 0;
  /// Called on every rank, from the thread that votes, for each snapshot that is done with.
  std::function<void(const SnapshotEvent&)> told;
};

class SnapshotKeeper {
 public:
  /// Collective. Makes the folder, and numbers on from what lies in it on any rank. Throws partition::InputError.
  SnapshotKeeper(cluster::Communicator& communicator, SnapshotOptions options);
  ~SnapshotKeeper();
  SnapshotKeeper(const SnapshotKeeper&) = delete;
  SnapshotKeeper& operator=(const SnapshotKeeper&) = delete;

  struct Vote {
    bool snapshot = false;  ///< begin() is to be called, by all ranks
    bool stop = false;      ///< and training is to end with it: finish() comes next
    bool has_work = false;  ///< some rank has work left
  };
  /// Collective: the same answer everywhere. `has_work`: whether this rank has. Tells of snapshots that are done with.
  Vote vote(bool has_work);

  /// Collective, after a vote for it. Returns at once; the content is written meanwhile. Waits for the snapshot before
  /// if that is still being written (only a stop comes so early).
  void begin(SnapshotContent content);

  /// Collective. Waits for what is being written. Returns whether the last snapshot begun is whole.
  bool finish();

  /// Returns when nothing of the content that was handed over is read any more. Not collective.
  void rest() noexcept;

  /// The next vote will be for a last snapshot and the end of training, on all ranks. Any thread.
  void ask_to_stop() { stop_asked_.store(true, std::memory_order_relaxed); }

  /// Snapshots that became whole, and the longest pause of any rank.
  std::uint64_t written() const { return written_; }
  double longest_pause() const { return longest_pause_; }
  /// Seconds between two snapshots' beginnings.
  std::chrono::milliseconds every() const { return options_.every; }

 private:
  using Clock = std::chrono::steady_clock;
  /// What the writing thread leaves behind.
  struct Outcome {
    partition::SectionFileFacts facts;
    double seconds = 0;
    std::string failure;
  };

  void write(const SnapshotContent& content);
  void settle();
  SnapshotEvent gather_outcome(SnapshotManifest& manifest);
  void publish(const SnapshotManifest& manifest, SnapshotEvent& event);
  void prune();

  cluster::Communicator& communicator_;
  SnapshotOptions options_;
  SnapshotFolder folder_;
  std::uint64_t next_sequence_ = 1;
  std::vector<std::uint64_t> whole_;  // Sequences of whole snapshots, rising.
  Clock::time_point due_;
  std::atomic<bool> stop_asked_{false};

  // The snapshot that is being written, if any.
  std::optional<SnapshotManifest> pending_;
  SnapshotManifest::RankFile pending_file_;  // its counts
  double pending_pause_ = 0;
  std::atomic<bool> writing_{false};
  Outcome outcome_;  // Valid when writing_ is false again.
  std::jthread thread_;

  bool last_is_whole_ = false;
  std::uint64_t written_ = 0;
  double longest_pause_ = 0;
};

}  // namespace knotwork::worker
