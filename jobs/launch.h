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

/// Threads for this process: its allowed cores, shared among the host's ranks unless the launcher has bound it to its
/// own cores already. At least 1.
std::uint32_t default_threads(const Launch& launch);

}  // namespace knotwork::jobs
