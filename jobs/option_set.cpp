// Conversion and checking of option values. All of it is here, so that the command line and job files agree.
#include "jobs/option_set.h"

#include <algorithm>
#include <cctype>
#include <charconv>
#include <cmath>
#include <limits>

#include "jobs/figures.h"
#include "jobs/nearest_name.h"
#include "partition/errors.h"

namespace knotwork::jobs {
namespace {

using partition::InputError;

template <typename... Functions>
struct Overloaded : Functions... {
  using Functions::operator()...;
};
template <typename... Functions>
Overloaded(Functions...) -> Overloaded<Functions...>;

std::string joined(const std::vector<std::string>& words) {
  std::string text;
  for (const std::string& word : words) text += (text.empty() ? "" : ", ") + word;
  return text;
}

/// One option's values on their way into its field.
class Setter {
 public:
  Setter(const Option& option, const Assignment& given, const NameStyle& style)
      : option_(option), given_(given), label_(style(option)) {}

  void set() const {
    std::visit(Overloaded{[&](bool* field) { *field = flag(); }, [&](std::optional<bool>* field) { *field = flag(); },
                          [&](std::uint32_t* field) { *field = whole<std::uint32_t>(single()); },
                          [&](std::uint64_t* field) { *field = whole<std::uint64_t>(single()); },
                          [&](double* field) { *field = real(single()); },
                          [&](std::optional<double>* field) { *field = real(single()); },
                          [&](std::optional<std::uint32_t>* field) { *field = whole<std::uint32_t>(single()); },
                          [&](std::string* field) { *field = text(single()); },
                          [&](std::vector<std::string>* field) { *field = many_texts(); },
                          [&](std::vector<double>* field) {
                            field->clear();
                            for (const std::string& item : listed()) field->push_back(real(item));
                          },
                          [&](std::vector<std::uint32_t>* field) {
                            field->clear();
                            for (const std::string& item : listed()) field->push_back(whole<std::uint32_t>(item));
                          }},
               option_.target);
  }

 private:
  [[noreturn]] void fail(const std::string& what) const { throw InputError(label_ + " " + what); }

  bool flag() const {
    if (given_.values.empty()) return !given_.negated;
    const std::string& value = single();
    if (value == "true" || value == "false") return (value == "true") != given_.negated;
    fail("is a switch: expected true or false, found '" + value + "'");
  }

  const std::string& single() const {
    if (given_.values.empty()) fail("needs a value");
    if (given_.values.size() > 1)
      fail("takes one value, found " + std::to_string(given_.values.size()) + ": " + joined(given_.values));
    return given_.values.front();
  }

  std::vector<std::string> listed() const {
    std::vector<std::string> items;
    for (const std::string& value : given_.values) {
      for (std::size_t start = 0; start <= value.size();) {
        const std::size_t end = std::min(value.find(',', start), value.size());
        items.push_back(value.substr(start, end - start));
        start = end + 1;
      }
    }
    if (items.empty()) fail("needs a value");
    return items;
  }

  std::string limits() const {
    const std::string high = plain_number(option_.maximum);
    const std::string low = plain_number(option_.minimum);
    if (std::isinf(option_.maximum)) return option_.open_below ? "above " + low : "at least " + low;
    return option_.open_below ? "above " + low + " and at most " + high : "between " + low + " and " + high;
  }

  void check_range(double value, const std::string& found) const {
    if (!option_.has_range) return;
    const bool low = option_.open_below ? !(value > option_.minimum) : !(value >= option_.minimum);
    if (low || value > option_.maximum) fail("must be " + limits() + ", found " + found);
  }

  template <typename Integer>
  Integer whole(const std::string& found) const {
    Integer value = 0;
    const char* end = found.data() + found.size();
    const auto result = std::from_chars(found.data(), end, value);
    const bool negative =
        found.size() > 1 && found[0] == '-' && std::isdigit(static_cast<unsigned char>(found[1])) != 0;
    if (option_.has_range && (negative || result.ec == std::errc::result_out_of_range))
      fail("must be " + limits() + ", found " + found);
    if (result.ec == std::errc::result_out_of_range)
      fail("must be at most " + std::to_string(std::numeric_limits<Integer>::max()) + ", found " + found);
    if (result.ec != std::errc{} || result.ptr != end) fail("must be a whole number, found '" + found + "'");
    check_range(static_cast<double>(value), found);
    return value;
  }

  double real(const std::string& found) const {
    double value = 0;
    const char* end = found.data() + found.size();
    const auto result = std::from_chars(found.data(), end, value);
    if (result.ec != std::errc{} || result.ptr != end || !std::isfinite(value))
      fail("must be a number, found '" + found + "'");
    check_range(value, found);
    return value;
  }

  std::string text(const std::string& found) const {
    if (found.empty()) fail("must not be empty");
    if (option_.words.empty() || std::ranges::find(option_.words, found) != option_.words.end()) return found;
    if (std::ranges::find(option_.planned_words, found) != option_.planned_words.end())
      fail(found + " is not built yet in this version (available: " + joined(option_.words) + ")");
    fail("must be one of " + joined(option_.words) + "; found '" + found + "'" + did_you_mean(found, option_.words));
  }

  std::vector<std::string> many_texts() const {
    std::vector<std::string> items;
    // Node names may hold commas, so free texts are not split; choices are.
    for (const std::string& item : option_.words.empty() ? given_.values : listed()) items.push_back(text(item));
    if (items.empty()) fail("needs a value");
    return items;
  }

  const Option& option_;
  const Assignment& given_;
  std::string label_;
};

}  // namespace

Option& Option::range(double low, double high) {
  minimum = low;
  maximum = high;
  has_range = true;
  return *this;
}

Option& Option::above(double low, double high) {
  open_below = true;
  return range(low, high);
}

Option& Option::choices(std::vector<std::string> allowed, std::vector<std::string> later) {
  words = std::move(allowed);
  planned_words = std::move(later);
  return *this;
}

Option& Option::value_name(std::string text) {
  metavar = std::move(text);
  return *this;
}

Option& Option::file() {
  kind = ValueKind::kFile;
  if (metavar.empty()) metavar = "FILE";
  return *this;
}

Option& Option::folder() {
  kind = ValueKind::kFolder;
  if (metavar.empty()) metavar = "DIR";
  return *this;
}

Option& Option::required() {
  is_required = true;
  return *this;
}

bool Option::is_flag() const {
  return std::holds_alternative<bool*>(target) || is_negatable();
}

bool Option::is_negatable() const {
  return std::holds_alternative<std::optional<bool>*>(target);
}

bool Option::takes_many() const {
  return std::holds_alternative<std::vector<std::string>*>(target) ||
         std::holds_alternative<std::vector<double>*>(target) ||
         std::holds_alternative<std::vector<std::uint32_t>*>(target);
}

Option& OptionSet::add(std::string_view names, OptionTarget target, std::string help) {
  const std::size_t comma = names.find(',');
  const char letter = comma == std::string_view::npos ? '\0' : names[comma + 1];
  return options_.emplace_back(std::string(names.substr(0, comma)), letter, target, std::move(help), heading_);
}

Option& OptionSet::positional(std::string name, OptionTarget target, std::string help) {
  Option& option = options_.emplace_back(std::move(name), '\0', target, std::move(help), "Arguments");
  option.is_positional = true;
  return option;
}

void OptionSet::planned(std::vector<std::string> names) {
  planned_.insert(planned_.end(), names.begin(), names.end());
}

std::vector<std::string> OptionSet::long_names() const {
  std::vector<std::string> names;
  for (const Option& option : options_) names.push_back(option.name);
  return names;
}

const Option* OptionSet::find(std::string_view name) const {
  const auto found = std::ranges::find_if(options_, [&](const Option& option) { return option.name == name; });
  return found == options_.end() ? nullptr : &*found;
}

Option* OptionSet::find_mutable(std::string_view name) {
  const auto found = std::ranges::find_if(options_, [&](const Option& option) { return option.name == name; });
  return found == options_.end() ? nullptr : &*found;
}

bool OptionSet::was_given(std::string_view name) const {
  const Option* option = find(name);
  return option != nullptr && option->was_given;
}

void OptionSet::assign(const std::vector<Assignment>& assignments, const NameStyle& style) {
  for (Option& option : options_) option.was_given = false;
  for (const Assignment& given : assignments) {
    Option* option = find_mutable(given.name);
    if (option == nullptr) throw InputError("unknown option " + given.name + did_you_mean(given.name, long_names()));
    Setter(*option, given, style).set();
    option->was_given = true;
  }
  for (const Option& option : options_) {
    if (option.is_required && !option.was_given) throw InputError("missing " + style(option) + ": " + option.help);
  }
  for (const auto& check : checks_) check();
}

std::vector<std::pair<std::string, OptionValue>> OptionSet::configuration() const {
  std::vector<std::pair<std::string, OptionValue>> values;
  for (const Option& option : options_) {
    OptionValue value = option_value(option);
    if (!option.is_configuration || std::holds_alternative<std::monostate>(value)) continue;
    values.emplace_back(option.name, std::move(value));
  }
  return values;
}

std::vector<std::pair<std::string, std::string>> OptionSet::configuration_text() const {
  std::vector<std::pair<std::string, std::string>> lines;
  for (const auto& [name, value] : configuration()) lines.emplace_back(name, option_text(value));
  return lines;
}

std::string command_line_name(const Option& option) {
  if (!option.is_positional) return "--" + option.name;
  if (!option.metavar.empty() && option.metavar != "FILE" && option.metavar != "DIR") return option.metavar;
  std::string upper = option.name;
  std::ranges::transform(upper, upper.begin(), [](unsigned char c) { return static_cast<char>(std::toupper(c)); });
  return upper;
}

OptionValue option_value(const Option& option) {
  return std::visit(Overloaded{[](const bool* field) -> OptionValue { return *field; },
                               [](const std::optional<bool>* field) -> OptionValue {
                                 return field->has_value() ? OptionValue(**field) : OptionValue();
                               },
                               [](const std::uint32_t* field) -> OptionValue { return std::uint64_t{*field}; },
                               [](const std::uint64_t* field) -> OptionValue { return *field; },
                               [](const double* field) -> OptionValue { return *field; },
                               [](const std::optional<double>* field) -> OptionValue {
                                 return field->has_value() ? OptionValue(**field) : OptionValue();
                               },
                               [](const std::optional<std::uint32_t>* field) -> OptionValue {
                                 return field->has_value() ? OptionValue(std::uint64_t{**field}) : OptionValue();
                               },
                               [](const std::string* field) -> OptionValue {
                                 return field->empty() ? OptionValue() : OptionValue(*field);
                               },
                               [](const std::vector<std::string>* field) -> OptionValue { return *field; },
                               [](const std::vector<double>* field) -> OptionValue { return *field; },
                               [](const std::vector<std::uint32_t>* field) -> OptionValue {
                                 return std::vector<double>(field->begin(), field->end());
                               }},
                    option.target);
}

std::string option_text(const OptionValue& value) {
  return std::visit(
      Overloaded{[](std::monostate) -> std::string { return ""; },
                 [](bool flag) -> std::string { return flag ? "yes" : "no"; },
                 [](std::uint64_t number) { return std::to_string(number); },
                 [](double number) { return plain_number(number); }, [](const std::string& text) { return text; },
                 [](const std::vector<std::string>& items) { return joined(items); },
                 [](const std::vector<double>& items) {
                   std::vector<std::string> texts;
                   for (const double item : items) texts.push_back(plain_number(item));
                   return joined(texts);
                 }},
      value);
}

}  // namespace knotwork::jobs
