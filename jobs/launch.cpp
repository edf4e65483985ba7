// Environment variables: Open MPI's FAQ "running", the PMI-1 convention of MPICH, srun(1) "OUTPUT ENVIRONMENT
// VARIABLES".
#include "jobs/launch.h"

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <initializer_list>
#include <sched.h>
#include <string_view>
#include <thread>
#include <unistd.h>

namespace knotwork::jobs {
namespace {

std::uint32_t first_number(std::initializer_list<const char*> names, std::uint32_t otherwise) {
  for (const char* name : names) {
    const char* text = std::getenv(name);
    if (text == nullptr) continue;
    const std::string_view view(text);
    std::uint32_t value = 0;
    const auto result = std::from_chars(view.data(), view.data() + view.size(), value);
    if (result.ec == std::errc{}) return value;
  }
  return otherwise;
}

std::uint32_t allowed_cores() {
  cpu_set_t cores;
  if (sched_getaffinity(0, sizeof cores, &cores) == 0)
    return static_cast<std::uint32_t>(std::max(1, CPU_COUNT(&cores)));
  return std::max(1U, std::thread::hardware_concurrency());
}

}  // namespace

Launch read_launch() {
  Launch launch;
  launch.size = std::max(1U, first_number({"OMPI_COMM_WORLD_SIZE", "PMI_SIZE", "SLURM_STEP_NUM_TASKS"}, 1));
  if (launch.size == 1) return launch;
  launch.rank = first_number({"OMPI_COMM_WORLD_RANK", "PMIX_RANK", "PMI_RANK", "SLURM_PROCID"}, 0);
  launch.local_size =
      std::max(1U, first_number({"OMPI_COMM_WORLD_LOCAL_SIZE", "MPI_LOCALNRANKS", "SLURM_NTASKS_PER_NODE"}, 1));
  return launch;
}

std::uint32_t default_threads(const Launch& launch) {
  const std::uint32_t cores = allowed_cores();
  const auto online = static_cast<std::uint32_t>(std::max(1L, ::sysconf(_SC_NPROCESSORS_ONLN)));
  return cores < online ? cores : std::max(1U, cores / launch.local_size);
}

}  // namespace knotwork::jobs
