// The batch script of a job: what `sbatch` reads (sbatch(1)), and how mpirun or srun starts the ranks inside it.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace knotwork::cluster {

enum class StepLauncher : std::uint8_t {
  kMpirun,  ///< Open MPI's own, which asks Slurm for the hosts
  kSrun,    ///< srun with a PMI plugin that MPI was built for
};

/// What a batch script asks of Slurm, and what it runs. Empty texts leave the cluster's default.
struct BatchJob {
  std::string name = "knotwork";
  std::uint32_t nodes = 1;
  std::uint32_t tasks_per_node = 1;
  std::uint32_t cpus_per_task = 1;
  /// Memory on each node, as sbatch --mem reads it: "16G".
  std::string memory;
  std::string partition;
  std::string account;
  /// "1:00:00", "2-12:00:00".
  std::string time;
  /// Where the job runs and its log goes; relative paths of `arguments` begin there.
  std::string folder;
  StepLauncher launcher = StepLauncher::kMpirun;
  /// srun --mpi=
  std::string pmi = "pmix";
  /// What starts the program on a node, in shell syntax: "/opt/knotwork", "apptainer exec k.sif knotwork".
  std::string program = "knotwork";
  /// The program's arguments; quoted here.
  std::vector<std::string> arguments;
  /// Where the job keeps snapshots; empty: it keeps none. With snapshots the script asks for SIGUSR1 before the time
  /// limit, hands it on, and puts the job back into the queue when it was stopped with a snapshot; a further start goes
  /// on from the newest. `resume_arguments` are added to the program's then.
  std::string snapshot_folder;
  std::vector<std::string> resume_arguments;
  /// Seconds before the time limit.
  std::uint32_t warning_seconds = 300;
  /// What the program ends with when it was stopped with a snapshot.
  int stopped_exit_code = 75;
};

/// Where the job's output goes, relative to the folder: NAME-JOBID.log.
std::string log_name(std::string_view job_name, std::string_view job_id);

/// The script: the same text for the same job. Its exit code is the launcher's, which is that of the rank that failed.
/// Throws ClusterError if a text holds a line break, which would end its line of the script.
std::string batch_script(const BatchJob& job);

/// `text` as one word of a POSIX shell; left as it is where nothing needs quotes.
std::string shell_word(std::string_view text);

}  // namespace knotwork::cluster
