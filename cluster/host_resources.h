// What this process may use of its host: cores, memory, disk; as the machine, its control groups (containers,
// Kubernetes, Slurm's task/cgroup) and the Slurm job allow. Linux: sched_getaffinity(2), cgroups(7), proc(5).
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>

#include "cluster/slurm_environment.h"

namespace knotwork::cluster {

struct Cores {
  /// Logical processors of the host.
  std::uint32_t online = 1;
  /// Those that this process is bound to.
  std::uint32_t allowed = 1;
  /// Processors' worth of time that its control groups grant, 2.5 for example; empty: no limit.
  std::optional<double> quota;
};

/// `root` is where /proc and /sys lie; another folder in tests.
Cores host_cores(const std::filesystem::path& root = "/");

/// Threads for one of `local_ranks` processes on a host: never more than it is bound to, than its share of the control
/// group's quota and of the Slurm job's processors (--cpus-per-task if given). A process that isn't bound shares the
/// host with the other ranks. At least 1.
std::uint32_t threads_for(const Cores& cores, const std::optional<SlurmShare>& slurm, std::uint32_t local_ranks);

/// Bytes that processes on this host may still take: what is available, and no more than its control groups and the
/// Slurm job leave. 0 if /proc can't be read.
std::uint64_t available_memory(const std::optional<SlurmShare>& slurm, const std::filesystem::path& root = "/");

/// Bytes free for this user in the file system of `folder`; empty if there is no such folder.
std::optional<std::uint64_t> free_disk(const std::filesystem::path& folder);

}  // namespace knotwork::cluster
