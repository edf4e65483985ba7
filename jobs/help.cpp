// Help texts, written from the same declarations that the parser reads.
#include <algorithm>
#include <cctype>
#include <cstdint>
#include <string>
#include <vector>

#include "jobs/command_line.h"
#include "jobs/figures.h"
#include "jobs/table.h"

namespace knotwork::jobs {
namespace {

constexpr std::size_t kNameColumn = 26;

/// Words of `text`, wrapped at `columns`, all lines but the first indented by `indent`.
std::string wrapped(const std::string& text, std::size_t indent, std::size_t columns) {
  const std::size_t width = std::max<std::size_t>(columns, indent + 24) - indent;
  std::string result;
  std::size_t used = 0;
  for (std::size_t start = 0; start < text.size();) {
    const std::size_t end = std::min(text.find(' ', start), text.size());
    const std::string word = text.substr(start, end - start);
    start = end + 1;
    if (used > 0 && used + 1 + display_width(word) > width) {
      result += "\n" + std::string(indent, ' ');
      used = 0;
    }
    result += (used > 0 ? " " : "") + word;
    used += display_width(word) + (used > 0 ? 1 : 0);
  }
  return result;
}

std::string metavar(const Option& option) {
  if (option.is_flag()) return "";
  if (!option.metavar.empty()) return option.metavar;
  if (!option.words.empty()) return "NAME";
  const OptionTarget& target = option.target;
  const bool whole = std::holds_alternative<std::uint32_t*>(target) || std::holds_alternative<std::uint64_t*>(target) ||
                     std::holds_alternative<std::optional<std::uint32_t>*>(target);
  if (whole) return "N";
  const bool real = std::holds_alternative<double*>(target) || std::holds_alternative<std::optional<double>*>(target);
  return real ? "X" : "TEXT";
}

std::string left_side(const Option& option) {
  if (option.is_positional) return command_line_name(option) + (option.takes_many() ? "..." : "");
  std::string text = option.short_name != 0 ? std::string("-") + option.short_name + ", " : "    ";
  text += option.is_negatable() ? "--[no-]" + option.name : "--" + option.name;
  const std::string value = metavar(option);
  return value.empty() ? text : text + " " + value;
}

std::string right_side(const Option& option) {
  std::string text = option.help;
  if (!option.words.empty()) {
    std::string list;
    for (const std::string& word : option.words) list += (list.empty() ? "" : ", ") + word;
    text += ": " + list;
  }
  if (option.is_required) return option.is_positional ? text : text + " (required)";
  const std::string value = option_text(option_value(option));
  const bool says_nothing = option.is_flag() || value.empty();
  return says_nothing ? text : text + " [" + value + "]";
}

}  // namespace

std::string help_text(const CommandText& text, const OptionSet& set, std::size_t columns) {
  std::string help = "Usage: knotwork " + text.name + " " + text.arguments + " [options]\n\n";
  std::string description = text.summary + "." + (text.details.empty() ? "" : " " + text.details);
  description[0] = static_cast<char>(std::toupper(static_cast<unsigned char>(description[0])));
  help += wrapped(description, 0, columns) + "\n";
  std::vector<std::string> groups;
  for (const Option& option : set.options()) {
    if (std::ranges::find(groups, option.group) == groups.end()) groups.push_back(option.group);
  }
  for (const std::string& group : groups) {
    help += "\n" + group + ":\n";
    for (const Option& option : set.options()) {
      if (option.group != group) continue;
      std::string left = "  " + left_side(option);
      left += left.size() + 2 > kNameColumn ? "\n" + std::string(kNameColumn, ' ')
                                            : std::string(kNameColumn - left.size(), ' ');
      help += left + wrapped(right_side(option), kNameColumn, columns) + "\n";
    }
  }
  if (!text.examples.empty()) help += "\nExamples:\n";
  for (const std::string& line : text.examples) help += "  " + line + "\n";
  return help;
}

std::string overview_text(const std::vector<CommandEntry>& commands) {
  std::string text =
      "Knotwork embeds graphs: an edge list goes in, a vector for every node comes out.\n\n"
      "Usage: knotwork COMMAND [options]\n";
  std::string heading;
  std::size_t width = 0;
  for (const CommandEntry& entry : commands) width = std::max(width, entry.text.name.size());
  for (const CommandEntry& entry : commands) {
    if (entry.heading.empty()) continue;  // for scripts, not for people
    if (entry.heading != heading) text += "\n" + entry.heading + ":\n";
    heading = entry.heading;
    text += "  " + entry.text.name + std::string(width + 2 - entry.text.name.size(), ' ') + entry.text.summary + "\n";
  }
  text += "\n'knotwork help COMMAND' shows a command's options and examples; 'knotwork --version' the version.\n";
  return text;
}

}  // namespace knotwork::jobs
