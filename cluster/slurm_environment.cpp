#include "cluster/slurm_environment.h"

#include <charconv>
#include <initializer_list>

namespace knotwork::cluster {

namespace {

/// More nodes than any cluster has: a damaged variable must not eat the memory.
constexpr std::uint32_t kMostNodes = 1U << 20;
constexpr std::uint64_t kMegabyte = std::uint64_t{1} << 20;

template <typename Number>
std::optional<Number> whole_number(std::string_view text) {
  Number value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

/// The first of `names` that holds a whole number above 0.
template <typename Number>
std::optional<Number> first_count(const EnvironmentVariable& variable, std::initializer_list<const char*> names) {
  for (const char* name : names) {
    const char* text = variable(name);
    if (text == nullptr) continue;
    const std::optional<Number> value = whole_number<Number>(text);
    if (value && *value > 0) return value;
  }
  return std::nullopt;
}

std::string text_of(const EnvironmentVariable& variable, const char* name) {
  const char* text = variable(name);
  return text == nullptr ? std::string() : std::string(text);
}

/// This node's entry of a list by node; a list of one stands for the node itself, whatever its number.
std::optional<std::uint32_t> on_this_node(const EnvironmentVariable& variable,
                                          std::initializer_list<const char*> names) {
  const std::uint32_t node = whole_number<std::uint32_t>(text_of(variable, "SLURM_NODEID")).value_or(0);
  for (const char* name : names) {
    const std::vector<std::uint32_t> counts = counts_per_node(text_of(variable, name));
    if (counts.size() == 1) return counts[0];
    if (node < counts.size()) return counts[node];
  }
  return std::nullopt;
}

}  // namespace

std::vector<std::uint32_t> counts_per_node(std::string_view text) {
  std::vector<std::uint32_t> counts;
  while (!text.empty()) {
    const std::size_t comma = std::min(text.find(','), text.size());
    std::string_view item = text.substr(0, comma);
    text.remove_prefix(std::min(comma + 1, text.size()));
    std::uint32_t repeats = 1;
    if (const std::size_t open = item.find("(x"); open != std::string_view::npos) {
      if (item.back() != ')') return {};
      const auto times = whole_number<std::uint32_t>(item.substr(open + 2, item.size() - open - 3));
      if (!times) return {};
      repeats = *times;
      item = item.substr(0, open);
    }
    const auto count = whole_number<std::uint32_t>(item);
    if (!count || counts.size() + repeats > kMostNodes) return {};
    counts.insert(counts.end(), repeats, *count);
  }
  return counts;
}

std::optional<SlurmShare> slurm_share_of(const EnvironmentVariable& variable) {
  SlurmShare share;
  share.job_id = text_of(variable, "SLURM_JOB_ID");
  if (share.job_id.empty()) return std::nullopt;
  share.node_name = text_of(variable, "SLURMD_NODENAME");
  share.tasks = first_count<std::uint32_t>(variable, {"SLURM_STEP_NUM_TASKS", "SLURM_NTASKS"});
  share.tasks_on_node = on_this_node(variable, {"SLURM_STEP_TASKS_PER_NODE", "SLURM_TASKS_PER_NODE"});
  share.cpus_per_task = first_count<std::uint32_t>(variable, {"SLURM_CPUS_PER_TASK"});
  share.cpus_on_node = first_count<std::uint32_t>(variable, {"SLURM_CPUS_ON_NODE"});
  if (const auto whole = first_count<std::uint64_t>(variable, {"SLURM_MEM_PER_NODE"})) {
    share.memory_on_node = *whole * kMegabyte;
  } else if (const auto each = first_count<std::uint64_t>(variable, {"SLURM_MEM_PER_CPU"});
             each && share.cpus_on_node) {
    share.memory_on_node = *each * *share.cpus_on_node * kMegabyte;
  }
  return share;
}

}  // namespace knotwork::cluster
