#include "cluster/single_process.h"

#include <cstdio>
#include <cstdlib>
#include <utility>

namespace knotwork::cluster {

namespace {

void require_rank_0(Rank rank) {
  if (rank != 0) throw ClusterError("rank " + std::to_string(rank) + " of a job of one process");
}

}  // namespace

void SingleProcess::broadcast(Bytes& /*bytes*/, Rank root) {
  require_rank_0(root);
}

std::vector<Bytes> SingleProcess::exchange(std::span<const Bytes> to_each) {
  if (to_each.size() != 1) throw ClusterError("exchange needs one buffer for each rank");
  return {to_each[0]};
}

void SingleProcess::send(std::span<const std::byte> bytes, Rank to, int tag) {
  require_rank_0(to);
  mail_[tag].emplace_back(bytes.begin(), bytes.end());
}

Bytes SingleProcess::receive(Rank from, int tag) {
  require_rank_0(from);
  auto& waiting = mail_[tag];
  if (waiting.empty()) throw ClusterError("a process that is alone waits for a message that nobody can send");
  Bytes bytes = std::move(waiting.front());
  waiting.pop_front();
  return bytes;
}

void SingleProcess::abort(int exit_code, std::string_view message) {
  std::fprintf(stderr, "knotwork: %.*s\n", static_cast<int>(message.size()), message.data());
  std::_Exit(exit_code);
}

}  // namespace knotwork::cluster
