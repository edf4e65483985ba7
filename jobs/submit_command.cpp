// Checks the job as `run` would, writes the script (cluster/slurm_script.h), and hands it to sbatch.
#include "jobs/submit_command.h"

#include <charconv>
#include <filesystem>
#include <regex>
#include <sstream>

#include "jobs/application.h"
#include "jobs/child_process.h"
#include "jobs/console.h"
#include "jobs/figures.h"
#include "jobs/output_path.h"
#include "jobs/prepared_command.h"
#include "jobs/report.h"
#include "partition/errors.h"

namespace knotwork::jobs {
namespace {

namespace fs = std::filesystem;
using partition::InputError;
using partition::SystemError;

/// Nodes, tasks and cores beyond this are a slip of the keyboard.
constexpr double kMost = 65536;

/// Texts that go into #SBATCH lines: what Slurm would refuse an hour later is refused now.
void check_form(const char* option, const std::string& value, const char* pattern, const char* expected) {
  if (value.empty() || std::regex_match(value, std::regex(pattern))) return;
  throw InputError(std::string("--") + option + " must be " + expected + ", found '" + value + "'");
}

void check(const SubmitOptions& options) {
  check_form("time", options.time, R"(\d+(:[0-5]?\d){0,2}|\d+-\d+(:[0-5]?\d){0,2}|UNLIMITED|INFINITE)",
             "a time such as 1:00:00 (hours), 90 (minutes) or 2-12:00:00 (days)");
  check_form("mem", options.memory, R"(\d+[KMGT]?)", "a size such as 16G or 4000M");
  check_form("partition", options.partition, R"([\w.,@+-]+)", "a partition's name");
  check_form("account", options.account, R"([\w.,@+-]+)", "an account's name");
  check_form("pmi", options.pmi, R"([\w.-]+)", "a name that 'srun --mpi=list' shows");
}

/// The words behind `knotwork` that run the job on the nodes.
std::vector<std::string> run_words(const SubmitOptions& options) {
  std::vector<std::string> words = {"run", options.job};
  if (options.set.empty()) return words;
  words.emplace_back("--set");
  words.insert(words.end(), options.set.begin(), options.set.end());
  return words;
}

/// Finds what `run` would complain about, here and now rather than when the job's turn has come. Returns the folder of
/// the job's snapshots, if it keeps any.
std::string check_job(const SubmitOptions& options) {
  const std::unique_ptr<PreparedCommand> prepared = prepare_command(run_words(options), Launch{});
  const std::uint64_t ranks = std::uint64_t{options.nodes} * options.tasks_per_node;
  if (ranks > 1 && !prepared->entry->is_distributed)
    throw InputError(options.job + ": '" + prepared->entry->text.name + "' runs on one process, found --nodes " +
                     std::to_string(options.nodes) + " with " + std::to_string(options.tasks_per_node) + " tasks each");
  const Option* folder = prepared->set.find("snapshot-dir");
  return folder == nullptr ? std::string() : option_text(option_value(*folder));
}

/// Seconds of a limit that check() has passed; empty without a limit. sbatch(1): minutes, minutes:seconds,
/// hours:minutes:seconds, days-hours, days-hours:minutes, days-hours:minutes:seconds.
std::optional<double> seconds_of(const std::string& limit) {
  const std::size_t dash = limit.find('-');
  std::istringstream text(dash == std::string::npos ? limit : limit.substr(dash + 1));
  std::vector<double> fields;
  for (std::string field; std::getline(text, field, ':');) {
    double value = 0;
    if (std::from_chars(field.data(), field.data() + field.size(), value).ec != std::errc{}) return std::nullopt;
    fields.push_back(value);
  }
  if (fields.empty()) return std::nullopt;
  double unit = dash == std::string::npos && fields.size() < 3 ? 60 : 3600;
  double seconds = 0;
  for (const double field : fields) {
    seconds += field * unit;
    unit /= 60;
  }
  if (dash != std::string::npos) seconds += 86400 * std::stod(limit.substr(0, dash));
  return seconds;
}

/// A warning that comes as soon as the job starts would stop it before it has done anything, again and again.
std::uint32_t warning_seconds(const SubmitOptions& options) {
  const std::optional<double> warning = parse_duration(options.warning);
  constexpr double kMostOfSlurm = 65535;
  if (!warning || *warning < 1 || *warning > kMostOfSlurm)
    throw InputError("--warning must be a time from 1s to 18h, found '" + options.warning + "'");
  const std::optional<double> limit = seconds_of(options.time);
  if (limit && *limit < 2 * *warning)
    throw InputError("--time " + options.time + " leaves too little before the --warning of " + options.warning +
                     "; at least half of the time must be for training");
  return static_cast<std::uint32_t>(*warning);
}

std::string script_path(const SubmitOptions& options) {
  if (!options.script.empty()) return options.script;
  return fs::path(options.job).replace_extension(".sbatch").string();
}

std::string this_program() {
  std::error_code error;
  const fs::path program = fs::read_symlink("/proc/self/exe", error);
  return error ? std::string("knotwork") : program.string();
}

/// Runs sbatch; the job's id is printed as soon as it is known.
void submit(const SubmitOptions& options, const std::string& script, const std::string& job_name, Session& session) {
  std::vector<std::string> words = {"sbatch", "--parsable"};
  if (options.wait) words.emplace_back("--wait");
  words.push_back(fs::absolute(script).string());
  std::string id;
  const int code = run_program(words, [&](const std::string& line) {
    if (!id.empty() || line.empty()) return;
    id = line.substr(0, line.find(';'));  // "4711;cluster"
    session.report.set("job_id", id);
    session.console.result(id + "\n");
    session.console.step("submitted as job " + id + ", its log is " + cluster::log_name(job_name, id));
  });
  if (id.empty() && code == 0) throw SystemError("sbatch said nothing: no job id");
  session.exit_code = code;
  if (id.empty()) {
    session.console.error("sbatch refused " + script + " with exit code " + std::to_string(code));
  } else if (code != 0) {
    session.console.error("job " + id + " ended with exit code " + std::to_string(code) + "; see " +
                          cluster::log_name(job_name, id));
  } else if (options.wait) {
    session.console.step("job " + id + " is done");
  }
  session.report.set("exit_code", static_cast<std::uint64_t>(code));
}

}  // namespace

cluster::BatchJob batch_job(const SubmitOptions& options, const std::string& folder, const std::string& program,
                            const std::string& snapshots) {
  std::vector<std::string> resume = {"resume=" + snapshots};
  if (options.set.empty()) resume.insert(resume.begin(), "--set");  // Else it is one more of the words behind it.
  return {.name = fs::path(options.job).stem().string(),
          .nodes = options.nodes,
          .tasks_per_node = options.tasks_per_node,
          .cpus_per_task = options.cpus_per_task,
          .memory = options.memory,
          .partition = options.partition,
          .account = options.account,
          .time = options.time,
          .folder = folder,
          .launcher = options.launcher == "srun" ? cluster::StepLauncher::kSrun : cluster::StepLauncher::kMpirun,
          .pmi = options.pmi,
          .program = options.program.empty() ? cluster::shell_word(program) : options.program,
          .arguments = run_words(options),
          .snapshot_folder = snapshots,
          .resume_arguments = std::move(resume),
          .warning_seconds = snapshots.empty() ? 0 : warning_seconds(options),
          .stopped_exit_code = kExitStopped};
}

void declare(SubmitOptions& options, OptionSet& set) {
  set.positional("job", &options.job, "job file (TOML), checked as 'run' would")
      .file()
      .value_name("JOB.toml")
      .required();
  set.add("set", &options.set, "lay values over the file's keys: train.epochs=2").value_name("KEY=VALUE...");
  set.group("Slurm");
  set.add("nodes,N", &options.nodes, "hosts").range(1, kMost).required();
  set.add("ntasks-per-node", &options.tasks_per_node, "ranks on each host").range(1, kMost);
  set.add("cpus-per-task", &options.cpus_per_task, "cores, and threads, of each rank").range(1, kMost);
  set.add("mem", &options.memory, "memory of each host: 16G").value_name("SIZE");
  set.add("partition,p", &options.partition, "partition of the cluster").value_name("NAME");
  set.add("account", &options.account, "account that pays").value_name("NAME");
  set.add("time", &options.time, "limit: 1:00:00 or 2-12:00:00").value_name("TIME");
  set.add("warning", &options.warning, "of a job with snapshots: how long before the limit it is stopped with one")
      .value_name("TIME");
  set.add("launcher", &options.launcher, "what starts the ranks inside the job").choices({"mpirun", "srun"});
  set.add("pmi", &options.pmi, "srun --mpi=NAME").value_name("NAME");
  set.add("program", &options.program,
          "what starts knotwork on the hosts, in shell syntax (this program unless given): \"apptainer exec "
          "knotwork.sif knotwork\"")
      .value_name("COMMAND");
  set.group("Submitting");
  set.add("script", &options.script, "where the script goes; beside the job file unless given").file();
  set.add("wait", &options.wait, "come back when the job has ended, with its exit code");
  set.add("dry-run", &options.dry_run, "print the script; write and submit nothing");
  set.on_resolved([&options] { check(options); });
}

void run(const SubmitOptions& options, Session& session) {
  const std::string snapshots = check_job(options);
  const cluster::BatchJob job = batch_job(options, fs::current_path().string(), this_program(), snapshots);
  const std::string text = cluster::batch_script(job);
  if (options.dry_run) {
    session.console.result(text);
    return;
  }
  const std::string path = script_path(options);
  check_output_file(path);
  write_text_file(path, text);
  session.console.step("wrote " + path);
  session.report.set("script", path);
  submit(options, path, job.name, session);
}

CommandEntry submit_command() {
  return {.text = {.name = "submit",
                   .arguments = "JOB.toml --nodes N",
                   .summary = "run a job file on a Slurm cluster",
                   .details = "Writes a batch script and hands it to sbatch. The job's id goes to standard output.",
                   .examples = {"knotwork submit github.toml --nodes 4 --cpus-per-task 16 --time 1:00:00",
                                "knotwork submit github.toml --nodes 4 --ntasks-per-node 2 --mem 64G --wait",
                                "knotwork submit github.toml --nodes 1 --launcher srun --set train.epochs=2",
                                "knotwork submit github.toml --nodes 4 --dry-run"}},
          .heading = "Running",
          .make = command_of<SubmitOptions>(declare, run)};
}

}  // namespace knotwork::jobs
