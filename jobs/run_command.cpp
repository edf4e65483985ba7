// The application itself follows a job file to its command; here are only the words.
#include "jobs/run_command.h"

#include <stdexcept>

namespace knotwork::jobs {
namespace {

void run(const RunOptions& /*options*/, Session& /*session*/) {
  throw std::logic_error("the application prepares the job's own command instead of this one");
}

}  // namespace

void declare(RunOptions& options, OptionSet& set) {
  set.positional("job", &options.job, "job file (TOML): command = \"embed\" and its options as keys")
      .file()
      .value_name("JOB.toml")
      .required();
  set.add("set", &options.set, "lay values over the file's keys: train.epochs=2").value_name("KEY=VALUE...");
}

CommandEntry run_command() {
  return {.text = {.name = "run",
                   .arguments = "JOB.toml",
                   .summary = "do what a job file says",
                   .details = "Keys are the command's option names; tables group them for the reader and may have any "
                              "name.",
                   .examples = {"knotwork run github.toml", "knotwork run github.toml --set train.epochs=2 dim=64",
                                "mpirun -n 4 knotwork run github.toml"}},
          .heading = "Running",
          .make = command_of<RunOptions>(declare, run)};
}

}  // namespace knotwork::jobs
