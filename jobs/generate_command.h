// `knotwork generate rmat` and `knotwork generate sbm`: synthetic graphs.
#pragma once

#include <cstdint>
#include <string>

#include "jobs/command.h"

namespace knotwork::jobs {

struct GenerateRmatOptions {
  std::string output;
  /// 2^scale nodes.
  std::uint32_t scale = 16;
  /// Edges a node.
  std::uint32_t edge_factor = 16;
  /// Probabilities of three of the four quadrants.
  double a = 0.57;
  double b = 0.19;
  double c = 0.19;
  std::uint64_t seed = 1;
};

void declare(GenerateRmatOptions& options, OptionSet& set);
void run(const GenerateRmatOptions& options, Session& session);
CommandEntry generate_rmat_command();

struct GenerateSbmOptions {
  std::string output;
  std::uint64_t nodes = 1000;
  std::uint64_t blocks = 10;
  /// Probability of an edge between two nodes of one block, and of different blocks.
  double inside = 0.05;
  double outside = 0.001;
  std::uint64_t seed = 1;
  /// Where the block of each node is written; empty: nowhere.
  std::string labels;
};

void declare(GenerateSbmOptions& options, OptionSet& set);
void run(const GenerateSbmOptions& options, Session& session);
CommandEntry generate_sbm_command();

}  // namespace knotwork::jobs
