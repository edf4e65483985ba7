// Reading, with what a person wants to know about it.
#include "jobs/graph_source.h"

#include <chrono>
#include <memory>
#include <optional>

#include "jobs/console.h"
#include "jobs/figures.h"
#include "jobs/report.h"
#include "partition/errors.h"
#include "partition/knot_folder.h"
#include "partition/read_graph.h"

namespace knotwork::jobs {
namespace {

using partition::InputError;

partition::GraphFormat text_format(const std::string& name) {
  if (name == "edges") return partition::GraphFormat::kEdgeList;
  if (name == "metis") return partition::GraphFormat::kMetis;
  if (name == "mtx") return partition::GraphFormat::kMatrixMarket;
  return partition::GraphFormat::kAuto;
}

void say_what_was_dropped(const partition::ReadReport& report, Session& session) {
  const auto note = [&](std::uint64_t count, const char* one, const char* many) {
    if (count == 1) session.console.notice("1 " + std::string(one));
    if (count > 1) session.console.notice(grouped_count(count) + " " + many);
  };
  if (report.header_skipped) session.console.notice("the first line was taken for a header");
  note(report.self_loops_dropped, "self-loop dropped", "self-loops dropped");
  note(report.duplicates_merged, "duplicate edge merged", "duplicate edges merged");
  note(report.zero_weights_dropped, "edge of weight zero dropped", "edges of weight zero dropped");
  session.report.set("self_loops_dropped", report.self_loops_dropped);
  session.report.set("duplicates_merged", report.duplicates_merged);
  session.report.set("zero_weights_dropped", report.zero_weights_dropped);
}

OpenedGraph read_text(const GraphSource& source, Session& session) {
  partition::ReadOptions options;
  options.format = text_format(source.format);
  options.directed = source.directed;
  if (source.weighted.has_value())
    options.weights = *source.weighted ? partition::WeightColumn::kRequire : partition::WeightColumn::kIgnore;
  options.threads = session.options.threads;
  std::optional<Progress> progress;
  options.progress = [&](std::uint64_t done, std::uint64_t total) {
    if (!progress) progress.emplace(session.console, "reading", "B", static_cast<double>(total));
    progress->update(static_cast<double>(done));
  };
  partition::NamedGraph named = partition::read_graph(source.graph, options);
  progress.reset();
  say_what_was_dropped(named.report, session);
  return {std::move(named.graph), std::move(named.names), false};
}

OpenedGraph open_parts(const GraphSource& source, partition::KnotResidency residency) {
  partition::OpenedKnot knot = partition::open_knot(source.graph, {.residency = residency});
  const partition::GraphSummary& summary = knot.graph.summary();
  if (source.directed && !summary.directed)
    throw InputError("--directed: " + source.graph +
                     " holds an undirected graph; make it anew with partition --directed");
  if (source.weighted.value_or(false) && !summary.weighted)
    throw InputError("--weighted: " + source.graph + " holds no weights");
  return {std::move(knot.graph), std::move(knot.names), true};
}

}  // namespace

void declare(GraphSource& source, OptionSet& set) {
  set.positional("graph", &source.graph,
                 "edge list (.gz and .zst too), .graph, .mtx, .knot folder, or - for standard input")
      .file()
      .required();
  set.group("Graph");
  set.add("format", &source.format, "the graph's format").choices({"auto", "edges", "metis", "mtx", "knot"});
  set.add("directed", &source.directed, "lines are arcs, not edges");
  set.add("weighted", &source.weighted, "require (or ignore) weights; otherwise they are used if the file has them");
}

OpenedGraph open_graph(const GraphSource& source, Session& session, partition::KnotResidency residency) {
  const auto start = std::chrono::steady_clock::now();
  const bool is_knot = source.format == "knot" || (source.format == "auto" && partition::is_knot_folder(source.graph));
  OpenedGraph opened = is_knot ? open_parts(source, residency) : read_text(source, session);
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  const partition::GraphSummary& summary = opened.graph.summary();
  std::string kind = summary.directed ? "directed" : "undirected";
  if (summary.weighted) kind += ", weighted";
  const partition::Part parts = opened.graph.parts().part_count();
  if (parts > 1) kind += ", " + std::to_string(parts) + " parts";
  session.console.step("read " + grouped_count(summary.node_count) + " nodes and " +
                       grouped_count(summary.edge_count()) + " edges (" + kind + ") in " + human_seconds(seconds));
  session.report.set("nodes", summary.node_count);
  session.report.set("edges", summary.edge_count());
  session.report.set("directed", summary.directed);
  session.report.set("weighted", summary.weighted);
  session.report.set("read_seconds", seconds);
  return opened;
}

}  // namespace knotwork::jobs
