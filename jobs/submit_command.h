// `knotwork submit JOB.toml`: a job file as a Slurm job.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "cluster/slurm_script.h"
#include "jobs/command.h"

namespace knotwork::jobs {

struct SubmitOptions {
  /// The job file.
  std::string job;
  /// KEY=VALUE laid over the file's keys, as for `run`.
  std::vector<std::string> set;
  std::uint32_t nodes = 1;
  std::uint32_t tasks_per_node = 1;
  std::uint32_t cpus_per_task = 1;
  /// Memory of each node, "16G"; empty: the cluster's default.
  std::string memory;
  std::string partition;
  std::string account;
  /// "1:00:00"; empty: the partition's limit.
  std::string time;
  /// Of a job with snapshots: how long before the limit Slurm warns it, as parse_duration reads it.
  std::string warning = "5m";
  /// "mpirun" or "srun".
  std::string launcher = "mpirun";
  /// srun --mpi=
  std::string pmi = "pmix";
  /// What starts Knotwork on the nodes; empty: this very program, by its path.
  std::string program;
  /// Where the script goes; empty: beside the job file, with the ending .sbatch.
  std::string script;
  /// Come back when the job has ended, with its exit code.
  bool wait = false;
  /// Print the script; write and submit nothing.
  bool dry_run = false;
};

/// The batch job that the options ask for: a function of the options, the folder, the program, and the folder of the
/// job's snapshots (empty: it keeps none). Throws partition::InputError for times that don't fit.
cluster::BatchJob batch_job(const SubmitOptions& options, const std::string& folder, const std::string& program,
                            const std::string& snapshots);

void declare(SubmitOptions& options, OptionSet& set);
void run(const SubmitOptions& options, Session& session);
CommandEntry submit_command();

}  // namespace knotwork::jobs
