// The processes of a job, and what they say to each other all at once. Two implementations: MPI for jobs that mpirun or
// srun started, and one process that is alone and touches no MPI at all. Both behave the same, so nothing above asks
// which one it has.
//
// Sizes are 64 bits wide everywhere: larger messages than MPI's int counts allow travel in pieces.
//
// Threads: every call is for the thread that called connect() (MPI_THREAD_FUNNELED). Collective calls (all but rank,
// size, send, receive and abort) must be made by all ranks in the same order.
//
// Failures. A rank that throws while the others wait in a collective call would leave them hanging; so whatever a rank
// does after connect() belongs into run_or_abort(), which ends the whole job with that rank's message and exit code:
//
//   const auto cluster = cluster::connect();
//   return cluster::run_or_abort(*cluster, [&] { return run_job(*cluster); }, exit_code_of);
//
// A rank that is killed, stopped or cut off can't say so: heartbeats find out (liveness.h), and the process ends from
// within, wherever it waits or computes, with exit code 1; one rank prints who is missing.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace knotwork::cluster {

/// A process of the job, 0 .. size - 1.
using Rank = int;

using Bytes = std::vector<std::byte>;

/// MPI failed, or the processes of a job can't find each other. The message names the call and what MPI said.
class ClusterError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

enum class Reduction { kSum, kMin, kMax };

class Communicator {
 public:
  Communicator() = default;
  Communicator(const Communicator&) = delete;
  Communicator& operator=(const Communicator&) = delete;
  virtual ~Communicator() = default;

  virtual Rank rank() const = 0;
  virtual Rank size() const = 0;
  bool is_root() const { return rank() == 0; }

  /// Returns when all ranks have called it.
  virtual void barrier() = 0;

  /// Element by element over all ranks; every rank gets the result, in place. The spans have the same size everywhere.
  virtual void allreduce(std::span<double> values, Reduction reduction) = 0;
  virtual void allreduce(std::span<std::uint64_t> values, Reduction reduction) = 0;
  double allreduce(double value, Reduction reduction) {
    allreduce(std::span(&value, 1), reduction);
    return value;
  }
  std::uint64_t allreduce(std::uint64_t value, Reduction reduction) {
    allreduce(std::span(&value, 1), reduction);
    return value;
  }

  /// Gives every rank the root's bytes (of any size; what the others pass in is replaced).
  virtual void broadcast(Bytes& bytes, Rank root) = 0;
  std::string broadcast(std::string_view text, Rank root);

  /// The strings of all ranks, by rank.
  virtual std::vector<std::string> all_gather(std::string_view own) = 0;

  /// Sends to_each[r] to rank r, and returns what each rank sent here, by rank. REQUIRES: to_each.size() == size().
  virtual std::vector<Bytes> exchange(std::span<const Bytes> to_each) = 0;

  /// One large buffer from rank to rank. Messages between two ranks with one tag (0 .. 32766) arrive in order. Both may
  /// wait for the other side.
  virtual void send(std::span<const std::byte> bytes, Rank to, int tag) = 0;
  virtual Bytes receive(Rank from, int tag) = 0;

  /// Writes `message` with the rank to standard error, and ends all ranks of the job with `exit_code`. If several ranks
  /// do so at the same time, the first message is the one that is written.
  [[noreturn]] virtual void abort(int exit_code, std::string_view message) = 0;

  /// "rank 3 (host b, pid 4711)", for messages. Any thread.
  virtual std::string title(Rank rank) const { return "rank " + std::to_string(rank); }

  /// Hash of build and configuration (see ConnectOptions): the same on all ranks.
  virtual std::uint64_t configuration() const { return 0; }

  /// `clean_up` runs before this process ends because the job does (another rank failed or is lost); from another
  /// thread. Empty: nothing.
  // NOLINTNEXTLINE(performance-unnecessary-value-param): those who override it keep it
  virtual void before_ending(std::function<void()> /*clean_up*/) {}

  /// A line for people that follows the message if the job ends before its time, whichever rank speaks then: how to go
  /// on. Empty: nothing. Any thread.
  // NOLINTNEXTLINE(performance-unnecessary-value-param): those who override it keep it
  virtual void advise(std::string /*advice*/) {}

  /// To be called, from any thread, when a signal asks this process to end, which a launcher does when a rank is gone.
  /// Ends the other ranks, too, and says why unless the job is ending already; then returns the exit code. Nothing if
  /// there are no others, and the caller should say what it likes.
  virtual std::optional<int> interrupted(int /*signal*/) { return std::nullopt; }

  /// Lets others know how this rank fares: `figures` is asked by another thread with each heartbeat, about once a
  /// second, and its numbers travel along, rank 0's to all ranks, those of others to rank 0. It must not wait for long.
  /// Empty: nothing more is said; when the call returns, the function before is not in use any more.
  // NOLINTNEXTLINE(performance-unnecessary-value-param): those who override it keep it
  virtual void share_figures(std::function<std::vector<double>()> /*figures*/) {}
  /// What `rank` let this one know last; empty if nothing yet. On rank 0 of all others, elsewhere of rank 0. Any
  /// thread.
  virtual std::vector<double> figures_of(Rank /*rank*/) const { return {}; }
};

/// How a process was started, as far as the environment tells.
struct Launch {
  /// There are other ranks (or may be) that only MPI reaches.
  bool needs_mpi = false;
  /// "mpirun", "srun", ... for people; empty if by hand.
  std::string launcher;
  /// As the launcher says it.
  Rank rank = 0;
};

/// Reads the variables that launchers set. `variable` is std::getenv or a test's stand-in. Throws ClusterError when a
/// launcher started several tasks that have no way to find each other (srun --mpi=none): each would do the whole job.
Launch launch_of(const std::function<const char*(const char*)>& variable);

struct ConnectOptions {
  /// Pieces in which large messages travel, bytes; below 2^31, since MPI counts in ints.
  std::size_t piece_bytes = std::size_t{1} << 30;
  /// How long the start may take, and how long a rank may be silent before it counts as lost. Waits between ranks that
  /// are alive may take any time.
  std::chrono::milliseconds timeout{30'000};
  /// Interface (eth0), address, or network (10.0.0.0/8) for heartbeats between hosts: see RendezvousOptions.
  std::string network;
  /// What must be the same on all ranks, else the job ends with a message that names the rank: version, and names and
  /// values of options.
  std::string build;
  std::vector<std::pair<std::string, std::string>> configuration;
  /// Without, ranks only tell each other who they are: no heartbeats, and nothing has to be the same.
  bool watches = true;
};

/// Joins the job: MPI if a launcher started this process, otherwise a job of one. Call it once, early in main, and keep
/// the result alive as long as anything speaks to other ranks; its destructor leaves MPI, together with the others.
/// Throws ClusterError; ranks that don't come, don't fit together or can't reach each other end the process (exit code
/// 1, message on one rank's standard error).
std::unique_ptr<Communicator> connect(const ConnectOptions& options = {});

/// Runs `body` and returns its result. If it throws on a rank of several, the job ends with that rank's message and the
/// exit code that `exit_code_of` gives for the exception; a process that is alone gets the exception itself.
int run_or_abort(Communicator& communicator, const std::function<int()>& body,
                 const std::function<int(const std::exception&)>& exit_code_of);

}  // namespace knotwork::cluster
