// Control groups nest: every group on the way from the process' own up to the root limits it. Both versions are read,
// /sys/fs/cgroup/PATH/cpu.max and memory.max (version 2) or cpu/PATH/cpu.cfs_quota_us and so on (version 1).
#include "cluster/host_resources.h"

#include <algorithm>
#include <cmath>
#include <fstream>
#include <limits>
#include <map>
#include <sched.h>
#include <sstream>
#include <string>
#include <thread>
#include <unistd.h>
#include <vector>

namespace knotwork::cluster {

namespace {

namespace fs = std::filesystem;

constexpr std::uint64_t kKilobyte = 1024;

std::optional<double> number_in(const fs::path& file) {
  std::ifstream stream(file);
  double value = 0;
  if (!(stream >> value)) return std::nullopt;  // "max" and absent files: no limit
  return value;
}

/// The folders of this process' groups that `controller` ("cpu", "memory") is governed by, innermost first.
std::vector<fs::path> group_folders(const fs::path& root, const std::string& controller) {
  std::vector<fs::path> folders;
  std::ifstream list(root / "proc/self/cgroup");
  for (std::string line; std::getline(list, line);) {  // "0::/user.slice" or "4:cpu,cpuacct:/job_7"
    const std::size_t first = line.find(':');
    const std::size_t second = first == std::string::npos ? first : line.find(':', first + 1);
    if (second == std::string::npos) continue;
    const std::string controllers = "," + line.substr(first + 1, second - first - 1) + ",";
    const bool unified = controllers == ",,";
    if (!unified && controllers.find("," + controller + ",") == std::string::npos) continue;
    const fs::path base = root / "sys/fs/cgroup" / (unified ? "" : controller);
    fs::path group = fs::path(line.substr(second + 1)).relative_path();
    for (;; group = group.parent_path()) {
      folders.push_back(base / group);
      if (group.empty()) break;
    }
  }
  return folders;
}

std::optional<double> cpu_quota(const fs::path& root) {
  std::optional<double> least;
  for (const fs::path& folder : group_folders(root, "cpu")) {
    std::optional<double> quota;
    double period = 0;
    if (std::ifstream both(folder / "cpu.max"); both) {
      std::string first;
      if (both >> first >> period && first != "max") quota = std::strtod(first.c_str(), nullptr);
    } else {
      quota = number_in(folder / "cpu.cfs_quota_us");
      period = number_in(folder / "cpu.cfs_period_us").value_or(0);
    }
    if (!quota || *quota <= 0 || period <= 0) continue;  // version 1 writes -1 for none
    least = std::min(least.value_or(std::numeric_limits<double>::infinity()), *quota / period);
  }
  return least;
}

/// Bytes of a group's usage that the kernel gives back when they are needed: cached files.
double reclaimable(const fs::path& folder) {
  std::ifstream table(folder / "memory.stat");
  std::map<std::string, double> counts;
  std::string name;
  for (double value = 0; table >> name >> value;) counts[name] = value;
  // Version 1 counts a group without its children under the names that version 2 has for all of it.
  const std::string prefix = counts.contains("total_inactive_file") ? "total_" : "";
  return counts[prefix + "inactive_file"] + counts[prefix + "active_file"];
}

/// What the control groups leave, in bytes; the largest number if they set no limit.
double memory_left_by_groups(const fs::path& root) {
  double left = std::numeric_limits<double>::infinity();
  for (const fs::path& folder : group_folders(root, "memory")) {
    for (const auto& [limit_file, usage_file] :
         {std::pair{"memory.max", "memory.current"}, std::pair{"memory.limit_in_bytes", "memory.usage_in_bytes"}}) {
      const std::optional<double> limit = number_in(folder / limit_file);
      if (!limit) continue;
      const double usage = number_in(folder / usage_file).value_or(0) - reclaimable(folder);
      left = std::min(left, std::max(0.0, *limit - std::max(0.0, usage)));
    }
  }
  return left;
}

}  // namespace

Cores host_cores(const fs::path& root) {
  Cores cores;
  cores.online = static_cast<std::uint32_t>(std::max(1L, ::sysconf(_SC_NPROCESSORS_ONLN)));
  cpu_set_t bound;
  // Fails on hosts of more than 1,024 processors; there the number that the library knows must do.
  cores.allowed = sched_getaffinity(0, sizeof bound, &bound) == 0 ? static_cast<std::uint32_t>(CPU_COUNT(&bound))
                                                                  : std::thread::hardware_concurrency();
  cores.allowed = std::max(1U, cores.allowed);
  cores.quota = cpu_quota(root);
  return cores;
}

std::uint32_t threads_for(const Cores& cores, const std::optional<SlurmShare>& slurm, std::uint32_t local_ranks) {
  const std::uint32_t ranks = std::max(1U, local_ranks);
  const bool is_bound = cores.allowed < cores.online;
  std::uint32_t threads = is_bound ? cores.allowed : cores.allowed / ranks;
  if (slurm && slurm->cpus_per_task) {
    threads = std::min(cores.allowed, *slurm->cpus_per_task);
  } else if (slurm && slurm->cpus_on_node) {
    threads = std::min(threads, *slurm->cpus_on_node / ranks);
  }
  // Half a processor is worth no thread of its own; 2.5 of them are worth 3.
  if (cores.quota) threads = std::min(threads, static_cast<std::uint32_t>(std::ceil(*cores.quota / ranks)));
  return std::max(1U, threads);
}

std::uint64_t available_memory(const std::optional<SlurmShare>& slurm, const fs::path& root) {
  std::ifstream table(root / "proc/meminfo");
  std::uint64_t available = 0;
  for (std::string line; std::getline(table, line);) {
    std::istringstream words(line);
    std::string name;
    if (words >> name && name == "MemAvailable:" && words >> available) break;
  }
  available *= kKilobyte;
  if (slurm && slurm->memory_on_node) available = std::min(available, *slurm->memory_on_node);
  const double left = memory_left_by_groups(root);
  return left < static_cast<double>(available) ? static_cast<std::uint64_t>(left) : available;
}

std::optional<std::uint64_t> free_disk(const fs::path& folder) {
  std::error_code error;
  const fs::space_info space = fs::space(folder, error);
  if (error) return std::nullopt;
  return space.available;
}

}  // namespace knotwork::cluster
