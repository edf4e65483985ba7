// `knotwork completion bash`: a completion script written from the commands' own declarations, so it cannot go stale.
#pragma once

#include <string>
#include <vector>

#include "jobs/command.h"

namespace knotwork::jobs {

struct CompletionOptions {
  /// "bash".
  std::string shell = "bash";
};

void declare(CompletionOptions& options, OptionSet& set);
void run(const CompletionOptions& options, Session& session);
CommandEntry completion_command();

/// The script for `commands`.
std::string bash_completion(const std::vector<CommandEntry>& commands);

}  // namespace knotwork::jobs
