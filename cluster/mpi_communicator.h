// The communicator of a job that mpirun or srun started (MPI 3.1).
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "cluster/communicator.h"
#include "cluster/liveness.h"
#include "cluster/roll_call.h"
#include "cluster/single_process.h"

namespace knotwork::cluster {

/// Initialises MPI and finalises it at the end: one in the life of a process. MPI's errors become ClusterErrors.
class MpiCommunicator final : public Communicator {
 public:
  /// Joins MPI, calls the roll, and starts the heartbeats. Ends the process where connect() says so.
  MpiCommunicator(const Launch& launch, const ConnectOptions& options);
  /// Leaves MPI together with the others. When an exception is on its way out, the others may never come: then the
  /// job is aborted instead, so that nothing hangs.
  ~MpiCommunicator() override;

  Rank rank() const override { return rank_; }
  Rank size() const override { return size_; }
  void barrier() override;
  using Communicator::allreduce;
  void allreduce(std::span<double> values, Reduction reduction) override;
  void allreduce(std::span<std::uint64_t> values, Reduction reduction) override;
  using Communicator::broadcast;
  void broadcast(Bytes& bytes, Rank root) override;
  std::vector<std::string> all_gather(std::string_view own) override;
  std::vector<Bytes> exchange(std::span<const Bytes> to_each) override;
  void send(std::span<const std::byte> bytes, Rank to, int tag) override;
  Bytes receive(Rank from, int tag) override;
  [[noreturn]] void abort(int exit_code, std::string_view message) override;
  std::string title(Rank rank) const override { return cluster::title(roll_.at(static_cast<std::size_t>(rank))); }
  std::uint64_t configuration() const override { return configuration_; }
  void before_ending(std::function<void()> clean_up) override;
  void advise(std::string advice) override;
  std::optional<int> interrupted(int signal) override;
  void share_figures(std::function<std::vector<double>()> figures) override;
  std::vector<double> figures_of(Rank rank) const override;

 private:
  struct Handle;  // These keep <mpi.h> out of the headers.
  struct Transfers;
  using Clock = std::chrono::steady_clock;

  void join(const Launch& launch);
  void meet(const ConnectOptions& options);
  void meet_as_root(const RankCard& own, const ConnectOptions& options, const LivenessOptions& liveness);
  void meet_the_root(const RankCard& own, const LivenessOptions& liveness);
  std::vector<RankCard> hear_all(const RankCard& own);
  void tell_all(const std::string& text);
  std::string hear_root(const RankCard& own);
  std::optional<Bytes> take_message(Rank from);
  bool fits_parcel(std::size_t size) const;
  /// Bytes of a buffer of an exchange that travel at a time.
  std::size_t exchange_piece(std::size_t size) const;
  std::vector<Bytes> open_parcels(Transfers& transfers);
  void say(const Ending& ending);
  [[noreturn]] void leave(const Ending& ending);

  std::unique_ptr<Handle> handle_;
  SingleProcess to_itself_;  // MPI_Send to oneself may block for ever.
  Rank rank_ = 0;
  Rank size_ = 1;
  std::size_t piece_bytes_;
  std::chrono::milliseconds timeout_;
  int exceptions_at_start_;
  std::vector<RankCard> roll_;  // By rank.
  std::uint64_t configuration_ = 0;
  std::mutex clean_up_mutex_;
  std::function<void()> clean_up_;      // Guarded by clean_up_mutex_.
  std::string advice_;                  // Guarded by clean_up_mutex_.
  std::unique_ptr<Liveness> liveness_;  // Null if this rank is the only one.
};

}  // namespace knotwork::cluster
