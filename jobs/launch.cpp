// Environment variables: Open MPI's FAQ "running", the PMI-1 convention of MPICH, and Slurm's
// (cluster/slurm_environment.h).
#include "jobs/launch.h"

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <initializer_list>
#include <optional>
#include <string_view>

#include "cluster/host_resources.h"
#include "cluster/slurm_environment.h"

namespace knotwork::jobs {
namespace {

const char* environment(const char* name) {
  return std::getenv(name);
}

std::optional<std::uint32_t> first_number(std::initializer_list<const char*> names) {
  for (const char* name : names) {
    const char* text = environment(name);
    if (text == nullptr) continue;
    const std::string_view view(text);
    std::uint32_t value = 0;
    const auto result = std::from_chars(view.data(), view.data() + view.size(), value);
    if (result.ec == std::errc{}) return value;
  }
  return std::nullopt;
}

}  // namespace

Launch read_launch() {
  Launch launch;
  launch.size = std::max(1U, first_number({"OMPI_COMM_WORLD_SIZE", "PMI_SIZE", "SLURM_STEP_NUM_TASKS"}).value_or(1));
  if (launch.size == 1) return launch;
  launch.rank = first_number({"OMPI_COMM_WORLD_RANK", "PMIX_RANK", "PMI_RANK", "SLURM_PROCID"}).value_or(0);
  std::optional<std::uint32_t> local = first_number({"OMPI_COMM_WORLD_LOCAL_SIZE", "MPI_LOCALNRANKS"});
  if (!local) {
    const auto slurm = cluster::slurm_share_of(environment);
    if (slurm) local = slurm->tasks_on_node;
  }
  launch.local_size = std::max(1U, local.value_or(1));
  return launch;
}

std::uint32_t default_threads(const Launch& launch) {
  return cluster::threads_for(cluster::host_cores(), cluster::slurm_share_of(environment), launch.local_size);
}

}  // namespace knotwork::jobs
