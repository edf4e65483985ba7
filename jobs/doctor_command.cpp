// The checks are cluster/diagnosis.h's; here are the table and the verdict.
#include "jobs/doctor_command.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <fstream>
#include <set>
#include <span>
#include <sstream>

#include "jobs/application.h"
#include "jobs/build_info.h"
#include "jobs/console.h"
#include "jobs/figures.h"
#include "jobs/report.h"
#include "jobs/table.h"
#include "partition/checksum.h"
#include "partition/errors.h"

namespace knotwork::jobs {
namespace {

using cluster::Diagnosis;
using cluster::RankFacts;

constexpr double kGigabyte = 1e9;
/// Upper limits of options: far beyond what anyone means.
constexpr double kLongestTimeout = 600;
constexpr double kMostGigabytes = 1e9;

/// The job file as this rank sees it: ranks on hosts without the shared folder, or with an older copy, are found.
/// What rank 0 can't read is bad input.
std::string job_file_mark(const std::string& path, bool is_root) {
  std::ifstream file(path, std::ios::binary);
  std::stringstream bytes;
  if (!file || !(bytes << file.rdbuf())) {
    if (is_root) throw partition::InputError("cannot read the job file " + path);
    return "not readable here";
  }
  const std::string text = bytes.str();
  return partition::checksum_text(partition::plain_checksum(std::as_bytes(std::span(text))));
}

cluster::DiagnosisOptions diagnosis_options(const DoctorOptions& options, const Session& session) {
  cluster::DiagnosisOptions wanted;
  wanted.alike = {{"build", build_info().version + " (" + build_info().commit + ")"}};
  if (!options.job.empty()) {
    wanted.alike.emplace_back("job file " + options.job, job_file_mark(options.job, session.communicator->is_root()));
  }
  wanted.network = options.network;
  wanted.port = static_cast<std::uint16_t>(options.port);
  wanted.folder = options.folder;
  wanted.threads = session.options.threads;
  wanted.timeout = std::chrono::milliseconds(std::llround(options.timeout * 1000));
  wanted.least_memory = static_cast<std::uint64_t>(options.least_memory_gb * kGigabyte);
  wanted.least_disk = static_cast<std::uint64_t>(options.least_disk_gb * kGigabyte);
  wanted.most_clock_skew = options.most_clock_skew;
  return wanted;
}

std::size_t paths_to(const Diagnosis& diagnosis, cluster::Rank rank) {
  const std::size_t others = diagnosis.ranks.size() - 1;
  if (diagnosis.ranks[static_cast<std::size_t>(rank)].port == 0) return 0;
  const auto broken =
      std::ranges::count_if(diagnosis.broken, [&](const cluster::BrokenPath& path) { return path.to == rank; });
  return others - static_cast<std::size_t>(broken);
}

std::string clock_text(const RankFacts& facts) {
  if (facts.rank == 0) return "-";
  const double least = std::max(facts.clock_uncertainty / 2, 1e-5);
  const double skew = std::abs(facts.clock_skew);
  // Below what the round trip allows to see, only a bound is known.
  if (skew <= least) return "< " + human_seconds(least);
  return (facts.clock_skew < 0 ? "-" : "+") + human_seconds(skew);
}

std::vector<std::string> row_of(const Diagnosis& diagnosis, const RankFacts& facts) {
  const std::size_t others = diagnosis.ranks.size() - 1;
  return {std::to_string(facts.rank),
          facts.host,
          facts.resolved.empty() ? "-" : facts.resolved,
          facts.interface.empty() ? "-" : facts.interface,
          facts.port == 0 ? "-" : facts.address + ":" + std::to_string(facts.port),
          facts.alike.empty() ? "-" : facts.alike.front(),
          std::to_string(facts.cores_allowed) + "/" + std::to_string(facts.cores_online),
          std::to_string(facts.threads),
          human_bytes(static_cast<double>(facts.memory)),
          facts.disk ? human_bytes(static_cast<double>(*facts.disk)) : "-",
          clock_text(facts),
          others == 0 ? "-" : std::to_string(paths_to(diagnosis, facts.rank)) + "/" + std::to_string(others)};
}

std::string verdict_of(const Diagnosis& diagnosis) {
  if (!diagnosis.is_healthy())
    return "verdict: not ready, " + std::to_string(diagnosis.problems.size()) +
           (diagnosis.problems.size() == 1 ? " problem" : " problems");
  std::set<std::string> hosts;
  for (const RankFacts& facts : diagnosis.ranks) hosts.insert(facts.host_identity);
  const std::size_t ranks = diagnosis.ranks.size();
  std::string text = "verdict: ready, " + std::to_string(ranks) + (ranks == 1 ? " process" : " processes") + " on " +
                     std::to_string(hosts.size()) + (hosts.size() == 1 ? " host" : " hosts");
  if (ranks == 1) text += "; start it under mpirun or srun to check several";
  return text;
}

void fill_report(const Diagnosis& diagnosis, Report& report) {
  report.set("ready", diagnosis.is_healthy());
  report.set("processes", static_cast<std::uint64_t>(diagnosis.ranks.size()));
  for (const RankFacts& facts : diagnosis.ranks) {
    const std::string at = "ranks/" + std::to_string(facts.rank) + "/";
    report.set(at + "host", facts.host);
    report.set(at + "resolved", facts.resolved);
    report.set(at + "interface", facts.interface);
    report.set(at + "address", facts.address);
    report.set(at + "port", std::uint64_t{facts.port});
    report.set(at + "build", facts.alike.empty() ? std::string() : facts.alike.front());
    report.set(at + "cores_allowed", facts.cores_allowed);
    report.set(at + "cores_online", facts.cores_online);
    report.set(at + "threads", facts.threads);
    report.set(at + "memory_bytes", facts.memory);
    if (facts.disk) report.set(at + "disk_bytes", *facts.disk);
    report.set(at + "clock_skew_seconds", facts.clock_skew);
    report.set(at + "reached_by", static_cast<std::uint64_t>(paths_to(diagnosis, facts.rank)));
  }
  for (std::size_t i = 0; i < diagnosis.problems.size(); ++i)
    report.set("problems/" + std::to_string(i), diagnosis.problems[i]);
  for (std::size_t i = 0; i < diagnosis.warnings.size(); ++i)
    report.set("warnings/" + std::to_string(i), diagnosis.warnings[i]);
}

}  // namespace

std::string diagnosis_text(const Diagnosis& diagnosis) {
  Table table{.header = {"rank", "host", "resolves to", "interface", "listens on", "build", "cores", "threads",
                         "memory free", "disk free", "clock", "reached by"},
              .rows = {},
              .left_columns = 6};
  for (const RankFacts& facts : diagnosis.ranks) table.rows.push_back(row_of(diagnosis, facts));
  std::string text = table_text(table) + "\n";
  for (const std::string& problem : diagnosis.problems) text += "problem: " + problem + "\n";
  for (const std::string& warning : diagnosis.warnings) text += "warning: " + warning + "\n";
  return text + verdict_of(diagnosis) + "\n";
}

void declare(DoctorOptions& options, OptionSet& set) {
  set.positional("job", &options.job, "job file that all ranks must see alike").file().value_name("[JOB.toml]");
  set.group("Network");
  set.add("network", &options.network,
          "interface (eth0), address or network (10.0.0.0/8) between hosts; chosen as a job would unless given");
  set.add("port", &options.port, "first port to listen on, each rank of a host one higher; 0: any")
      .range(0, 65535 - 1024);
  set.add("timeout", &options.timeout, "seconds to wait for an answer").range(0.1, kLongestTimeout);
  set.group("Host");
  set.add("folder", &options.folder, "the folder where results would go").folder();
  set.add("min-memory", &options.least_memory_gb, "GB of memory that must be free for each rank")
      .range(0, kMostGigabytes);
  set.add("min-disk", &options.least_disk_gb, "GB that must be free on the folder's disk").range(0, kMostGigabytes);
  set.add("max-skew", &options.most_clock_skew, "seconds that clocks may differ").range(0, 1e9);
}

void run(const DoctorOptions& options, Session& session) {
  const Diagnosis diagnosis = cluster::diagnose(*session.communicator, diagnosis_options(options, session));
  fill_report(diagnosis, session.report);
  session.console.result(diagnosis_text(diagnosis));
  session.exit_code = diagnosis.is_healthy() ? kExitDone : kExitFailed;
}

CommandEntry doctor_command() {
  return {.text = {.name = "doctor",
                   .arguments = "[JOB.toml]",
                   .summary = "can these hosts run a job? checks build, network, clocks, memory, disk",
                   .details = "Start it as a job would be started. Exit code 0: ready; 1: not, and the problems say "
                              "which rank, host, interface and port.",
                   .examples = {"knotwork doctor", "mpirun -n 4 --hostfile hosts knotwork doctor",
                                "srun --mpi=pmix -N 4 knotwork doctor job.toml",
                                "mpirun -n 2 --hostfile hosts knotwork doctor --network 10.77.0.0/24 --timeout 10"}},
          .heading = "Running",
          .is_distributed = true,
          .make = command_of<DoctorOptions>(declare, run)};
}

}  // namespace knotwork::jobs
