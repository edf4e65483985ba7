// Words and checks around partition/generate.h.
#include "jobs/generate_command.h"

#include <chrono>

#include "jobs/console.h"
#include "jobs/figures.h"
#include "jobs/output_path.h"
#include "jobs/report.h"
#include "partition/generate.h"

namespace knotwork::jobs {
namespace {

using Clock = std::chrono::steady_clock;

void prepare_output(const std::string& path, Session& session) {
  check_output_file(path);
  session.watch(path + ".partial");
}

void report_graph(const partition::GenerateReport& made, Clock::time_point start, const std::string& output,
                  Session& session) {
  const double seconds = std::chrono::duration<double>(Clock::now() - start).count();
  session.report.set("nodes", made.node_count);
  session.report.set("edges", made.edge_count);
  session.report.set("seconds", seconds);
  session.console.summary("wrote " + grouped_count(made.node_count) + " nodes and " + grouped_count(made.edge_count) +
                          " edges to " + output + " in " + human_seconds(seconds));
}

}  // namespace

void declare(GenerateRmatOptions& options, OptionSet& set) {
  set.add("output,o", &options.output, "edge list to write; .gz compresses").file().required();
  set.add("scale", &options.scale, "2^scale nodes").range(1, 31);
  set.add("edge-factor", &options.edge_factor, "edges a node").range(1, 1e6);
  set.add("a", &options.a, "probability of the first quadrant").range(0, 1);
  set.add("b", &options.b, "probability of the second quadrant").range(0, 1);
  set.add("c", &options.c, "probability of the third quadrant").range(0, 1);
  set.add("seed", &options.seed, "same seed, same graph");
}

void run(const GenerateRmatOptions& options, Session& session) {
  prepare_output(options.output, session);
  const auto start = Clock::now();
  const partition::GenerateReport made = partition::write_rmat({.scale = options.scale,
                                                                .edge_factor = options.edge_factor,
                                                                .a = options.a,
                                                                .b = options.b,
                                                                .c = options.c,
                                                                .seed = options.seed},
                                                               options.output);
  report_graph(made, start, options.output, session);
}

void declare(GenerateSbmOptions& options, OptionSet& set) {
  set.add("output,o", &options.output, "edge list to write; .gz compresses").file().required();
  set.add("nodes", &options.nodes, "how many nodes").range(1, 4e9);
  set.add("blocks", &options.blocks, "groups of equal size").range(1, 4e9);
  set.add("inside", &options.inside, "probability of an edge inside a group").range(0, 1);
  set.add("outside", &options.outside, "probability of an edge between groups").range(0, 1);
  set.add("labels", &options.labels, "also write 'node block' lines to FILE, as eval classify reads").file();
  set.add("seed", &options.seed, "same seed, same graph");
}

void run(const GenerateSbmOptions& options, Session& session) {
  prepare_output(options.output, session);
  if (!options.labels.empty()) prepare_output(options.labels, session);
  const auto start = Clock::now();
  const partition::GenerateReport made = partition::write_sbm({.nodes = options.nodes,
                                                               .blocks = options.blocks,
                                                               .inside = options.inside,
                                                               .outside = options.outside,
                                                               .seed = options.seed},
                                                              options.output, options.labels);
  report_graph(made, start, options.output, session);
}

CommandEntry generate_rmat_command() {
  return {.text = {.name = "generate rmat",
                   .arguments = "-o GRAPH",
                   .summary = "synthetic graph with hubs (R-MAT)",
                   .examples = {"knotwork generate rmat --scale 20 -o rmat20.tsv"}},
          .heading = "Graphs",
          .make = command_of<GenerateRmatOptions>(declare, run)};
}

CommandEntry generate_sbm_command() {
  return {.text = {.name = "generate sbm",
                   .arguments = "-o GRAPH",
                   .summary = "synthetic graph with known communities (block model)",
                   .examples = {"knotwork generate sbm --nodes 10000 --blocks 20 -o sbm.tsv --labels blocks.tsv"}},
          .heading = "Graphs",
          .make = command_of<GenerateSbmOptions>(declare, run)};
}

}  // namespace knotwork::jobs
