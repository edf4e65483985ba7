// What every command of `knotwork` is: words for its help, options, and a function that does the work.
//
// Each command has a header with a documented options struct, `declare` (which options set which fields) and `run`.
// command_registry.cpp lists them all.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "jobs/option_set.h"

namespace knotwork::cluster {
class Communicator;
}

namespace knotwork::jobs {

struct ClusterOptions;
class Console;
class Interruption;
class MetricsRegistry;
class Report;

/// Options that every command takes.
struct SessionOptions {
  /// Threads of this process; 0 until resolved to one a core of this process' share.
  std::uint32_t threads = 0;
  bool quiet = false;
  /// Log file; empty: none.
  std::string log;
  /// Where every figure goes as JSON; empty: nowhere.
  std::string json;
};

void declare(SessionOptions& options, OptionSet& set);

/// What a running command works with; built by the application, never global.
struct Session {
  const SessionOptions& options;
  Console& console;
  Report& report;
  /// All ranks of the job; null for commands that run on one process only.
  cluster::Communicator* communicator = nullptr;
  /// Null in tests.
  Interruption* interruption = nullptr;
  /// Null where the communicator is.
  const ClusterOptions* cluster = nullptr;
  /// What of this process can be watched over HTTP; null where there are no cluster options.
  MetricsRegistry* metrics = nullptr;
  /// What the process ends with if nothing throws: for commands whose verdict is an exit code (doctor, submit --wait).
  int exit_code = 0;
  /// The command line behind the program's name, for messages.
  std::vector<std::string> words = {};

  /// Removes `path` if the user presses Ctrl-C.
  void watch(const std::string& path) const;
};

struct CommandText {
  std::string name;       ///< "embed", "eval linkpred"
  std::string arguments;  ///< "GRAPH -o OUT"
  std::string summary;    ///< one line for the list of commands
  std::string details;    ///< paragraph(s) for the command's own help; may be empty
  /// Lines of the help's footer: a command line each, or "# comment".
  std::vector<std::string> examples;
};

class Command {
 public:
  virtual ~Command() = default;
  virtual void declare(OptionSet& set) = 0;
  virtual void run(Session& session) = 0;
};

/// An entry of the registry.
struct CommandEntry {
  CommandText text;
  /// Heading in the list of commands.
  std::string heading;
  /// Prints its configuration at the start (long commands).
  bool shows_configuration = false;
  /// Runs on all ranks under mpirun; others run on the first rank only.
  bool is_distributed = false;
  /// Of a distributed command: ranks that don't fit together or get lost end the job, and ClusterOptions say how.
  bool is_watched = false;
  std::function<std::unique_ptr<Command>()> make;
};

/// Binds an options struct to its two functions.
template <typename Options>
class CommandOf final : public Command {
 public:
  using Declare = void (*)(Options&, OptionSet&);
  using Run = void (*)(const Options&, Session&);

  CommandOf(Declare declare_options, Run run_command) : declare_(declare_options), run_(run_command) {}
  void declare(OptionSet& set) override { declare_(options_, set); }
  void run(Session& session) override { run_(options_, session); }

 private:
  Options options_;
  Declare declare_;
  Run run_;
};

template <typename Options>
std::function<std::unique_ptr<Command>()> command_of(void (*declare)(Options&, OptionSet&),
                                                     void (*run)(const Options&, Session&)) {
  return [declare, run] { return std::make_unique<CommandOf<Options>>(declare, run); };
}

/// All commands of this version, in the order of the help.
const std::vector<CommandEntry>& all_commands();

/// Commands of the contract that this version refuses as "not built yet".
const std::vector<std::string>& planned_commands();

}  // namespace knotwork::jobs
