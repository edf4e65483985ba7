// Job files: a command and its options in TOML, so that a run can be kept, changed and repeated.
//
//     command = "embed"
//     [graph]
//     graph = "github.tsv.gz"
//     [train]
//     dim = 128
//     [output]
//     output = "github.npy"
//
// Keys are the long option names (and the arguments' names, in lower case) without dashes before them; '_' may stand
// for '-'. Tables only group keys for the reader: any table name may be used, and a key means the same in each.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "jobs/option_set.h"

namespace knotwork::jobs {

/// A job as the file and --set give it; `keys` are still unchecked names.
struct Job {
  std::string file;
  /// Words of the command: {"embed"}, {"eval", "linkpred"}.
  std::vector<std::string> command;
  std::vector<Assignment> keys;
  /// Line of each key in the file, 0 for --set.
  std::vector<std::size_t> lines;
};

/// Reads `path` and lays `overrides` ("train.epochs=2") over it. Throws partition::InputError (file and line): not
/// readable, not TOML, no command, a key twice, a value that is no text, number, truth value or list of those, an
/// override without '='.
Job read_job(const std::string& path, std::span<const std::string> overrides);

/// Checks the keys against the command's options, naming the nearest known key of an unknown one, and returns the
/// assignments. Throws partition::InputError.
std::vector<Assignment> job_assignments(const Job& job, const OptionSet& set);

}  // namespace knotwork::jobs
