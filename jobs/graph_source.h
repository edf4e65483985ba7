// GRAPH on the command line: an edge list, a METIS or Matrix Market file, standard input, or a .knot folder.
#pragma once

#include <optional>
#include <string>

#include "jobs/command.h"
#include "partition/graph.h"
#include "partition/knot_folder.h"
#include "partition/node_names.h"

namespace knotwork::jobs {

/// Options of every command that reads a graph.
struct GraphSource {
  /// The path; "-": standard input.
  std::string graph;
  /// "auto", "edges", "metis", "mtx" or "knot".
  std::string format = "auto";
  /// Lines are arcs, not edges.
  bool directed = false;
  /// Weights: required, ignored, or (empty) used if the file has them.
  std::optional<bool> weighted;
};

void declare(GraphSource& source, OptionSet& set);

struct OpenedGraph {
  /// The whole graph; several parts if it came from a .knot folder that has them.
  partition::Graph graph;
  partition::NodeNames names;
  /// Where parts came from a .knot folder.
  bool from_knot = false;
};

/// Opens the graph, shows progress and notices (self-loops dropped, duplicates merged), and reports nodes, edges and
/// seconds. `residency`: of a .knot folder; memory suits random reads. Throws partition::InputError, SystemError.
OpenedGraph open_graph(const GraphSource& source, Session& session,
                       partition::KnotResidency residency = partition::KnotResidency::kInMemory);

}  // namespace knotwork::jobs
