// What our code costs around METIS, on an R-MAT graph made here: seconds in METIS, seconds around it (preparing,
// checking, mending, measuring; then renumbering), their ratio, and what it would have cost to stream with Fennel.
// Every partition is verified first: each node once, cut and balance counted again arc by arc, the renumbered graph
// compared with the original through original ids.
//
//   bench_partition [SCALE [EDGE_FACTOR [PARTS]]]      default 18 16 8
#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <stdexcept>
#include <string>
#include <vector>

#include "partition/generate.h"
#include "partition/metis_partitioner.h"
#include "partition/partitioner.h"
#include "partition/renumber.h"

namespace {

using namespace knotwork::partition;  // NOLINT: a program, not a header

double seconds_since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

/// Peak resident memory of this process so far, in MiB.
double peak_mib() {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);) {
    if (line.starts_with("VmHWM:")) return std::strtod(line.c_str() + 6, nullptr) / 1024;
  }
  return 0;
}

Graph make_graph(unsigned scale, unsigned edge_factor) {
  const RmatOptions options{.scale = scale, .edge_factor = edge_factor};
  std::vector<Edge> edges(options.edge_count());
#pragma omp parallel for
  for (std::uint64_t i = 0; i < edges.size(); ++i) edges[i] = rmat_edge(options, i);
  BuildReport report;
  return build_graph(EdgeArrays::copy_of(edges), static_cast<OriginalNode>(options.node_count()), false, report);
}

void require(bool holds, const char* what) {
  if (!holds) throw std::runtime_error(std::string("wrong partition: ") + what);
}

/// Counts everything again, plainly and on one thread.
void verify(const Graph& whole, const std::vector<Part>& part_of, Part parts, const PartitionReport& report) {
  require(part_of.size() == whole.row_count(), "not one part a node");
  std::vector<std::uint64_t> sizes(parts, 0);
  std::uint64_t cut = 0;
  for (GlobalNode node = 0; node < whole.row_count(); ++node) {
    ++sizes.at(part_of[node]);
    for (const GlobalNode target : whole.neighbours(node)) cut += node < target && part_of[node] != part_of[target];
  }
  require(cut == report.edge_cut, "the cut differs");
  require(*std::min_element(sizes.begin(), sizes.end()) > 0, "an empty part");
  const double largest = static_cast<double>(*std::max_element(sizes.begin(), sizes.end()));
  require(std::abs(largest * parts / whole.row_count() - report.node_balance) < 1e-9, "the balance differs");
}

/// Every list, through original ids and in order, is that of the graph before renumbering.
void verify_renumbered(const Graph& whole, const Graph& cut) {
  std::vector<GlobalNode> before(whole.row_count());
  for (GlobalNode node = 0; node < whole.row_count(); ++node) before[whole.original(node)] = node;
  for (GlobalNode node = 0; node < cut.row_count(); ++node) {
    const auto list = cut.neighbours(node);
    const auto expected = whole.neighbours(before[cut.original(node)]);
    const bool same = std::equal(list.begin(), list.end(), expected.begin(), expected.end(),
                                 [&](GlobalNode a, GlobalNode b) { return cut.original(a) == whole.original(b); });
    require(same, "a list changed in renumbering");
  }
}

int run(unsigned scale, unsigned edge_factor, Part parts) {
  const Graph whole = make_graph(scale, edge_factor);
  std::printf("R-MAT scale %u: %u nodes, %.1f M edges, %u parts\n", scale, whole.row_count(),
              static_cast<double>(whole.summary().edge_count()) / 1e6, parts);
  std::printf("%-8s %12s %12s %12s %8s %8s %9s %9s\n", "method", "itself s", "around s", "renumber s", "ratio", "cut",
              "nodes max", "arcs max");
  const double before_mib = peak_mib();
  for (const PartitionMethod method :
       {PartitionMethod::kMetis, PartitionMethod::kFennel, PartitionMethod::kHash, PartitionMethod::kRange}) {
    PartitionReport report;
    const std::vector<Part> part_of = assign_parts(whole, {.parts = parts, .method = method}, report);
    const double metis_mib = method == PartitionMethod::kMetis ? peak_mib() - before_mib : 0;
    const auto start = std::chrono::steady_clock::now();
    const Graph cut = renumber_by_parts(whole, part_of, parts);
    const double renumber_seconds = seconds_since(start);
    verify(whole, part_of, parts, report);
    verify_renumbered(whole, cut);
    const std::string name(partition_method_name(report.method_used));
    std::printf("%-8s %12.3f %12.3f %12.3f %8.3f %7.1f%% %9.3f %9.3f  %s\n", name.c_str(), report.partitioner_seconds,
                report.around_seconds, renumber_seconds,
                (report.around_seconds + renumber_seconds) / report.partitioner_seconds, 100 * report.cut_fraction,
                report.node_balance, report.arc_balance, report.notice.c_str());
    if (method == PartitionMethod::kMetis) {
      const std::uint64_t estimate = metis_memory_estimate(whole.row_count(), whole.summary().arc_count);
      std::printf("         METIS' peak memory beside the graph: %.0f MiB (estimate for the limit: %llu MiB)\n",
                  metis_mib, static_cast<unsigned long long>(estimate >> 20));
    }
  }
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  const auto number = [&](int index, unsigned otherwise) {
    return argc > index ? static_cast<unsigned>(std::strtoul(argv[index], nullptr, 10)) : otherwise;
  };
  try {
    return run(number(1, 18), number(2, 16), number(3, 8));
  } catch (const std::exception& error) {
    std::fprintf(stderr, "bench_partition: %s\n", error.what());
    return 1;
  }
}
