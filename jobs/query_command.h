// `knotwork query`: nearest neighbours by node name.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "jobs/command.h"

namespace knotwork::jobs {

struct QueryOptions {
  std::string embedding;
  /// Names of the nodes to ask for.
  std::vector<std::string> nodes;
  /// Neighbours of each; the default shrinks to what a small embedding has, a number that was asked for must fit.
  std::uint32_t count = 10;
  bool count_was_given = false;
};

void declare(QueryOptions& options, OptionSet& set);
void run(const QueryOptions& options, Session& session);
CommandEntry query_command();

}  // namespace knotwork::jobs
