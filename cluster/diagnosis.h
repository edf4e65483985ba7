// Can these processes work together? What `knotwork doctor` finds out, on all ranks of a job at once.
//
// Each rank gathers facts of its host, listens on the address that a job would use, and connects to every other rank;
// rank 0 compares clocks (Cristian's algorithm: the sample with the shortest round trip). Ranks then share all of it,
// and every rank comes to the same diagnosis. What is judged (assess) is a function of the facts alone.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "cluster/communicator.h"
#include "cluster/slurm_environment.h"

namespace knotwork::cluster {

struct DiagnosisOptions {
  /// What must be equal on all ranks, by name: {"build", "0.1.0 (1221b48)"}, {"job file", its checksum}.
  std::vector<std::pair<std::string, std::string>> alike;
  /// Interface, address or network between hosts; empty: as cluster/rendezvous.h chooses.
  std::string network;
  /// First port to listen on, each rank of a host one higher; 0: the system chooses.
  std::uint16_t port = 0;
  /// The folder whose disk is looked at.
  std::string folder = ".";
  /// Threads that this rank would use.
  std::uint32_t threads = 1;
  /// For each wait: connections to other ranks, the resolving of this host's name.
  std::chrono::milliseconds timeout{5000};
  /// Less free memory for a rank, or less free disk, is a problem. Bytes.
  std::uint64_t least_memory = 0;
  std::uint64_t least_disk = 0;
  /// A larger difference to the clock of rank 0 is a problem. Seconds.
  double most_clock_skew = 1;
};

/// What one rank found out about itself and its host.
struct RankFacts {
  Rank rank = 0;
  std::string host;
  /// Equal for ranks that share a loopback interface (host_address.h).
  std::string host_identity;
  /// What the host's name resolves to; empty: nothing.
  std::string resolved;
  std::string address;
  std::string interface;
  bool has_carrier = true;
  /// 0 if it could not listen; then `listen_problem` says why.
  std::uint16_t port = 0;
  std::string listen_problem;
  std::uint32_t cores_online = 1;
  std::uint32_t cores_allowed = 1;
  /// Its fair share of the host, its control groups and its Slurm job: what it could use if nobody bound it to less.
  std::uint32_t cores_fair = 1;
  std::uint32_t threads = 1;
  std::uint64_t memory = 0;
  /// Empty: no such folder.
  std::optional<std::uint64_t> disk;
  /// To the clock of rank 0, positive if ahead; known to within half of `clock_uncertainty`.
  double clock_skew = 0;
  double clock_uncertainty = 0;
  /// Values of DiagnosisOptions::alike, in their order.
  std::vector<std::string> alike;
};

/// Rank `from` could not reach rank `to`.
struct BrokenPath {
  Rank from = 0;
  Rank to = 0;
  std::string reason;
};

struct Diagnosis {
  std::vector<RankFacts> ranks;
  std::vector<BrokenPath> broken;
  /// What keeps a job from running, and what may surprise: one line each, naming rank, host, interface and port.
  std::vector<std::string> problems;
  std::vector<std::string> warnings;
  bool is_healthy() const { return problems.empty(); }
};

/// Collective. Bounded by options.timeout and by the communicator's own deadlines. Throws ClusterError if the ranks
/// can't even talk to each other.
Diagnosis diagnose(Communicator& communicator, const DiagnosisOptions& options);

/// Fills problems and warnings from the facts.
void assess(Diagnosis& diagnosis, const DiagnosisOptions& options);

/// Facts and broken paths as bytes, and back: how ranks tell each other. Throws ClusterError on damaged bytes.
std::string encode(const RankFacts& facts);
RankFacts decode_facts(std::string_view bytes);

}  // namespace knotwork::cluster
