// .knot folders: the manifest and its section files, with checksums that a neighbour has made right again, or not.
#include "partition/errors.h"
#include "partition/graph_checksum.h"
#include "partition/knot_folder.h"
#include "partition/read_graph.h"
#include "tests/fuzz/section_repair.h"
#include "tests/fuzz/target.h"

namespace knotwork::fuzz {
namespace {

using partition::GlobalNode;

// In the order of an input's pieces, the manifest first.
constexpr std::array<const char*, 4> kKnotFiles{"part-00000.bin", "part-00001.bin", "degree_rank.bin", "names.bin"};

enum KnotFlags : unsigned { kRepairs = 1, kVerifies = 2, kInMemory = 4, kFirstPart = 8 };

/// Lets manifest and files agree, as far as the manifest can be read at all.
void repair_knot(std::vector<std::string>& pieces) {
  // Without exceptions, and no deeper than a manifest is: what is deeper goes on as it is.
  nlohmann::json manifest = nlohmann::json::parse(pieces[0], nullptr, false);
  const bool has_files = manifest.is_object() && manifest.contains("files") && manifest["files"].is_object();
  for (std::size_t i = 1; i < pieces.size(); ++i) {
    const partition::SectionFileFacts facts = repair_section_file(pieces[i]);
    if (has_files && manifest["files"].contains(kKnotFiles[i - 1]) &&
        manifest["files"][kKnotFiles[i - 1]].is_object()) {
      set_facts(manifest["files"][kKnotFiles[i - 1]], facts);
    }
  }
  if (has_files) pieces[0] = sealed(std::move(manifest));
}

/// Touches everything, so that a bound that was not checked is met.
void walk_knot(const partition::OpenedKnot& opened) {
  const partition::Graph& graph = opened.graph;
  double sum = 0;
  for (GlobalNode node = graph.first_node(); node < graph.last_node(); ++node) {
    for (const GlobalNode other : graph.neighbours(node)) {
      require(other < graph.summary().node_count, "arcs lead to nodes of the graph");
      require(graph.degree_rank(other) < graph.summary().node_count, "degree ranks are nodes of the graph");
    }
    if (graph.summary().weighted) {
      for (const float weight : graph.weights(node)) sum += weight;
    }
    const partition::OriginalNode original = graph.original(node);
    require(original < opened.names.size(), "every node has a name");
    static_cast<void>(opened.names.find(opened.names.name(original)));
  }
  require(sum >= 0, "weights are positive");
  if (graph.is_whole()) static_cast<void>(partition::graph_checksum(graph));
}

bool run_knot(std::string_view input) {
  static const ScratchFolder folder("knot");
  const unsigned flags = take_flags(input);
  std::vector<std::string> pieces = pieces_of(input);
  if (pieces.size() > kKnotFiles.size() + 1) return false;
  if ((flags & kRepairs) != 0) repair_knot(pieces);
  folder.write("manifest.json", pieces[0]);
  for (std::size_t i = 1; i < pieces.size(); ++i) folder.write(kKnotFiles[i - 1], pieces[i]);
  for (std::size_t i = pieces.size() - 1; i < kKnotFiles.size(); ++i) {
    std::filesystem::remove(std::filesystem::path(folder.path()) / kKnotFiles[i]);
  }
  partition::KnotOpenOptions options;
  options.verify_checksums = (flags & kVerifies) != 0;
  if ((flags & kInMemory) != 0) options.residency = partition::KnotResidency::kInMemory;
  if ((flags & kFirstPart) != 0) options.last_part = 1;
  try {
    walk_knot(partition::open_knot(folder.path(), options));
    return true;
  } catch (const partition::InputError&) {
    return false;
  }
}

/// A small graph as a folder in one or two parts, as one input.
std::string knot_input(unsigned flags, const std::string& text, std::size_t parts) {
  const ScratchFolder folder("knot-seed");
  partition::ReadOptions options;
  options.threads = 1;
  partition::NamedGraph read = partition::read_graph(folder.write("g.tsv", text), options);
  partition::Graph graph = std::move(read.graph);
  if (parts == 2) {
    const auto nodes = static_cast<GlobalNode>(graph.summary().node_count);
    // As `knotwork partition` would cut it if METIS said so: the same numbers, in two files, ranks by number.
    std::vector<GlobalNode> ranks(nodes);
    for (GlobalNode node = 0; node < nodes; ++node) ranks[node] = node;
    partition::GraphArrays arrays = graph.arrays();
    arrays.degree_rank = ranks;
    partition::write_knot(folder.path() + "/g.knot",
                          partition::Graph(graph.summary(), partition::PartBounds({0, nodes / 2, nodes}), arrays),
                          read.names, {});
  } else {
    partition::write_knot(folder.path() + "/g.knot", graph, read.names, {});
  }
  std::vector<std::string> pieces{folder.read("g.knot/manifest.json")};
  for (const char* name : kKnotFiles) pieces.push_back(folder.read(std::string("g.knot/") + name));
  while (pieces.back().empty()) pieces.pop_back();
  return std::string(1, static_cast<char>(flags)) + joined(pieces);
}

/// A manifest whose counts wrap around when they are multiplied by the size of an element.
std::string wrapping_knot() {
  std::string input = knot_input(kRepairs, "0 1\n1 2\n", 1);
  std::vector<std::string> pieces = pieces_of(std::string_view(input).substr(1));
  nlohmann::json manifest = nlohmann::json::parse(pieces[0]);
  constexpr std::uint64_t kArcs = std::uint64_t{1} << 62U;
  manifest["arc_count"] = kArcs;
  manifest["part_arcs"] = {kArcs};
  pieces[0] = manifest.dump();
  std::string& part = pieces[1];
  for (std::size_t entry = 64; entry + 64 <= part.size(); entry += 64) {
    const std::string name = part.substr(entry, 8);
    if (name.starts_with("targets")) set_number(part, entry + 40, 0);
    if (name.starts_with("offsets")) set_number(part, number_at<std::uint64_t>(part, entry + 32) + 3 * 8, kArcs);
    if (name.starts_with("original")) break;
  }
  return input.substr(0, 1) + joined(pieces);
}

/// A manifest that would have terabytes of memory asked for.
std::string boasting_knot(const std::string& text) {
  const std::string input = knot_input(kRepairs | kInMemory, text, 2);
  std::vector<std::string> pieces = pieces_of(std::string_view(input).substr(1));
  nlohmann::json manifest = nlohmann::json::parse(pieces[0]);
  constexpr std::uint64_t kArcs = std::uint64_t{1} << 42U;
  manifest["arc_count"] = 2 * kArcs;
  manifest["part_arcs"] = {kArcs, kArcs};
  pieces[0] = manifest.dump();
  return input.substr(0, 1) + joined(pieces);
}

std::vector<Seed> knot_seeds() {
  const std::string weighted = "a b 1\nb c 2\nc a .5\nd a 3\ne d 1\n";
  const std::string counted = "0 1\n1 2\n2 3\n3 0\n";
  const std::string integers = "10 20\n20 30\n30 10\n";
  return {
      {knot_input(kVerifies, weighted, 1)},
      {knot_input(kRepairs, weighted, 1)},
      {knot_input(kRepairs, weighted, 2)},
      {knot_input(kRepairs | kVerifies | kInMemory, weighted, 2)},
      {knot_input(kRepairs | kFirstPart, counted, 2)},
      {knot_input(kRepairs | kInMemory, counted, 1)},
      {knot_input(kRepairs, integers, 1)},
      {wrapping_knot(), false},
      {boasting_knot(counted), false},
      {std::string(1, '\0') + R"({"format":"knotwork graph folder","version":1,"x":)" + std::string(100000, '['),
       false},
      {"\x01{}", false},
      {"", false},
  };
}

}  // namespace

Target knot_target() {
  return {"knot", knot_seeds, run_knot};
}

}  // namespace knotwork::fuzz
