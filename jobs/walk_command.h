// `knotwork walk`: random walks as text, for other tools.
#pragma once

#include <cstdint>
#include <string>

#include "jobs/command.h"
#include "jobs/graph_source.h"
#include "jobs/walk_choice.h"

namespace knotwork::jobs {

struct WalkCommandOptions {
  GraphSource source;
  /// Corpus: a walk a line; "-": standard output; .gz and .zst compress.
  std::string output;
  WalkChoice walk;
  std::uint64_t seed = 1;
};

void declare(WalkCommandOptions& options, OptionSet& set);
void run(const WalkCommandOptions& options, Session& session);
CommandEntry walk_command();

}  // namespace knotwork::jobs
