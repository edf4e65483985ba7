// Whether every host has the memory that its ranks are about to take: found out at the start, with a message, rather
// than by the kernel or Slurm, which end a job without one.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "cluster/communicator.h"

namespace knotwork::cluster {

/// A rank's host, what the rank is about to take, and what the host may give. Bytes.
struct MemoryNeed {
  std::string host;
  /// Equal for ranks that share a host's memory.
  std::string host_identity;
  std::uint64_t needed = 0;
  /// 0: not known.
  std::uint64_t available = 0;
};

/// A line for each host whose ranks need more than it may give, in the order of ranks; empty if there is none.
std::vector<std::string> short_hosts(const std::vector<MemoryNeed>& ranks);

/// Collective: every rank says how many bytes it is about to take. Throws ClusterError on all ranks, with the same
/// text, if the ranks of a host together need more than its memory, control groups and Slurm job leave.
void require_memory(Communicator& communicator, std::uint64_t needed);

/// Bytes of memory that this process holds now.
std::uint64_t resident_bytes();

}  // namespace knotwork::cluster
