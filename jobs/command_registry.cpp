// The list of commands: the only file that knows them all.
#include "jobs/command.h"
#include "jobs/completion_command.h"
#include "jobs/run_command.h"

namespace knotwork::jobs {

const std::vector<CommandEntry>& all_commands() {
  static const std::vector<CommandEntry> kCommands = {
      run_command(),
      completion_command(),
  };
  return kCommands;
}

const std::vector<std::string>& planned_commands() {
  static const std::vector<std::string> kPlanned = {"ppr", "infer", "doctor", "submit", "eval rank"};
  return kPlanned;
}

}  // namespace knotwork::jobs
