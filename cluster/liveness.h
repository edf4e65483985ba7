// Who is still there: a thread in each rank that exchanges heartbeats with rank 0 over a TCP connection of its own.
//
// A wait of minutes is normal in a job (rank 0 reads a graph while the others wait), so collectives have no deadline.
// Instead a rank that is stopped, cut off or killed is noticed here: a killed one at once, since its connection closes;
// a silent one when nothing has come from it for `timeout`. Rank 0 watches all others and tells them; the others watch
// rank 0. The job then ends everywhere with one message.
//
// Heartbeats carry figures, too: rank 0 so knows how all ranks fare, without anything that training would wait for.
//
// The same way a rank that fails by itself ends the job: end_job() lets rank 0 say it, once, and all others end
// quietly.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <thread>
#include <vector>

#include "cluster/roll_call.h"
#include "cluster/tcp_link.h"

namespace knotwork::cluster {

/// The end of a job before its time.
struct Ending {
  int exit_code = 1;
  /// One line that names the culprit.
  std::string message;
  /// This rank is the one to print it; the others end silently.
  bool is_speaker = false;
};

struct LivenessOptions {
  /// A rank that has said nothing for so long is lost.
  std::chrono::milliseconds timeout{30'000};
  /// Known to the job's ranks only: who connects without it is turned away.
  std::uint64_t token = 0;
  /// Both are called once, from the watching thread: the first says what there is to say, the second ends the process
  /// and doesn't return in a job. In between, rank 0 lets the others end by themselves.
  std::function<void(const Ending&)> say;
  std::function<void(const Ending&)> leave;
};

/// Exit code when a rank was lost.
inline constexpr int kExitLost = 1;

class Liveness {
 public:
  /// Rank 0: waits until all other ranks of `roll` have connected. Throws ClusterError that names those who didn't.
  Liveness(TcpListener& listener, std::span<const RankCard> roll, LivenessOptions options);
  /// Any other rank: connects to rank 0's listener. Throws ClusterError.
  Liveness(const RankCard& own, const RankCard& root, const std::string& address, std::uint16_t port,
           LivenessOptions options);
  /// Takes leave: the other side doesn't take the closed connection for a loss.
  ~Liveness();
  Liveness(const Liveness&) = delete;
  Liveness& operator=(const Liveness&) = delete;

  /// Ends the job on all ranks, unless it is ending already. Returns when `leave` has returned, or after some seconds.
  /// Any thread.
  void end_job(int exit_code, const std::string& message);

  /// The launcher ends this process: what it still finds out, rank 0 or, if that is lost, rank 1 says better. Any
  /// thread.
  void hush();

  /// See Communicator::share_figures. Any thread but the function's own.
  void share_figures(std::function<std::vector<double>()> figures);
  /// See Communicator::figures_of. Any thread.
  std::vector<double> figures_of(Rank rank) const;

  /// How the job ends, if that is known or becomes known within `limit`. Any thread.
  std::optional<Ending> ending_within(std::chrono::milliseconds limit);

 private:
  using Clock = std::chrono::steady_clock;

  struct Peer {
    TcpLink link;
    std::string name;  // "rank 1 (host b, pid 4711, 10.77.0.2:40123 on eth0)"
    Clock::time_point last_heard;
    std::chrono::system_clock::time_point last_heard_at;
    Rank rank = 0;
    bool left = false;
  };

  bool is_root() const { return own_rank_ == 0; }
  void start();
  void watch(const std::stop_token& stop);
  void wait_for_events();
  void listen_to(Peer& peer);
  void check(Peer& peer, Clock::time_point now);
  void beat();
  std::string own_figures();
  void keep_figures(Rank rank, const std::string& text);
  void serve_request();
  void finish(const Ending& ending);
  void tell_others(const Ending& ending);
  void wake() const;

  Rank own_rank_;
  std::string own_name_;
  LivenessOptions options_;
  std::vector<Peer> peers_;  // Of rank 0: all others; elsewhere: rank 0. Touched by the watching thread only.
  Clock::time_point last_turn_;
  Clock::time_point next_beat_;
  Clock::time_point given_up_until_ = Clock::time_point::min();
  Clock::time_point answer_due_ = Clock::time_point::max();  // Rank 0 should have taken up our request by then.
  Descriptor wake_up_;

  std::mutex mutex_;
  std::condition_variable ended_;
  std::optional<Ending> request_;  // Guarded by mutex_.
  std::optional<Ending> ending_;   // Guarded by mutex_.
  bool is_hushed_ = false;         // Guarded by mutex_.
  bool finished_ = false;          // `leave` has returned. Guarded by mutex_.

  std::mutex asking_mutex_;                       // Held while figures_ is asked.
  std::function<std::vector<double>()> figures_;  // Guarded by asking_mutex_.
  mutable std::mutex heard_mutex_;
  std::map<Rank, std::vector<double>> heard_;  // Guarded by heard_mutex_.
  std::jthread thread_;
};

}  // namespace knotwork::cluster
