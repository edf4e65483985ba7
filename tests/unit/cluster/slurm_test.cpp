// What Slurm's environment means, and the text of batch scripts. That sbatch takes them is for tests/integration.
#include <map>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "cluster/communicator.h"
#include "cluster/slurm_environment.h"
#include "cluster/slurm_script.h"

namespace knotwork::cluster {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

std::optional<SlurmShare> share_with(const std::map<std::string, std::string>& variables) {
  return slurm_share_of([&](const char* name) -> const char* {
    const auto found = variables.find(name);
    return found == variables.end() ? nullptr : found->second.c_str();
  });
}

TEST(SlurmEnvironment, CountsPerNode) {
  EXPECT_THAT(counts_per_node("2(x3),1"), ElementsAre(2, 2, 2, 1));
  EXPECT_THAT(counts_per_node("16"), ElementsAre(16));
  EXPECT_THAT(counts_per_node("1,2,3"), ElementsAre(1, 2, 3));
  for (const char* bad : {"", "x", "2(x", "2(3)", "2(x3", "2(x9999999999)", "2(x4000000)", "-1", ",", "1,,2"})
    EXPECT_THAT(counts_per_node(bad), IsEmpty()) << bad;
}

TEST(SlurmEnvironment, OutsideOfAJobThereIsNothing) {
  EXPECT_FALSE(share_with({}));
  EXPECT_FALSE(share_with({{"SLURM_CONF", "/etc/slurm.conf"}, {"SLURM_CPUS_PER_TASK", "4"}}));
}

TEST(SlurmEnvironment, AnSrunTaskKnowsItsNodesShare) {
  const auto share = share_with({{"SLURM_JOB_ID", "12"},
                                 {"SLURMD_NODENAME", "n3"},
                                 {"SLURM_NTASKS", "7"},
                                 {"SLURM_STEP_NUM_TASKS", "5"},
                                 {"SLURM_STEP_TASKS_PER_NODE", "2(x2),1"},
                                 {"SLURM_TASKS_PER_NODE", "3(x2),1"},
                                 {"SLURM_NODEID", "2"},
                                 {"SLURM_CPUS_PER_TASK", "8"},
                                 {"SLURM_CPUS_ON_NODE", "16"},
                                 {"SLURM_MEM_PER_NODE", "4000"}});
  ASSERT_TRUE(share);
  EXPECT_EQ(share->job_id, "12");
  EXPECT_EQ(share->node_name, "n3");
  EXPECT_EQ(share->tasks, 5U);
  EXPECT_EQ(share->tasks_on_node, 1U);
  EXPECT_EQ(share->cpus_per_task, 8U);
  EXPECT_EQ(share->cpus_on_node, 16U);
  EXPECT_EQ(share->memory_on_node, 4000ULL << 20);
}

TEST(SlurmEnvironment, MemoryByCpuIsMultiplied) {
  EXPECT_EQ(
      share_with({{"SLURM_JOB_ID", "1"}, {"SLURM_MEM_PER_CPU", "100"}, {"SLURM_CPUS_ON_NODE", "4"}})->memory_on_node,
      400ULL << 20);
  EXPECT_FALSE(share_with({{"SLURM_JOB_ID", "1"}, {"SLURM_MEM_PER_NODE", "0"}})->memory_on_node) << "0 means all";
}

TEST(SlurmEnvironment, DamagedValuesCountAsNotSet) {
  const auto share = share_with({{"SLURM_JOB_ID", "1"},
                                 {"SLURM_CPUS_PER_TASK", "many"},
                                 {"SLURM_NTASKS", "-3"},
                                 {"SLURM_NODEID", "x"},
                                 {"SLURM_TASKS_PER_NODE", "2(x"}});
  ASSERT_TRUE(share);
  EXPECT_FALSE(share->cpus_per_task);
  EXPECT_FALSE(share->tasks);
  EXPECT_FALSE(share->tasks_on_node);
}

BatchJob small_job() {
  return {.name = "github",
          .nodes = 4,
          .tasks_per_node = 2,
          .cpus_per_task = 8,
          .memory = "16G",
          .partition = "long",
          .account = "graphs",
          .time = "1:00:00",
          .folder = "/scratch/my graphs",
          .program = "/opt/knotwork",
          .arguments = {"run", "git hub.toml", "--set", "train.epochs=2"}};
}

TEST(BatchScript, IsThisText) {
  EXPECT_EQ(batch_script(small_job()), R"(#!/bin/bash
# Written by 'knotwork submit'. Submit it again with: sbatch THIS_FILE
#SBATCH --job-name=github
#SBATCH --nodes=4
#SBATCH --ntasks-per-node=2
#SBATCH --cpus-per-task=8
#SBATCH --mem=16G
#SBATCH --partition=long
#SBATCH --account=graphs
#SBATCH --time=1:00:00
#SBATCH --chdir='/scratch/my graphs'
#SBATCH --output=%x-%j.log

set -u
echo "knotwork: job $SLURM_JOB_ID, $SLURM_NTASKS ranks with $SLURM_CPUS_PER_TASK threads each on $SLURM_JOB_NODELIST"
mpirun -n "$SLURM_NTASKS" --bind-to none -x SLURM_CPUS_PER_TASK /opt/knotwork run 'git hub.toml' --set train.epochs=2
code=$?
echo "knotwork: job $SLURM_JOB_ID ended with exit code $code"
exit "$code"
)");
}

TEST(BatchScript, LeavesOutWhatWasNotAskedFor) {
  const std::string text = batch_script({.arguments = {"run", "job.toml"}});
  for (const char* absent : {"--mem", "--partition", "--account", "--time", "--chdir"})
    EXPECT_THAT(text, Not(HasSubstr(absent)));
  EXPECT_THAT(text, HasSubstr("#SBATCH --nodes=1\n"));
}

TEST(BatchScript, AJobWithSnapshotsIsWarnedAndQueuedAgain) {
  BatchJob job = small_job();
  job.snapshot_folder = "my snaps";
  job.resume_arguments = {"resume=my snaps"};
  job.warning_seconds = 90;
  const std::string text = batch_script(job);
  EXPECT_THAT(text, HasSubstr("#SBATCH --open-mode=append\n#SBATCH --signal=B:USR1@90\n#SBATCH --requeue\n"));
  EXPECT_THAT(text, HasSubstr(R"(
resume=()
for manifest in 'my snaps'/snapshot-*/manifest.json; do
  if [ -e "$manifest" ]; then resume=('resume=my snaps'); fi
done
mpirun -n "$SLURM_NTASKS" --bind-to none -x SLURM_CPUS_PER_TASK /opt/knotwork run 'git hub.toml' --set train.epochs=2 "${resume[@]}" &
step=$!
)"));
  EXPECT_THAT(text, HasSubstr(R"(
if [ "$code" = 75 ]; then
  echo "knotwork: stopped with a snapshot, back into the queue"
  scontrol requeue "$SLURM_JOB_ID" )"));
}

TEST(BatchScript, SrunStartsTheRanksToo) {
  BatchJob job = small_job();
  job.launcher = StepLauncher::kSrun;
  EXPECT_THAT(batch_script(job), HasSubstr("\nsrun --mpi=pmix --cpus-per-task=\"$SLURM_CPUS_PER_TASK\" "
                                           "--kill-on-bad-exit=1 /opt/knotwork run 'git hub.toml'"));
}

TEST(BatchScript, ALineBreakIsRefused) {
  for (auto spoil : std::vector<void (*)(BatchJob&)>{[](BatchJob& job) { job.folder = "/a\nrm -rf /"; },
                                                     [](BatchJob& job) { job.arguments.emplace_back("a\nb"); },
                                                     [](BatchJob& job) { job.program = "a\nb"; }}) {
    BatchJob job = small_job();
    spoil(job);
    EXPECT_THROW((void)batch_script(job), ClusterError);
  }
}

TEST(BatchScript, WordsAreQuotedForTheShell) {
  EXPECT_EQ(shell_word("plain-1.0/x_y=2"), "plain-1.0/x_y=2");
  EXPECT_EQ(shell_word(""), "''");
  EXPECT_EQ(shell_word("a b"), "'a b'");
  EXPECT_EQ(shell_word("it's $HOME"), "'it'\\''s $HOME'");
}

}  // namespace
}  // namespace knotwork::cluster
