// What all communicators share, and the choice between them.
#include "cluster/communicator.h"

#include <cstdlib>
#include <cstring>
#include <exception>

#include "cluster/mpi_communicator.h"
#include "cluster/single_process.h"

namespace knotwork::cluster {

std::string Communicator::broadcast(std::string_view text, Rank root) {
  Bytes bytes(text.size());
  if (!text.empty()) std::memcpy(bytes.data(), text.data(), text.size());
  broadcast(bytes, root);
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

Launch launch_of(const std::function<const char*(const char*)>& variable) {
  // Open MPI's mpirun sets the first two; Slurm's PMIx plugin and other launchers the second; MPICH's Hydra, Intel MPI
  // and Slurm's PMI-2 the last two.
  const auto number = [&](const char* name) { return variable(name) == nullptr ? 0 : std::atoi(variable(name)); };
  if (variable("OMPI_COMM_WORLD_SIZE") != nullptr) return {true, "mpirun", number("OMPI_COMM_WORLD_RANK")};
  const bool in_slurm_step = variable("SLURM_STEP_NUM_TASKS") != nullptr;
  for (const char* name : {"PMIX_RANK", "PMI_RANK", "PMI_FD"}) {
    if (variable(name) == nullptr) continue;
    const Rank rank = number(variable("PMIX_RANK") != nullptr ? "PMIX_RANK" : "PMI_RANK");
    return {true, in_slurm_step ? "srun" : "a PMI launcher", rank};
  }
  if (in_slurm_step && std::atoi(variable("SLURM_STEP_NUM_TASKS")) > 1) {
    throw ClusterError("srun started " + std::string(variable("SLURM_STEP_NUM_TASKS")) +
                       " tasks without MPI, so that they can't find each other: use srun --mpi=pmix or mpirun");
  }
  return {};
}

std::unique_ptr<Communicator> connect(const ConnectOptions& options) {
  const Launch launch = launch_of([](const char* name) { return std::getenv(name); });
  if (launch.needs_mpi) return std::make_unique<MpiCommunicator>(launch, options);
  return std::make_unique<SingleProcess>();
}

int run_or_abort(Communicator& communicator, const std::function<int()>& body,
                 const std::function<int(const std::exception&)>& exit_code_of) {
  if (communicator.size() == 1) return body();
  try {
    return body();
  } catch (const std::exception& problem) {
    communicator.abort(exit_code_of(problem), problem.what());
    std::terminate();  // Never: abort() ends the process.
  }
}

}  // namespace knotwork::cluster
