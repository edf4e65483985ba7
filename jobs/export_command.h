// `knotwork export`: an embedding in another format.
#pragma once

#include <string>

#include "jobs/command.h"

namespace knotwork::jobs {

struct ExportOptions {
  std::string embedding;
  /// Its ending chooses the format.
  std::string output;
};

void declare(ExportOptions& options, OptionSet& set);
void run(const ExportOptions& options, Session& session);
CommandEntry export_command();

/// Has the partial files of an embedding that is written to `path` removed on Ctrl-C.
void watch_embedding(const std::string& path, Session& session);

}  // namespace knotwork::jobs
