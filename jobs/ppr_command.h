// `knotwork ppr`: personalized PageRank of some nodes, or of all.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "jobs/command.h"
#include "jobs/graph_source.h"

namespace knotwork::jobs {

struct PprCommandOptions {
  GraphSource source;
  /// Names of the sources; empty with `all`.
  std::vector<std::string> sources;
  bool all = false;
  std::uint32_t top = 100;
  /// Lines "source TAB node TAB score"; "-": standard output.
  std::string output;
  /// File of lines "source TAB bound of the L1 error"; empty: none.
  std::string bounds;
  double restart = 0.15;
  /// "power" or "walks"; empty until resolved: walks if an index is named.
  std::string method;
  /// power: the L1 error to stop at.
  double error = 1e-3;
  /// walks: residual that a node may keep for each of its arcs.
  double threshold = 1e-5;
  /// walks: fingerprint walks of a node, on average.
  std::uint32_t walks = 64;
  /// walks: file of fingerprints, made if it is not there; empty: none.
  std::string index;
  std::uint64_t seed = 1;
};

void declare(PprCommandOptions& options, OptionSet& set);
void run(const PprCommandOptions& options, Session& session);
CommandEntry ppr_command();

}  // namespace knotwork::jobs
