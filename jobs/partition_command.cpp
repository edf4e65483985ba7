// Read, cut, renumber, write; METIS' own seconds and ours are told apart.
#include "jobs/partition_command.h"

#include <chrono>
#include <filesystem>

#include "jobs/build_info.h"
#include "jobs/console.h"
#include "jobs/figures.h"
#include "jobs/interruption.h"
#include "jobs/output_path.h"
#include "jobs/report.h"
#include "partition/errors.h"
#include "partition/knot_folder.h"
#include "partition/renumber.h"

namespace knotwork::jobs {
namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

void report_parts(const partition::PartitionReport& cut, double write_seconds, Session& session) {
  Report& report = session.report;
  report.set("method_used", std::string(partition::partition_method_name(cut.method_used)));
  report.set("edge_cut", cut.edge_cut);
  report.set("cut_fraction", cut.cut_fraction);
  report.set("node_balance", cut.node_balance);
  report.set("arc_balance", cut.arc_balance);
  report.set("partitioner_seconds", cut.partitioner_seconds);
  report.set("around_seconds", cut.around_seconds);
  report.set("write_seconds", write_seconds);
}

std::string folder_name(const std::string& path) {
  std::filesystem::path clean = std::filesystem::path(path).lexically_normal();
  if (!clean.has_filename()) clean = clean.parent_path();
  return clean.string();
}

}  // namespace

partition::Graph cut_into_parts(const partition::Graph& whole, const partition::PartitionOptions& options,
                                partition::PartitionReport& report, Session& session) {
  const std::vector<partition::Part> part_of = partition::assign_parts(whole, options, report);
  if (session.interruption != nullptr) session.interruption->take_signals_back();
  if (!report.notice.empty()) session.console.notice(report.notice);
  const auto start = Clock::now();
  partition::Graph parts = partition::renumber_by_parts(whole, part_of, options.parts);
  report.around_seconds += seconds_since(start);
  return parts;
}

void declare(PartitionCommandOptions& options, OptionSet& set) {
  declare(options.source, set);
  set.group("Parts");
  set.add("output,o", &options.output, "the .knot folder to write").folder().required();
  set.add("parts,k", &options.parts, "how many parts").range(1, 1 << 20);
  set.add("method", &options.method, "who cuts").choices({"metis", "fennel", "hash", "range"});
  set.add("imbalance", &options.imbalance, "how much larger than the mean a part may be").above(0, 10);
  set.add("seed", &options.seed, "same seed, same parts");
  set.add("memory-limit", &options.memory_limit, "most memory beside the graph, in MB; 0: no limit").value_name("MB");
}

void run(const PartitionCommandOptions& options, Session& session) {
  const std::string folder = folder_name(options.output);
  check_output_folder(folder);
  session.watch(folder + ".partial");
  OpenedGraph opened = open_graph(options.source, session);
  if (opened.graph.parts().part_count() > 1)
    throw partition::InputError(options.source.graph + " is in " + std::to_string(opened.graph.parts().part_count()) +
                                " parts already; partition the file that it was made from (see knotwork info)");
  partition::PartitionReport cut;
  const partition::PartitionOptions wanted{.parts = options.parts,
                                           .method = *partition::find_partition_method(options.method),
                                           .imbalance = options.imbalance,
                                           .seed = options.seed,
                                           .memory_limit_bytes = options.memory_limit * 1'000'000};
  session.console.step("cutting into " + std::to_string(options.parts) + " parts with " + options.method);
  const partition::Graph parts = cut_into_parts(opened.graph, wanted, cut, session);
  const auto start = Clock::now();
  const std::string method(partition::partition_method_name(cut.method_used));
  partition::write_knot(folder, parts, opened.names,
                        {.source = options.source.graph,
                         .program = "knotwork " + build_info().version,
                         .method = method,
                         .seed = options.seed,
                         .imbalance = options.imbalance,
                         .edge_cut = cut.edge_cut,
                         .node_balance = cut.node_balance,
                         .arc_balance = cut.arc_balance});
  const double write_seconds = seconds_since(start);
  report_parts(cut, write_seconds, session);
  const std::string share = fixed(100 * cut.cut_fraction, 2) + " % of " + grouped_count(parts.summary().edge_count());
  session.console.summary(aligned_pairs(
      {{"edge cut", grouped_count(cut.edge_cut) + " (" + share + " edges)"},
       {"balance", fixed(cut.node_balance, 3) + " nodes, " + fixed(cut.arc_balance, 3) + " arcs"},
       {"time", human_seconds(cut.partitioner_seconds) + " in " + method + ", " + human_seconds(cut.around_seconds) +
                    " around it, " + human_seconds(write_seconds) + " writing"},
       {"written", folder}}));
}

CommandEntry partition_command() {
  return {.text = {.name = "partition",
                   .arguments = "GRAPH -k 8 -o OUT.knot",
                   .summary = "cut a graph into parts on disk",
                   .details = "Every other command reads the folder, faster than the edge list; mpirun gives each "
                              "process its own parts.",
                   .examples = {"knotwork partition github.tsv.gz -k 4 -o github.knot",
                                "knotwork partition huge.tsv -k 64 --method fennel -o huge.knot"}},
          .heading = "Graphs",
          .shows_configuration = true,
          .make = command_of<PartitionCommandOptions>(declare, run)};
}

}  // namespace knotwork::jobs
