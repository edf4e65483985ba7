// CLI11 splits the words (it is known here only); names, values and limits are option_set's business, so that job files
// are checked by the same code.
#include "jobs/command_line.h"

#include <algorithm>
#include <deque>

#include <CLI/CLI.hpp>

#include "jobs/nearest_name.h"
#include "partition/errors.h"

namespace knotwork::jobs {
namespace {

using partition::InputError;

/// One option as CLI11 filled it.
struct Sink {
  const Option* option = nullptr;
  CLI::Option* parsed = nullptr;
  CLI::Option* negation = nullptr;
  std::vector<std::string> values;
};

void declare_option(CLI::App& app, Sink& sink) {
  const Option& option = *sink.option;
  std::string names = option.is_positional ? option.name : "--" + option.name;
  if (option.short_name != 0) names = std::string("-") + option.short_name + "," + names;
  if (option.is_flag()) {
    sink.parsed = app.add_flag(names);
    if (option.is_negatable()) sink.negation = app.add_flag("--no-" + option.name);
    return;
  }
  sink.parsed = app.add_option(names, [&sink](const CLI::results_t& results) {
    sink.values = results;
    return true;
  });
  sink.parsed->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
  // --set and --source take all that follow: knotwork run JOB --set a=1 b=2.
  const bool takes_all = option.is_positional || option.name == "set" || option.name == "source";
  if (option.takes_many() && takes_all) sink.parsed->expected(1, 1 << 20);
}

std::vector<std::string> option_names(const OptionSet& set) {
  std::vector<std::string> names;
  for (const Option& option : set.options()) {
    if (option.is_positional) continue;
    names.push_back("--" + option.name);
    if (option.is_negatable()) names.push_back("--no-" + option.name);
  }
  return names;
}

[[noreturn]] void refuse(const std::vector<std::string>& extras, const OptionSet& set) {
  const auto dashed = std::ranges::find_if(extras, [](const std::string& word) { return word.starts_with('-'); });
  if (dashed == extras.end()) throw InputError("unexpected argument '" + extras.front() + "'");
  const std::string word = dashed->substr(0, dashed->find('='));
  const std::string bare = word.substr(std::min(word.size(), word.find_first_not_of('-')));
  if (std::ranges::find(set.planned_names(), bare) != set.planned_names().end())
    throw InputError("--" + bare + " is not built yet in this version");
  const std::vector<std::string> names = option_names(set);
  throw InputError("unknown option " + word + did_you_mean(word.starts_with("--") ? word : "--" + bare, names));
}

}  // namespace

std::vector<Assignment> parse_options(std::span<const std::string> words, const OptionSet& set) {
  CLI::App app;
  app.set_help_flag();
  app.allow_extras();
  std::deque<Sink> sinks;
  for (const Option& option : set.options()) {
    Sink& sink = sinks.emplace_back();
    sink.option = &option;
    declare_option(app, sink);
  }
  try {
    app.parse(std::vector<std::string>(words.rbegin(), words.rend()));
  } catch (const CLI::ArgumentMismatch& error) {
    const std::string text = error.what();
    throw InputError(text.substr(0, text.find(':')) + " needs a value");
  } catch (const CLI::ParseError& error) {
    throw InputError(error.what());
  }
  if (const std::vector<std::string> extras = app.remaining(); !extras.empty()) refuse(extras, set);
  std::vector<Assignment> assignments;
  for (Sink& sink : sinks) {
    if (sink.option->is_flag()) {
      const bool positive = sink.parsed->count() > 0;
      const bool negative = sink.negation != nullptr && sink.negation->count() > 0;
      if (positive && negative)
        throw InputError("--" + sink.option->name + " and --no-" + sink.option->name + " exclude each other");
      if (positive || negative) {
        const auto& given = positive ? sink.parsed->results() : sink.negation->results();
        assignments.push_back({sink.option->name, {given.front()}, negative});
      }
    } else if (sink.parsed->count() > 0) {
      assignments.push_back({sink.option->name, std::move(sink.values), false});
    }
  }
  return assignments;
}

CommandChoice choose_command(std::span<const std::string> words, const std::vector<CommandEntry>& commands) {
  const std::string two = words.size() > 1 ? words[0] + " " + words[1] : words[0];
  std::vector<std::string> names;
  std::vector<std::string> second_words;
  for (const CommandEntry& entry : commands) {
    const std::string& name = entry.text.name;
    if (name == two && two != words[0]) return {&entry, 2};
    if (name == words[0]) return {&entry, 1};
    names.push_back(name.substr(0, name.find(' ')));
    if (name.starts_with(words[0] + " ")) second_words.push_back(name.substr(words[0].size() + 1));
  }
  const auto is_planned = [](const std::string& name) {
    return std::ranges::find(planned_commands(), name) != planned_commands().end();
  };
  if (is_planned(two)) throw InputError("'" + two + "' is not built yet in this version");
  if (is_planned(words[0])) throw InputError("'" + words[0] + "' is not built yet in this version");
  if (second_words.empty()) throw InputError("unknown command '" + words[0] + "'" + did_you_mean(words[0], names));
  std::string list;
  for (const std::string& word : second_words) list += (list.empty() ? "" : ", ") + word;
  if (words.size() < 2 || words[1].starts_with('-')) throw InputError("'" + words[0] + "' needs one of " + list);
  throw InputError("unknown command '" + two + "': expected one of " + list + did_you_mean(words[1], second_words));
}

}  // namespace knotwork::jobs
