// `knotwork run JOB.toml`: a command and its options from a job file (jobs/job_file.h).
#pragma once

#include <string>
#include <vector>

#include "jobs/command.h"

namespace knotwork::jobs {

struct RunOptions {
  /// The job file.
  std::string job;
  /// KEY=VALUE laid over the file's keys.
  std::vector<std::string> set;
};

void declare(RunOptions& options, OptionSet& set);
CommandEntry run_command();

}  // namespace knotwork::jobs
