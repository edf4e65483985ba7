// From words on the command line to a command and its assignments; the help texts.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "jobs/command.h"
#include "jobs/option_set.h"

namespace knotwork::jobs {

/// The command that `words` begin with, and how many of the words name it (1, or 2 as in "eval linkpred").
struct CommandChoice {
  const CommandEntry* entry = nullptr;
  std::size_t words = 0;
};

/// Throws partition::InputError on an unknown command (names the nearest) and on one that is not built yet.
CommandChoice choose_command(std::span<const std::string> words, const std::vector<CommandEntry>& commands);

/// Splits `words` (those behind the command) into assignments. Throws partition::InputError on an unknown option (names
/// the nearest), a missing value, too many arguments.
std::vector<Assignment> parse_options(std::span<const std::string> words, const OptionSet& set);

/// The list of commands.
std::string overview_text(const std::vector<CommandEntry>& commands);

/// Help of one command, wrapped at `columns`.
std::string help_text(const CommandText& text, const OptionSet& set, std::size_t columns);

}  // namespace knotwork::jobs
