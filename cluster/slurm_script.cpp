#include "cluster/slurm_script.h"

#include <algorithm>
#include <span>

#include "cluster/communicator.h"

namespace knotwork::cluster {

namespace {

bool is_plain(char letter) {
  const bool alphanumeric =
      (letter >= 'a' && letter <= 'z') || (letter >= 'A' && letter <= 'Z') || (letter >= '0' && letter <= '9');
  return alphanumeric || std::string_view("-_./:,=+@%").find(letter) != std::string_view::npos;
}

/// Alone on its line, so that a text that can't be there is found.
void check_line(std::string_view what, std::string_view text) {
  if (text.find_first_of("\n\r") != std::string_view::npos) {
    throw ClusterError(std::string(what) + " holds a line break, which a batch script can't carry");
  }
}

/// "#SBATCH --name=value". sbatch takes quotes and backslashes as a shell does.
std::string directive(const char* name, std::string_view value) {
  if (value.empty()) return {};
  check_line(name, value);
  return std::string("#SBATCH --") + name + "=" + shell_word(value) + "\n";
}

std::string step_of(const BatchJob& job) {
  if (job.launcher == StepLauncher::kSrun) {
    // Since Slurm 22.05 srun no longer takes --cpus-per-task from the job. One dead rank ends the others.
    return "srun --mpi=" + shell_word(job.pmi) + " --cpus-per-task=\"$SLURM_CPUS_PER_TASK\" --kill-on-bad-exit=1";
  }
  // Open MPI would bind each rank to one core, whatever its threads. Slurm has chosen the cores already.
  return "mpirun -n \"$SLURM_NTASKS\" --bind-to none -x SLURM_CPUS_PER_TASK";
}

std::string words_of(std::span<const std::string> arguments) {
  std::string text;
  for (const std::string& argument : arguments) {
    check_line("an argument", argument);
    text += (text.empty() ? "" : " ") + shell_word(argument);
  }
  return text;
}

/// Runs `command` in the background, so that the shell is there for Slurm's warning, and queues the job again.
std::string resumable(const BatchJob& job, const std::string& command) {
  check_line("the folder of snapshots", job.snapshot_folder);
  const std::string code = std::to_string(job.stopped_exit_code);
  return "resume=()\nfor manifest in " + shell_word(job.snapshot_folder) +
         "/snapshot-*/manifest.json; do\n  if [ -e \"$manifest\" ]; then resume=(" + words_of(job.resume_arguments) +
         "); fi\ndone\n" + command +
         " \"${resume[@]}\" &\nstep=$!\n"
         "# Slurm warns this script alone. The launcher hands the signal on to the ranks, which write a snapshot and "
         "end.\n"
         "trap 'warned=1; kill -USR1 \"$step\" 2> /dev/null' USR1 TERM\n"
         "warned=1\nwhile [ \"$warned\" = 1 ]; do warned=0; wait \"$step\"; code=$?; done\n"
         "trap '' USR1 TERM\n"
         "echo \"knotwork: job $SLURM_JOB_ID ended with exit code $code\"\n"
         "if [ \"$code\" = " +
         code +
         " ]; then\n  echo \"knotwork: stopped with a snapshot, back into the queue\"\n"
         "  scontrol requeue \"$SLURM_JOB_ID\" || echo \"knotwork: no requeue on this cluster; submit this script "
         "again\"\n"
         "fi\nexit \"$code\"\n";
}

}  // namespace

std::string shell_word(std::string_view text) {
  if (!text.empty() && std::all_of(text.begin(), text.end(), is_plain)) return std::string(text);
  std::string quoted = "'";
  for (const char letter : text) {
    if (letter == '\'') {
      quoted += "'\\''";
    } else {
      quoted += letter;
    }
  }
  return quoted + "'";
}

std::string log_name(std::string_view job_name, std::string_view job_id) {
  return std::string(job_name) + "-" + std::string(job_id) + ".log";
}

std::string batch_script(const BatchJob& job) {
  std::string text = "#!/bin/bash\n# Written by 'knotwork submit'. Submit it again with: sbatch THIS_FILE\n";
  text += directive("job-name", job.name);
  text += directive("nodes", std::to_string(job.nodes));
  text += directive("ntasks-per-node", std::to_string(job.tasks_per_node));
  text += directive("cpus-per-task", std::to_string(job.cpus_per_task));
  text += directive("mem", job.memory);
  text += directive("partition", job.partition);
  text += directive("account", job.account);
  text += directive("time", job.time);
  text += directive("chdir", job.folder);
  text += directive("output", log_name("%x", "%j"));  // standard error goes there, too
  if (!job.snapshot_folder.empty()) {
    text += directive("open-mode", "append");
    text += directive("signal", "B:USR1@" + std::to_string(job.warning_seconds));
    text += "#SBATCH --requeue\n";
  }
  text += "\nset -u\n";
  text +=
      "echo \"knotwork: job $SLURM_JOB_ID, $SLURM_NTASKS ranks with $SLURM_CPUS_PER_TASK threads each on "
      "$SLURM_JOB_NODELIST\"\n";
  check_line("program", job.program);
  const std::string command = step_of(job) + " " + job.program + " " + words_of(job.arguments);
  if (!job.snapshot_folder.empty()) return text + resumable(job, command);
  text += command + "\ncode=$?\n";
  text += "echo \"knotwork: job $SLURM_JOB_ID ended with exit code $code\"\nexit \"$code\"\n";
  return text;
}

}  // namespace knotwork::cluster
