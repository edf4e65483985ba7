// How this process was started: alone, or as one of many by mpirun or srun. Known from the environment, before MPI.
#pragma once

#include <cstdint>

namespace knotwork::jobs {

struct Launch {
  std::uint32_t rank = 0;
  std::uint32_t size = 1;
  /// Ranks on this host.
  std::uint32_t local_size = 1;
};

/// Reads what Open MPI, MPICH (PMI) and Slurm set; one rank if nothing is set.
Launch read_launch();

/// Threads for this process: the cores that it may use (cluster/host_resources.h: binding, control groups, Slurm's
/// --cpus-per-task), shared among the host's ranks unless the launcher has given it cores of its own. At least 1.
std::uint32_t default_threads(const Launch& launch);

}  // namespace knotwork::jobs
