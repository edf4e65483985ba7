// `knotwork info`: what is this file or folder?
#pragma once

#include <string>

#include "jobs/command.h"

namespace knotwork::jobs {

struct InfoOptions {
  /// A .knot folder, a split folder, an embedding or a graph.
  std::string path;
};

void declare(InfoOptions& options, OptionSet& set);
void run(const InfoOptions& options, Session& session);
CommandEntry info_command();

}  // namespace knotwork::jobs
