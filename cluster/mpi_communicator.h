// The communicator of a job that mpirun or srun started (MPI 3.1).
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "cluster/communicator.h"
#include "cluster/single_process.h"

namespace knotwork::cluster {

/// Initialises MPI and finalises it at the end: one in the life of a process. MPI's errors become ClusterErrors.
class MpiCommunicator final : public Communicator {
 public:
  /// `piece_bytes`: see ConnectOptions. Throws ClusterError.
  explicit MpiCommunicator(std::size_t piece_bytes);
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

 private:
  struct Handle;  // Keeps <mpi.h> out of the headers.
  std::vector<std::uint64_t> exchange_sizes(std::span<const Bytes> to_each);

  std::unique_ptr<Handle> handle_;
  SingleProcess to_itself_;  // MPI_Send to oneself may block for ever.
  Rank rank_ = 0;
  Rank size_ = 1;
  std::size_t piece_bytes_;
  int exceptions_at_start_;
};

}  // namespace knotwork::cluster
