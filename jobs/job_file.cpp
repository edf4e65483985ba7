// toml++ reads the file (it is known here only).
#include "jobs/job_file.h"

#include <algorithm>
#include <fstream>
#include <sstream>

#include <toml++/toml.h>

#include "jobs/figures.h"
#include "jobs/nearest_name.h"
#include "partition/errors.h"

namespace knotwork::jobs {
namespace {

using partition::InputError;

std::string place(const std::string& file, std::size_t line) {
  return line == 0 ? "--set" : file + ":" + std::to_string(line);
}

std::string option_name(std::string_view key) {
  std::string name(key);
  std::ranges::replace(name, '_', '-');
  return name;
}

std::size_t line_of(const toml::node& node) {
  return node.source().begin.line;
}

std::string scalar_text(const toml::node& node, const std::string& where) {
  if (const auto* text = node.as_string()) return text->get();
  if (const auto* number = node.as_integer()) return std::to_string(number->get());
  if (const auto* number = node.as_floating_point()) return plain_number(number->get());
  if (const auto* flag = node.as_boolean()) return flag->get() ? "true" : "false";
  throw InputError(where + ": expected a text, a number, true or false");
}

/// Sets key in job, replacing an earlier value only for an override.
void put(Job& job, const std::string& key, std::vector<std::string> values, std::size_t line) {
  const auto same = std::ranges::find(job.keys, key, &Assignment::name);
  if (same == job.keys.end()) {
    job.keys.push_back({key, std::move(values), false});
    job.lines.push_back(line);
    return;
  }
  const auto index = static_cast<std::size_t>(same - job.keys.begin());
  if (line != 0)
    throw InputError(place(job.file, line) + ": key '" + key + "' is given twice, first at line " +
                     std::to_string(job.lines[index]));
  same->values = std::move(values);
  job.lines[index] = 0;
}

void flatten(const toml::table& table, Job& job) {
  for (const auto& [key, node] : table) {
    if (const auto* inner = node.as_table()) {
      flatten(*inner, job);
      continue;
    }
    const std::string where = place(job.file, line_of(node)) + ": " + std::string(key.str());
    std::vector<std::string> values;
    if (const auto* list = node.as_array()) {
      for (const toml::node& item : *list) values.push_back(scalar_text(item, where));
    } else {
      values.push_back(scalar_text(node, where));
    }
    put(job, option_name(key.str()), std::move(values), line_of(node));
  }
}

void take_command(Job& job) {
  const auto found = std::ranges::find(job.keys, "command", &Assignment::name);
  if (found == job.keys.end())
    throw InputError(job.file + ": no key 'command'; expected for example command = \"embed\"");
  std::string text;
  for (const std::string& value : found->values) text += value + " ";
  std::istringstream words(text);
  for (std::string word; words >> word;) job.command.push_back(word);
  if (job.command.empty()) throw InputError(job.file + ": key 'command' is empty");
  job.lines.erase(job.lines.begin() + (found - job.keys.begin()));
  job.keys.erase(found);
}

}  // namespace

Job read_job(const std::string& path, std::span<const std::string> overrides) {
  std::ifstream file(path, std::ios::binary);
  std::stringstream bytes;
  if (!file || !(bytes << file.rdbuf())) throw InputError("cannot read the job file " + path);
  Job job;
  job.file = path;
  try {
    flatten(toml::parse(bytes.str(), path), job);
  } catch (const toml::parse_error& error) {
    throw InputError(place(path, error.source().begin.line) + ": " + std::string(error.description()));
  }
  for (const std::string& text : overrides) {
    const std::size_t equals = text.find('=');
    if (equals == std::string::npos || equals == 0)
      throw InputError("--set needs KEY=VALUE, as in train.epochs=2; found '" + text + "'");
    const std::string key = text.substr(0, equals);
    put(job, option_name(key.substr(key.rfind('.') + 1)), {text.substr(equals + 1)}, 0);
  }
  take_command(job);
  return job;
}

std::vector<Assignment> job_assignments(const Job& job, const OptionSet& set) {
  std::vector<Assignment> assignments;
  for (std::size_t i = 0; i < job.keys.size(); ++i) {
    const Assignment& given = job.keys[i];
    const std::string where = place(job.file, job.lines[i]);
    if (std::ranges::find(set.planned_names(), given.name) != set.planned_names().end())
      throw InputError(where + ": key '" + given.name + "' is not built yet in this version");
    const Option* option = set.find(given.name);
    if (option == nullptr)
      throw InputError(where + ": unknown key '" + given.name + "'" + did_you_mean(given.name, set.long_names()));
    if (given.values.empty()) throw InputError(where + ": key '" + given.name + "' is an empty list");
    assignments.push_back(given);
  }
  return assignments;
}

}  // namespace knotwork::jobs
