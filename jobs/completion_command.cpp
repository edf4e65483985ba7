// The script asks two tables (options of a command, values of an option) in a `case` each; see bash(1), "Programmable
// Completion".
#include "jobs/completion_command.h"

#include <map>
#include <set>

#include "jobs/console.h"

namespace knotwork::jobs {
namespace {

constexpr const char* kScript = R"BASH(
_knotwork() {
  local current=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD-1]}
  local command=${COMP_WORDS[1]} words
  COMPREPLY=()
  if [[ $COMP_CWORD -eq 1 ]]; then
    COMPREPLY=($(compgen -W "$_knotwork_commands help --version" -- "$current"))
    return
  fi
  words=$(_knotwork_second_words "$command")
  if [[ -n $words ]]; then
    if [[ $COMP_CWORD -eq 2 ]]; then
      COMPREPLY=($(compgen -W "$words" -- "$current"))
      return
    fi
    command="$command ${COMP_WORDS[2]}"
  fi
  if [[ $command == help ]]; then
    [[ $COMP_CWORD -eq 2 ]] && COMPREPLY=($(compgen -W "$_knotwork_commands" -- "$current"))
    return
  fi
  if [[ $previous == -* ]]; then
    words=$(_knotwork_values "$command" "$previous")
    case $words in
      '') ;;
      :file) COMPREPLY=($(compgen -f -- "$current")); return ;;
      :folder) COMPREPLY=($(compgen -d -- "$current")); return ;;
      :any) return ;;
      *) COMPREPLY=($(compgen -W "$words" -- "$current")); return ;;
    esac
  fi
  if [[ $current == -* ]]; then
    COMPREPLY=($(compgen -W "$(_knotwork_options "$command")" -- "$current"))
  else
    COMPREPLY=($(compgen -f -- "$current"))
  fi
}
complete -o filenames -F _knotwork knotwork
)BASH";

void append_word(std::string& list, const std::string& word) {
  list.append(list.empty() ? "" : " ").append(word);
}

std::string values_of(const Option& option) {
  std::string text;
  for (const std::string& word : option.words) append_word(text, word);
  if (!text.empty()) return text;
  if (option.kind == ValueKind::kFile) return ":file";
  return option.kind == ValueKind::kFolder ? ":folder" : ":any";
}

/// A pattern of the script's `case`: 'embed|--dim'.
std::string quoted(const std::string& command, const std::string& option) {
  std::string text = "'";
  return text.append(command).append("|").append(option).append("'");
}

void add_command(const CommandEntry& entry, std::string& options_cases, std::string& values_cases) {
  const std::unique_ptr<Command> command = entry.make();
  SessionOptions session;
  OptionSet set;
  command->declare(set);
  declare(session, set);
  std::string options;
  for (const Option& option : set.options()) {
    if (option.is_positional) continue;
    const std::string name = "--" + option.name;
    append_word(options, name);
    if (option.is_negatable()) append_word(options, "--no-" + option.name);
    if (option.is_flag()) continue;
    values_cases.append("    ").append(quoted(entry.text.name, name));
    if (option.short_name != 0) values_cases.append("|").append(quoted(entry.text.name, {'-', option.short_name}));
    values_cases.append(") echo '").append(values_of(option)).append("' ;;\n");
  }
  options_cases.append("    '").append(entry.text.name).append("') echo '").append(options).append("' ;;\n");
}

}  // namespace

void declare(CompletionOptions& options, OptionSet& set) {
  set.positional("shell", &options.shell, "the shell").choices({"bash"});
}

std::string bash_completion(const std::vector<CommandEntry>& commands) {
  std::string options_cases;
  std::string values_cases;
  std::set<std::string> first_words;
  std::map<std::string, std::string> second_words;
  for (const CommandEntry& entry : commands) {
    const std::size_t blank = entry.text.name.find(' ');
    first_words.insert(entry.text.name.substr(0, blank));
    if (blank != std::string::npos)
      append_word(second_words[entry.text.name.substr(0, blank)], entry.text.name.substr(blank + 1));
    add_command(entry, options_cases, values_cases);
  }
  std::string script = "# bash completion for knotwork; written by 'knotwork completion bash'.\n";
  script += "_knotwork_commands='";
  std::string first_list;
  for (const std::string& word : first_words) append_word(first_list, word);
  script += first_list + "'\n\n_knotwork_second_words() {\n  case $1 in\n";
  for (const auto& [first, second] : second_words)
    script.append("    ").append(first).append(") echo '").append(second).append("' ;;\n");
  script += "  esac\n}\n\n_knotwork_options() {\n  case $1 in\n" + options_cases;
  script += "  esac\n}\n\n_knotwork_values() {\n  case \"$1|$2\" in\n" + values_cases + "  esac\n}\n";
  return script + kScript;
}

void run(const CompletionOptions& /*options*/, Session& session) {
  session.console.result(bash_completion(all_commands()));
}

CommandEntry completion_command() {
  return {.text = {.name = "completion",
                   .arguments = "bash",
                   .summary = "print the completion script of a shell",
                   .examples = {"source <(knotwork completion bash)"}},
          .make = command_of<CompletionOptions>(declare, run)};
}

}  // namespace knotwork::jobs
