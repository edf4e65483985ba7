// Looks at content first: a .knot folder, a split, an embedding; all else is read as a graph.
#include "jobs/info_command.h"

#include <algorithm>
#include <filesystem>
#include <optional>

#include "embeddings/embedding_file.h"
#include "jobs/console.h"
#include "jobs/figures.h"
#include "jobs/graph_source.h"
#include "jobs/report.h"
#include "partition/errors.h"
#include "partition/knot_folder.h"

namespace knotwork::jobs {
namespace {

namespace fs = std::filesystem;
using Pairs = std::vector<std::pair<std::string, std::string>>;

void add_degrees(const partition::Graph& graph, Pairs& pairs, Report& report) {
  std::vector<std::uint32_t> degrees;
  degrees.reserve(graph.row_count());
  for (partition::GlobalNode node = graph.first_node(); node < graph.last_node(); ++node)
    degrees.push_back(graph.degree(node));
  if (degrees.empty()) return;
  const auto middle = degrees.begin() + static_cast<std::ptrdiff_t>(degrees.size() / 2);
  std::ranges::nth_element(degrees, middle);
  const std::uint32_t median = *middle;
  const auto [least, most] = std::ranges::minmax(degrees);
  const double mean = static_cast<double>(graph.summary().arc_count) / static_cast<double>(degrees.size());
  pairs.emplace_back(graph.summary().directed ? "out-degrees" : "degrees",
                     grouped_count(least) + " least, " + grouped_count(median) + " median, " + fixed(mean, 1) +
                         " mean, " + grouped_count(most) + " most");
  report.set("degree_min", least);
  report.set("degree_median", median);
  report.set("degree_mean", mean);
  report.set("degree_max", most);
}

void add_counts(const partition::GraphSummary& graph, Pairs& pairs, Report& report) {
  pairs.emplace_back("nodes", grouped_count(graph.node_count));
  pairs.emplace_back("edges", grouped_count(graph.edge_count()) + (graph.directed ? ", directed" : ", undirected") +
                                  (graph.weighted ? ", weighted" : ""));
  report.set("nodes", graph.node_count);
  report.set("edges", graph.edge_count());
  report.set("directed", graph.directed);
  report.set("weighted", graph.weighted);
}

void describe_knot(const std::string& path, Session& session) {
  // Opening compares every checksum; a damaged file ends here with its name.
  const partition::OpenedKnot knot = partition::open_knot(path);
  const partition::KnotSummary& summary = knot.summary;
  Pairs pairs = {{"what", "graph in parts (.knot folder, version " + std::to_string(summary.version) + ")"}};
  add_counts(summary.graph, pairs, session.report);
  pairs.emplace_back("names", summary.names_kind);
  add_degrees(knot.graph, pairs, session.report);
  pairs.emplace_back("on disk", human_bytes(static_cast<double>(summary.bytes)) + ", all checksums right");
  pairs.emplace_back("made from", summary.provenance.source + " by " + summary.provenance.program);
  const std::size_t parts = summary.part_arcs.size();
  pairs.emplace_back("parts", std::to_string(parts) + " by " + summary.provenance.method + ", edge cut " +
                                  grouped_count(summary.provenance.edge_cut) + ", balance " +
                                  fixed(summary.provenance.node_balance, 3));
  session.report.set("kind", "knot");
  session.report.set("bytes", summary.bytes);
  session.report.set("edge_cut", summary.provenance.edge_cut);
  session.report.set("parts", std::uint64_t{parts});
  std::string text = aligned_pairs(pairs);
  Table table{.header = {"part", "nodes", "arcs"}};
  for (std::size_t part = 0; part < parts; ++part) {
    table.rows.push_back({std::to_string(part),
                          grouped_count(summary.part_bounds[part + 1] - summary.part_bounds[part]),
                          grouped_count(summary.part_arcs[part])});
  }
  // A list of a thousand parts helps nobody.
  if (parts > 1 && parts <= 64) text += "\n" + table_text(table);
  session.console.result(text);
}

void describe_split(const std::string& path, Session& session) {
  Pairs pairs = {{"what", "edges split for link prediction (knotwork split)"}};
  for (const char* name : {"train.tsv", "test_pos.tsv", "test_neg.tsv", "train_neg.tsv"}) {
    std::error_code error;
    const auto bytes = fs::file_size(fs::path(path) / name, error);
    pairs.emplace_back(name, error ? "missing" : human_bytes(static_cast<double>(bytes)));
  }
  session.report.set("kind", "split");
  session.console.result(aligned_pairs(pairs));
}

bool has_embedding_ending(const std::string& path) {
  const std::string ending = fs::path(path).extension().string();
  return ending == ".npy" || ending == ".bin" || ending == ".h5" || ending == ".hdf5";
}

/// .txt and .tsv may be an embedding or a graph: an embedding has more than a weight behind the first field.
std::optional<embeddings::EmbeddingSummary> try_embedding(const std::string& path) {
  if (has_embedding_ending(path)) return embeddings::inspect_embedding(path);
  const std::string ending = fs::path(path).extension().string();
  if (ending != ".txt" && ending != ".tsv") return std::nullopt;
  try {
    const embeddings::EmbeddingSummary summary = embeddings::inspect_embedding(path);
    if (summary.dim > 2) return summary;
  } catch (const partition::InputError&) {
    // Not an embedding; what is wrong with it as a graph is what the user wants to hear.
  }
  return std::nullopt;
}

void describe_graph(const std::string& path, Session& session) {
  GraphSource source;
  source.graph = path;
  const OpenedGraph opened = open_graph(source, session);
  Pairs pairs = {{"what", "graph"}};
  add_counts(opened.graph.summary(), pairs, session.report);
  pairs.emplace_back("names", opened.names.are_integers() ? "integers" : "strings");
  add_degrees(opened.graph, pairs, session.report);
  session.report.set("kind", "graph");
  session.console.result(aligned_pairs(pairs));
}

}  // namespace

void declare(InfoOptions& options, OptionSet& set) {
  set.positional("path", &options.path, "graph, .knot folder, split folder or embedding").file().required();
}

void run(const InfoOptions& options, Session& session) {
  const std::string& path = options.path;
  std::error_code error;
  if (path != "-" && !fs::exists(path, error)) throw partition::InputError(path + ": no such file or folder");
  if (fs::is_directory(path, error)) {
    if (partition::is_knot_folder(path)) return describe_knot(path, session);
    if (fs::exists(fs::path(path) / "test_pos.tsv", error)) return describe_split(path, session);
    throw partition::InputError(path + ": a folder that is neither a .knot folder nor made by knotwork split");
  }
  const auto embedding = try_embedding(path);
  if (!embedding) return describe_graph(path, session);
  session.report.set("kind", "embedding");
  session.report.set("format", embeddings::embedding_format_name(embedding->format));
  session.report.set("nodes", embedding->rows);
  session.report.set("dim", embedding->dim);
  const double bytes = static_cast<double>(fs::file_size(path, error));
  session.console.result(aligned_pairs({{"what", "embedding, " + embeddings::embedding_format_name(embedding->format)},
                                        {"nodes", grouped_count(embedding->rows)},
                                        {"dim", std::to_string(embedding->dim)},
                                        {"on disk", human_bytes(bytes)}}));
}

CommandEntry info_command() {
  return {.text = {.name = "info",
                   .arguments = "PATH",
                   .summary = "what is this file or folder",
                   .details = "Counts, degrees, parts, formats; compares the checksums of a .knot folder.",
                   .examples = {"knotwork info github.knot", "knotwork info emb.npy"}},
          .heading = "Graphs",
          .make = command_of<InfoOptions>(declare, run)};
}

}  // namespace knotwork::jobs
