// `submit` with a stand-in for sbatch, and `doctor` alone. Real Slurm and real hosts: tests/integration.
#include "jobs/submit_command.h"

#include <cstdlib>

#include "jobs/child_process.h"
#include "partition/errors.h"
#include "tests/unit/jobs/command_fixture.h"

namespace knotwork::jobs {
namespace {

namespace fs = std::filesystem;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

/// PATH is one folder of the test's own, with the shell that the stand-in needs.
class Submit : public Commands {
 protected:
  Submit() : path_(std::getenv("PATH")) {
    fs::create_directories(in("bin"));
    std::ofstream(in("job.toml"))
        << "command = \"embed\"\n[graph]\ngraph = \"graph.tsv\"\n[output]\noutput = \"x.npy\"\n";
    setenv("PATH", in("bin").c_str(), 1);
  }
  ~Submit() override { setenv("PATH", path_.c_str(), 1); }

  void make_sbatch(const std::string& body) const {
    std::ofstream(in("bin/sbatch")) << "#!/bin/sh\n" << body;
    fs::permissions(in("bin/sbatch"), fs::perms::owner_all);
  }

  std::string script() const {
    std::ifstream file(in("job.sbatch"));
    return {std::istreambuf_iterator<char>(file), {}};
  }

  std::string path_;
};

TEST_F(Submit, HandsTheScriptToSbatch) {
  make_sbatch("echo \"$@\" > " + in("words") + "\necho '4711;laptop'\n");
  const Outcome outcome = knotwork({"submit", in("job.toml"), "--nodes", "4", "--cpus-per-task", "8"});
  EXPECT_EQ(outcome.code, kExitDone) << outcome.errors;
  EXPECT_EQ(outcome.out, "4711\n");
  EXPECT_THAT(outcome.errors, AllOf(HasSubstr("submitted as job 4711"), HasSubstr("job-4711.log")));
  std::ifstream words(in("words"));
  std::string line;
  std::getline(words, line);
  EXPECT_EQ(line, "--parsable " + in("job.sbatch"));
  EXPECT_THAT(script(), AllOf(HasSubstr("#SBATCH --nodes=4\n"), HasSubstr("#SBATCH --cpus-per-task=8\n"),
                              HasSubstr("#SBATCH --job-name=job\n"), HasSubstr(" run " + in("job.toml"))));
  EXPECT_EQ(leftovers(), std::vector<std::string>{});
}

TEST_F(Submit, AJobWithSnapshotsIsQueuedAgain) {
  std::ofstream(in("job.toml"), std::ios::app) << "[snapshots]\nsnapshot_dir = \"snaps\"\n";
  make_sbatch("echo 12\n");
  const auto submit = [&](std::vector<std::string> more) {
    more.insert(more.begin(), {"submit", in("job.toml"), "--nodes", "2"});
    return knotwork(more);
  };
  EXPECT_EQ(submit({"--time", "1:00:00"}).code, kExitDone);
  EXPECT_THAT(script(), AllOf(HasSubstr("#SBATCH --signal=B:USR1@300\n"), HasSubstr("resume=(--set resume=snaps)")));
  EXPECT_EQ(submit({"--time", "10:00", "--warning", "1m", "--set", "train.dim=8"}).code, kExitDone);
  EXPECT_THAT(script(), AllOf(HasSubstr("#SBATCH --signal=B:USR1@60\n"), HasSubstr("resume=(resume=snaps)"),
                              HasSubstr("--set train.dim=8 \"${resume[@]}\" &")));
  for (const char* time : {"9", "9:59", "0:09:59", "0-0:9"}) {
    const Outcome outcome = submit({"--time", time});
    EXPECT_EQ(outcome.code, kExitUsage) << time;
    EXPECT_THAT(outcome.errors, HasSubstr("leaves too little before the --warning of 5m"));
  }
  for (const char* time : {"10", "10:00", "0:10:00", "0-1", "1-0", "UNLIMITED"}) {
    EXPECT_EQ(submit({"--time", time}).code, kExitDone) << time;
  }
  EXPECT_THAT(submit({"--warning", "soon"}).errors, HasSubstr("--warning must be a time"));
}

TEST_F(Submit, TheJobsExitCodeComesThrough) {
  make_sbatch("[ \"$2\" = --wait ] || exit 9\necho 12\nexit 3\n");
  const Outcome outcome = knotwork({"submit", in("job.toml"), "--nodes", "2", "--wait"});
  EXPECT_EQ(outcome.code, 3);
  EXPECT_EQ(outcome.out, "12\n");
  EXPECT_THAT(outcome.errors, HasSubstr("job 12 ended with exit code 3; see job-12.log"));
}

TEST_F(Submit, SbatchsOwnRefusalComesThrough) {
  make_sbatch("exit 7\n");
  const Outcome outcome = knotwork({"submit", in("job.toml"), "--nodes", "2"});
  EXPECT_EQ(outcome.code, 7);
  EXPECT_EQ(outcome.out, "");
  EXPECT_THAT(outcome.errors, HasSubstr("sbatch refused"));
  make_sbatch("exit 0\n");
  EXPECT_EQ(knotwork({"submit", in("job.toml"), "--nodes", "2"}).code, kExitFailed) << "no job id";
}

TEST_F(Submit, WithoutSbatchTheMessageSaysSo) {
  const Outcome outcome = knotwork({"submit", in("job.toml"), "--nodes", "2", "-q"});
  EXPECT_EQ(outcome.code, kExitFailed);
  EXPECT_THAT(outcome.errors, HasSubstr("cannot run sbatch: there is no such program in PATH"));
}

TEST_F(Submit, ADryRunOnlyPrints) {
  const Outcome outcome = knotwork({"submit", in("job.toml"), "--nodes", "3", "--dry-run", "--launcher", "srun",
                                    "--program", "apptainer exec k.sif knotwork", "--set", "train.epochs=2", "dim=8"});
  EXPECT_EQ(outcome.code, kExitDone) << outcome.errors;
  EXPECT_THAT(outcome.out, AllOf(HasSubstr("srun --mpi=pmix"), HasSubstr("apptainer exec k.sif knotwork run"),
                                 HasSubstr("--set train.epochs=2 dim=8\n")));
  EXPECT_FALSE(fs::exists(in("job.sbatch")));
  EXPECT_EQ(knotwork({"submit", in("job.toml"), "--nodes", "3", "--dry-run"}).out,
            knotwork({"submit", in("job.toml"), "--nodes", "3", "--dry-run"}).out);
}

TEST_F(Submit, BadJobsAreRefusedBeforeAnythingIsWritten) {
  make_sbatch("echo 1\n");
  const auto submit = [&](std::vector<std::string> more) {
    std::vector<std::string> words = {"submit", in("job.toml"), "-q"};
    words.insert(words.end(), more.begin(), more.end());
    return complaint(words);
  };
  EXPECT_THAT(submit({}), HasSubstr("missing --nodes"));
  EXPECT_THAT(submit({"--nodes", "0"}), HasSubstr("--nodes must be between 1 and 65536, found 0"));
  EXPECT_THAT(submit({"--nodes", "2", "--ntasks-per-node", "0"}), HasSubstr("--ntasks-per-node must be"));
  EXPECT_THAT(submit({"--nodes", "2", "--time", "soon"}), HasSubstr("--time must be a time such as 1:00:00"));
  EXPECT_THAT(submit({"--nodes", "2", "--mem", "lots"}), HasSubstr("--mem must be a size such as 16G"));
  EXPECT_THAT(submit({"--nodes", "2", "--partition", "a b"}), HasSubstr("--partition must be"));
  EXPECT_THAT(submit({"--nodes", "2", "--set", "train.dimm=2"}), HasSubstr("did you mean dim?"));
  EXPECT_THAT(submit({"--nodes", "2", "--launcher", "ssh"}), HasSubstr("mpirun, srun"));
  EXPECT_THAT(complaint({"submit", in("absent.toml"), "--nodes", "2"}), HasSubstr("cannot read the job file"));
  std::ofstream(in("job.toml"), std::ios::app) << "dimm = 3\n";
  EXPECT_THAT(submit({"--nodes", "2"}),
              AllOf(HasSubstr("job.toml:6: unknown key 'dimm'"), HasSubstr("did you mean dim?")));
  std::ofstream(in("job.toml")) << "command = \"split\"\ngraph = \"g.tsv\"\noutput = \"s\"\n";
  EXPECT_THAT(submit({"--nodes", "2"}), HasSubstr("'split' runs on one process"));
  std::ofstream(in("job.toml")) << "command = \"submit\"\njob = \"job.toml\"\nnodes = 1\n";
  EXPECT_THAT(submit({"--nodes", "2"}), HasSubstr("other than run and submit"));
  std::ofstream(in("job.toml")) << "command = [\n";
  EXPECT_THAT(submit({"--nodes", "2"}), HasSubstr("job.toml:"));
  EXPECT_FALSE(fs::exists(in("job.sbatch")));
}

TEST_F(Submit, TimesAsSlurmReadsThem) {
  for (const char* time : {"90", "1:00:00", "10:30", "2-12", "2-12:30", "2-12:30:00", "UNLIMITED"})
    EXPECT_EQ(knotwork({"submit", in("job.toml"), "--nodes", "1", "--dry-run", "--time", time}).code, kExitDone)
        << time;
  for (const char* time : {"1h", "1:99", "1:2:3:4", "-5", "1:00:00 "})
    EXPECT_EQ(knotwork({"submit", in("job.toml"), "--nodes", "1", "--dry-run", "--time", time}).code, kExitUsage)
        << time;
}

TEST(ChildProcess, LinesAndExitCodesComeBack) {
  std::vector<std::string> lines;
  const auto collect = [&](const std::string& line) { lines.push_back(line); };
  EXPECT_EQ(run_program({"sh", "-c", "echo one; printf two; exit 5"}, collect), 5);
  EXPECT_EQ(lines, (std::vector<std::string>{"one", "two"}));
  EXPECT_EQ(run_program({"sh", "-c", "kill -TERM $$"}, collect), 128 + SIGTERM);
  EXPECT_THROW(run_program({"/no/such/program"}, collect), partition::SystemError);
}

TEST_F(Commands, DoctorAloneIsReady) {
  const Outcome outcome = knotwork({"doctor", "--folder", in("")});
  EXPECT_EQ(outcome.code, kExitDone) << outcome.out;
  EXPECT_THAT(outcome.out, AllOf(HasSubstr("listens on"), HasSubstr("127.0.0.1:"),
                                 HasSubstr("verdict: ready, 1 process on 1 host; start it under mpirun or srun")));
  const auto found = figures({"doctor", "--folder", in("")});
  EXPECT_EQ(found["ready"], true);
  EXPECT_EQ(found["processes"], 1);
  EXPECT_EQ(found["ranks"][0]["address"], "127.0.0.1");
}

TEST_F(Commands, DoctorSaysWhatIsMissing) {
  const Outcome outcome = knotwork({"doctor", "--folder", in("absent"), "--min-memory", "1000000000"});
  EXPECT_EQ(outcome.code, kExitFailed);
  EXPECT_THAT(outcome.out, AllOf(HasSubstr("problem: rank 0"), HasSubstr("of memory are available"),
                                 HasSubstr("no folder " + in("absent")), HasSubstr("verdict: not ready, 2 problems")));
  EXPECT_THAT(complaint({"doctor", in("absent.toml")}), HasSubstr("cannot read the job file"));
  EXPECT_THAT(complaint({"doctor", "--timeout", "0"}), HasSubstr("--timeout must be between"));
  EXPECT_THAT(complaint({"doctor", "--port", "70000"}), HasSubstr("--port must be between"));
}

}  // namespace
}  // namespace knotwork::jobs
