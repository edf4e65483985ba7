#include "jobs/prepared_command.h"

#include <algorithm>
#include <vector>

#include "jobs/command_line.h"
#include "jobs/job_file.h"
#include "jobs/run_command.h"
#include "partition/errors.h"

namespace knotwork::jobs {
namespace {

using partition::InputError;

/// `run JOB`: reads the file and prepares the command that it names. The session's options on the command line itself
/// (--quiet, --json, ...) come last and win.
void prepare_job(std::span<const std::string> words, const Launch& launch, PreparedCommand& prepared) {
  RunOptions options;
  SessionOptions session;
  OptionSet run_set;
  declare(options, run_set);
  declare(session, run_set);
  std::vector<Assignment> own = parse_options(words, run_set);
  run_set.assign(own, command_line_name);
  const Job job = read_job(options.job, options.set);
  const CommandChoice choice = choose_command(job.command, all_commands());
  if (choice.words != job.command.size() || choice.entry->text.name == "run" || choice.entry->text.name == "submit")
    throw InputError(job.file + ": key 'command' must name one command other than run and submit");
  prepared.entry = choice.entry;
  declare_all(prepared, launch);
  std::erase_if(own, [](const Assignment& given) { return given.name == "job" || given.name == "set"; });
  std::vector<Assignment> assignments = job_assignments(job, prepared.set);
  assignments.insert(assignments.end(), own.begin(), own.end());
  prepared.set.assign(assignments, [&](const Option& option) { return job.file + ": " + option.name; });
}

}  // namespace

void declare_all(PreparedCommand& prepared, const Launch& launch) {
  prepared.command = prepared.entry->make();
  prepared.command->declare(prepared.set);
  if (prepared.entry->is_watched) declare(prepared.cluster, prepared.set);
  prepared.session.threads = default_threads(launch);
  declare(prepared.session, prepared.set);
}

std::unique_ptr<PreparedCommand> prepare_command(std::span<const std::string> words, const Launch& launch) {
  auto prepared = std::make_unique<PreparedCommand>();
  const CommandChoice choice = choose_command(words, all_commands());
  const std::span<const std::string> rest = words.subspan(choice.words);
  if (choice.entry->text.name == "run") {
    prepare_job(rest, launch, *prepared);
    return prepared;
  }
  prepared->entry = choice.entry;
  declare_all(*prepared, launch);
  prepared->set.assign(parse_options(rest, prepared->set), command_line_name);
  return prepared;
}

}  // namespace knotwork::jobs
