// Another program, started and waited for (posix_spawn(3)): no shell, so that no word is taken for something else.
#pragma once

#include <functional>
#include <string>
#include <vector>

namespace knotwork::jobs {

/// Runs `words` (words[0] is looked up in PATH) and calls `on_line` for every line of its standard output as it comes;
/// standard error is this process' own. Returns the exit code, 128 + the signal's number if a signal ended it.
/// Throws partition::SystemError if it can't be started.
int run_program(const std::vector<std::string>& words, const std::function<void(const std::string&)>& on_line);

}  // namespace knotwork::jobs
