// The communicator of a job of one process: nobody to talk to but itself, and no MPI.
#pragma once

#include <deque>
#include <map>
#include <string>
#include <vector>

#include "cluster/communicator.h"

namespace knotwork::cluster {

class SingleProcess final : public Communicator {
 public:
  Rank rank() const override { return 0; }
  Rank size() const override { return 1; }
  void barrier() override {}
  using Communicator::allreduce;
  void allreduce(std::span<double>, Reduction) override {}
  void allreduce(std::span<std::uint64_t>, Reduction) override {}
  using Communicator::broadcast;
  void broadcast(Bytes& bytes, Rank root) override;
  std::vector<std::string> all_gather(std::string_view own) override { return {std::string(own)}; }
  std::vector<Bytes> exchange(std::span<const Bytes> to_each) override;
  /// To itself; kept until received.
  void send(std::span<const std::byte> bytes, Rank to, int tag) override;
  /// Throws ClusterError if nothing was sent: nobody else could send it.
  Bytes receive(Rank from, int tag) override;
  [[noreturn]] void abort(int exit_code, std::string_view message) override;

 private:
  std::map<int, std::deque<Bytes>> mail_;  // By tag.
};

}  // namespace knotwork::cluster
