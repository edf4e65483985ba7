// What Slurm tells a process about its job: srun(1) and sbatch(1), "OUTPUT ENVIRONMENT VARIABLES".
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace knotwork::cluster {

/// std::getenv or a test's stand-in; null: not set.
using EnvironmentVariable = std::function<const char*(const char*)>;

/// The share of a Slurm job that this process sees. What Slurm didn't say is empty.
struct SlurmShare {
  std::string job_id;
  std::string node_name;
  /// Tasks of this step, or of the whole job if srun didn't start this process.
  std::optional<std::uint32_t> tasks;
  /// Tasks on this node.
  std::optional<std::uint32_t> tasks_on_node;
  /// Given with --cpus-per-task.
  std::optional<std::uint32_t> cpus_per_task;
  /// Logical processors of this node that belong to the job (or the step).
  std::optional<std::uint32_t> cpus_on_node;
  /// Bytes that the job may use on this node; empty: no limit was asked for.
  std::optional<std::uint64_t> memory_on_node;
};

/// The counts that Slurm writes as "2(x3),1" (SLURM_TASKS_PER_NODE, ...), by node. Empty if `text` isn't such a list.
std::vector<std::uint32_t> counts_per_node(std::string_view text);

/// Reads the environment; empty outside of a Slurm job. Values that can't be read count as not set.
std::optional<SlurmShare> slurm_share_of(const EnvironmentVariable& variable);

}  // namespace knotwork::cluster
