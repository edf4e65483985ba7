// From words or a job file to a command whose options are set and checked, ready to run. `knotwork run` runs it,
// `knotwork submit` only asks whether it could be run: so both find the same mistakes.
#pragma once

#include <memory>
#include <span>
#include <string>

#include "jobs/cluster_options.h"
#include "jobs/command.h"
#include "jobs/launch.h"
#include "jobs/option_set.h"

namespace knotwork::jobs {

/// A command with its options, ready to run. Its options point into itself, so it stays where it was made.
struct PreparedCommand {
  const CommandEntry* entry = nullptr;
  std::unique_ptr<Command> command;
  SessionOptions session;
  /// Of watched commands only.
  ClusterOptions cluster;
  OptionSet set;
};

/// Makes prepared.entry's command and declares its options and the session's; nothing is set yet.
void declare_all(PreparedCommand& prepared, const Launch& launch);

/// `words` are those behind "knotwork". For `run` it is the job's own command that is prepared. Throws
/// partition::InputError on an unknown command, option, key or value.
std::unique_ptr<PreparedCommand> prepare_command(std::span<const std::string> words, const Launch& launch);

}  // namespace knotwork::jobs
