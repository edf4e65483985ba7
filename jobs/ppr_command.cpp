// Collective: every rank opens the graph itself and works on its share of the sources; rank 0 speaks and writes.
#include "jobs/ppr_command.h"

#include <chrono>
#include <filesystem>
#include <numeric>
#include <optional>

#include "cluster/communicator.h"
#include "embeddings/nearest.h"
#include "embeddings/start_order.h"
#include "jobs/console.h"
#include "jobs/figures.h"
#include "jobs/output_path.h"
#include "jobs/report.h"
#include "partition/errors.h"
#include "partition/whole_file.h"
#include "worker/ppr.h"

namespace knotwork::jobs {
namespace {

using partition::GlobalNode;
using partition::InputError;
using partition::OriginalNode;
using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

void resolve(PprCommandOptions& options, const OptionSet& set) {
  if (options.all == !options.sources.empty())
    throw InputError(options.all ? "source and all exclude each other"
                                 : "nothing to do: name sources with --source NODE..., or give --all");
  if (options.method.empty()) options.method = options.index.empty() ? "power" : "walks";
  if (options.method == "power") {
    for (const char* name : {"threshold", "walks", "index"}) {
      if (set.was_given(name)) throw InputError(std::string(name) + " needs --method walks, found power");
    }
  } else if (set.was_given("error")) {
    throw InputError("error needs --method power, found walks; threshold and walks say how exact walks are");
  }
}

/// The sources as nodes of the transition matrix, in the order that they were given in, or of the input.
std::vector<GlobalNode> nodes_of(const PprCommandOptions& options, const partition::NodeNames& names,
                                 const embeddings::TransitionGraph& graph) {
  std::vector<GlobalNode> nodes = embeddings::global_of_original(graph.out());
  if (options.all) return nodes;
  std::vector<GlobalNode> sources;
  for (const std::string& name : options.sources) sources.push_back(nodes[embeddings::find_node(names, name)]);
  return sources;
}

/// The index that `options` name: opened, or made by rank 0 if it is not there.
embeddings::FingerprintIndex index_file(const PprCommandOptions& options, const embeddings::FingerprintWalker& walker,
                                        Session& session) {
  cluster::Communicator& communicator = *session.communicator;
  const auto start = Clock::now();
  std::error_code error;
  const bool is_there =
      communicator.broadcast(std::filesystem::exists(options.index, error) ? "yes" : "no", 0) == "yes";
  if (!is_there && communicator.is_root()) {
    session.console.step("making the index " + options.index);
    session.watch(options.index + ".partial");
    embeddings::FingerprintIndex::make(walker).write(options.index);
  }
  communicator.barrier();
  embeddings::FingerprintIndex index = embeddings::FingerprintIndex::open(options.index, walker);
  const double seconds = seconds_since(start);
  session.console.step(std::string(is_there ? "opened" : "made") + " the index of " +
                       grouped_count(index.walk_count()) + " walks in " + human_seconds(seconds));
  session.report.set("index_made", !is_there);
  session.report.set("index_walks", index.walk_count());
  session.report.set("index_seconds", seconds);
  return index;
}

/// Where lines go.
class LineSink {
 public:
  LineSink(const std::string& path, Session& session) : session_(session) {
    if (path == "-" || !session.communicator->is_root()) return;
    session.watch(path + ".partial");
    file_.emplace(path);
  }
  void write(std::string_view lines) {
    bytes_ += lines.size();
    if (file_) {
      file_->write(lines);
    } else {
      session_.console.result(std::string(lines));
    }
  }
  void finish() {
    if (!file_) return;
    file_->sync();
    file_->publish();
  }
  std::uint64_t bytes() const { return bytes_; }

 private:
  Session& session_;
  std::optional<partition::WholeFile> file_;
  std::uint64_t bytes_ = 0;
};

std::string bounds_text(const worker::PprReport& done, std::span<const GlobalNode> sources,
                        const embeddings::TransitionGraph& graph, const partition::NodeNames& names) {
  std::string text;
  for (std::size_t i = 0; i < sources.size(); ++i) {
    names.append_name(graph.out().original(sources[i]), text);
    text += '\t' + plain_number(done.l1_bounds[i]) + '\n';
  }
  return text;
}

void report_figures(const worker::PprReport& done, const PprCommandOptions& options, std::uint64_t bytes,
                    double seconds, Session& session) {
  const double rate = done.seconds > 0 ? static_cast<double>(done.sources) / done.seconds : 0;
  const bool walks = options.method == "walks";
  Report& report = session.report;
  report.set("sources", done.sources);
  report.set("lines", done.lines);
  report.set("bytes", bytes);
  report.set("ppr_seconds", done.seconds);
  report.set("sources_per_second", rate);
  report.set("l1_error_bound/mean", done.l1_bound_mean);
  report.set("l1_error_bound/max", done.l1_bound_max);
  report.set("sweeps", done.sweeps);
  report.set("pushed_arcs", done.pushed_arcs);
  report.set("walks", done.walks);
  report.set(walks ? "query_milliseconds/p50" : "batch_milliseconds/p50", done.milliseconds_p50);
  report.set(walks ? "query_milliseconds/p99" : "batch_milliseconds/p99", done.milliseconds_p99);
  report.set("processes", static_cast<std::uint64_t>(session.communicator->size()));
  report.set("seconds", seconds);
  std::vector<std::pair<std::string, std::string>> lines = {
      {"sources", grouped_count(done.sources) + " in " + human_seconds(done.seconds) + ", " + human_count(rate) + "/s"},
      {"L1 error", "at most " + plain_number(std::stod(fixed(done.l1_bound_mean, 6))) + " on average, " +
                       plain_number(std::stod(fixed(done.l1_bound_max, 6))) +
                       (walks ? " for the worst, with 99 % probability each" : " for the worst")}};
  if (walks)
    lines.emplace_back("a source", human_seconds(done.milliseconds_p50 / 1e3) + " half of the time, " +
                                       human_seconds(done.milliseconds_p99 / 1e3) + " 99 % of the time");
  lines.emplace_back("memory", human_bytes(static_cast<double>(peak_memory_bytes())) + " at most" +
                                   (session.communicator->size() > 1 ? " on the first process" : ""));
  lines.emplace_back("time", human_seconds(seconds) + " in all");
  lines.emplace_back("written", options.output + ", " + grouped_count(done.lines) + " lines, " +
                                    human_bytes(static_cast<double>(bytes)));
  const std::string text = aligned_pairs(lines);
  // Standard output holds the lines themselves.
  if (options.output == "-") {
    session.console.step(text);
  } else {
    session.console.summary(text);
  }
}

}  // namespace

void declare(PprCommandOptions& options, OptionSet& set) {
  declare(options.source, set);
  set.group("PageRank");
  set.add("source", &options.sources, "nodes to start from, by name").value_name("NODE...");
  set.add("all", &options.all, "start from every node");
  set.add("top", &options.top, "best scores of each source").range(1, 4e9);
  set.add("restart", &options.restart, "probability of returning to the source before each step").above(0, 0.999999);
  set.add("method", &options.method, "power: all scores to a given error; walks: near the source, with fingerprints")
      .choices({"power", "walks"});
  set.add("error", &options.error, "power: the L1 error to stop at").range(1e-5, 0.999999);
  set.add("threshold", &options.threshold, "walks: residual that a node may keep for each of its arcs")
      .range(1e-9, 0.999999);
  set.add("walks", &options.walks, "walks: fingerprint walks of a node, on average").range(1, 1e6);
  set.add("index", &options.index, "walks: file of fingerprints; made if it is not there").file();
  set.add("seed", &options.seed, "walks: same seed, same walks");
  set.group("Output");
  set.add("output,o", &options.output, "lines of source, node, score with TABs between; - for standard output")
      .file()
      .required();
  set.add("bounds", &options.bounds, "file of lines of source and bound of its L1 error").file();
  set.on_resolved([&options, &set] { resolve(options, set); });
}

void run(const PprCommandOptions& options, Session& session) {
  const auto start = Clock::now();
  cluster::Communicator& communicator = *session.communicator;
  if (communicator.size() > 1 && options.source.graph == "-")
    throw InputError("several processes can't share standard input: every process reads GRAPH itself");
  if (communicator.is_root()) {
    if (options.output != "-") check_output_file(options.output);
    if (!options.index.empty()) check_output_file(options.index);
    if (!options.bounds.empty()) check_output_file(options.bounds);
  }
  const OpenedGraph opened = open_graph(options.source, session);
  const bool weighted = opened.graph.summary().weighted && options.source.weighted.value_or(true);
  const embeddings::TransitionGraph graph(opened.graph, weighted);
  const std::vector<GlobalNode> sources = nodes_of(options, opened.names, graph);
  std::optional<embeddings::FingerprintWalker> walker;
  std::optional<embeddings::FingerprintIndex> index;
  if (options.method == "walks") {
    walker.emplace(graph, embeddings::FingerprintOptions{
                              .restart = options.restart, .walks = options.walks, .seed = options.seed});
    if (!options.index.empty()) {
      index.emplace(index_file(options, *walker, session));
    } else if (options.all) {
      index.emplace(embeddings::FingerprintIndex::make(*walker));  // every walk will be needed many times
    }
  }
  const worker::PprJob job{.graph = graph,
                           .names = opened.names,
                           .walker = walker ? &*walker : nullptr,
                           .index = index ? &*index : nullptr,
                           .sources = sources};
  const worker::PprOptions how{.method = walker ? worker::PprMethod::kWalks : worker::PprMethod::kPower,
                               .power = {.restart = options.restart, .error = options.error, .top = options.top},
                               .query = {.threshold = options.threshold, .top = options.top},
                               .threads = session.options.threads};
  LineSink sink(options.output, session);
  std::optional<Progress> progress(std::in_place, session.console, "ranking", "sources",
                                   static_cast<double>(sources.size()));
  const worker::PprReport done = worker::run_ppr(
      communicator, job, how, [&](std::string_view lines) { sink.write(lines); },
      [&](std::uint64_t ready) { progress->update(static_cast<double>(ready)); });
  progress.reset();
  sink.finish();
  if (!options.bounds.empty() && communicator.is_root()) {
    write_text_file(options.bounds, bounds_text(done, sources, graph, opened.names));
  }
  report_figures(done, options, sink.bytes(), seconds_since(start), session);
}

CommandEntry ppr_command() {
  return {.text = {.name = "ppr",
                   .arguments = "GRAPH [--source NODE... | --all] -o OUT",
                   .summary = "personalized PageRank: the nodes nearest to some, or to each",
                   .details = "Under mpirun sources are shared out among the processes; each reads the whole graph.",
                   .examples = {"knotwork ppr github.tsv.gz --source 7 42 --top 10 -o -",
                                "knotwork ppr github.tsv.gz --all -o github.ppr.tsv",
                                "knotwork ppr huge.knot --source 7 --index huge.walks -o 7.tsv",
                                "mpirun -n 4 knotwork ppr huge.knot --all --index huge.walks -o huge.ppr.tsv"}},
          .heading = "Graphs",
          .shows_configuration = true,
          .is_distributed = true,
          .is_watched = true,
          .make = command_of<PprCommandOptions>(declare, run)};
}

}  // namespace knotwork::jobs
