#include "partition/partitioner.h"

#include <array>
#include <chrono>
#include <stdexcept>
#include <utility>

#include "partition/errors.h"
#include "partition/fennel_partitioner.h"
#include "partition/metis_partitioner.h"
#include "partition/partition_quality.h"
#include "partition/plain_partitioners.h"
#include "partition/symmetric_view.h"

namespace knotwork::partition {

namespace {

constexpr std::array<std::pair<PartitionMethod, std::string_view>, 4> kMethodNames = {{
    {PartitionMethod::kMetis, "metis"},
    {PartitionMethod::kFennel, "fennel"},
    {PartitionMethod::kHash, "hash"},
    {PartitionMethod::kRange, "range"},
}};

double seconds_since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

void check_options(const Graph& whole, const PartitionOptions& options) {
  const std::uint64_t nodes = whole.summary().node_count;
  if (!whole.is_whole()) throw std::invalid_argument("assign_parts needs the whole graph");
  if (options.parts == 0 || options.parts > nodes) {
    throw InputError("the number of parts is " + std::to_string(options.parts) + ", expected 1 to " +
                     std::to_string(nodes) + " (the graph's nodes)");
  }
  if (!(options.imbalance > 0) || options.imbalance > 10) {
    throw InputError("the imbalance is " + std::to_string(options.imbalance) + ", expected above 0 and at most 10");
  }
}

void add_notice(PartitionReport& report, const std::string& text) {
  report.notice += (report.notice.empty() ? "" : "; ") + text;
}

/// The graph as Fennel sees it: symmetric, unless only the directed lists themselves fit into memory.
SymmetricView fennel_view(const Graph& whole, const PartitionOptions& options, PartitionReport& report) {
  if (options.memory_limit_bytes == 0 || symmetric_view_bytes(whole) <= options.memory_limit_bytes) {
    return symmetric_view(whole);
  }
  add_notice(report, "the memory limit leaves no room for reversed arcs: Fennel sees out-neighbours only");
  return {.node_count = whole.row_count(),
          .offsets = whole.arrays().offsets,
          .targets = whole.arrays().targets,
          .weights = whole.arrays().weights,
          .owner = whole.arrays().owner};
}

std::vector<Part> run_fennel(const Graph& whole, const PartitionOptions& options, PartitionReport& report) {
  report.method_used = PartitionMethod::kFennel;
  const SymmetricView view = fennel_view(whole, options, report);
  const auto start = std::chrono::steady_clock::now();
  std::vector<Part> part_of = fennel_partition(view, options);
  report.partitioner_seconds += seconds_since(start);
  return part_of;
}

/// METIS, then whatever its result needs: empty parts filled, the balance that was asked for enforced.
std::vector<Part> run_metis(const Graph& whole, const PartitionOptions& options, PartitionReport& report) {
  const std::uint64_t arcs = whole.summary().arc_count * (whole.summary().directed ? 2 : 1);
  std::string refusal = metis_refusal(whole.summary().node_count, arcs, options.memory_limit_bytes);
  if (refusal.empty()) {
    const SymmetricView view = symmetric_view(whole);
    MetisResult result = metis_partition(view, options);
    report.partitioner_seconds += result.seconds;
    if (result.failure.empty()) {
      const std::uint64_t most_nodes = part_capacity(view.node_count, options);
      const std::uint64_t moved = mend_parts(view, options.parts, most_nodes, result.part_of);
      if (moved > 0) add_notice(report, std::to_string(moved) + " nodes moved to mend METIS' empty or overfull parts");
      return std::move(result.part_of);
    }
    refusal = std::move(result.failure);
  }
  add_notice(report, refusal + "; Fennel took over");
  return run_fennel(whole, options, report);
}

std::vector<Part> run_method(const Graph& whole, const PartitionOptions& options, PartitionReport& report) {
  report.method_used = options.method;
  if (options.parts == 1) return std::vector<Part>(whole.row_count(), 0);
  if (options.method == PartitionMethod::kMetis) return run_metis(whole, options, report);
  if (options.method == PartitionMethod::kFennel) return run_fennel(whole, options, report);
  const auto start = std::chrono::steady_clock::now();
  std::vector<Part> part_of = options.method == PartitionMethod::kHash
                                  ? hash_partition(whole, options.parts, options.seed)
                                  : range_partition(whole, options.parts);
  report.partitioner_seconds += seconds_since(start);
  return part_of;
}

}  // namespace

std::string_view partition_method_name(PartitionMethod method) {
  return kMethodNames[static_cast<std::size_t>(method)].second;
}

std::optional<PartitionMethod> find_partition_method(std::string_view name) {
  for (const auto& [method, method_name] : kMethodNames) {
    if (method_name == name) return method;
  }
  return std::nullopt;
}

std::vector<Part> assign_parts(const Graph& whole, const PartitionOptions& options, PartitionReport& report) {
  check_options(whole, options);
  report = {};
  const auto start = std::chrono::steady_clock::now();
  std::vector<Part> part_of = run_method(whole, options, report);
  const std::string fault = assignment_fault(part_of, whole.summary().node_count, options.parts);
  if (!fault.empty()) throw std::logic_error("partitioner broke its promise: " + fault);
  PartitionQuality quality = measure_partition(whole, part_of, options.parts);
  if (quality.empty_parts > 0) {
    add_notice(report, std::to_string(quality.empty_parts) + " empty parts were given a node each");
    const SymmetricView no_arcs_needed{.node_count = whole.row_count()};
    mend_parts(no_arcs_needed, options.parts, whole.summary().node_count, part_of);
    quality = measure_partition(whole, part_of, options.parts);
  }
  report.edge_cut = quality.edge_cut;
  report.cut_fraction = quality.cut_fraction;
  report.node_balance = quality.node_balance;
  report.arc_balance = quality.arc_balance;
  report.around_seconds = seconds_since(start) - report.partitioner_seconds;
  return part_of;
}

}  // namespace knotwork::partition
