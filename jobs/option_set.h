// What a command understands: names, types, defaults, limits and help of its options, declared once.
//
// From one declaration come the command line's parser, the job file's keys, the help text, shell completion, the
// configuration printed at the start and the one in --json. So a name or a limit cannot differ between them.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace knotwork::jobs {

/// The field of a command's options struct that an option sets. bool: a flag; optional<bool>: a flag with a --no- twin;
/// other optionals: empty until given or resolved; vectors take several values, or one with commas (numbers).
using OptionTarget = std::variant<bool*, std::optional<bool>*, std::uint32_t*, std::uint64_t*, double*,
                                  std::optional<double>*, std::optional<std::uint32_t>*, std::string*,
                                  std::vector<std::string>*, std::vector<double>*, std::vector<std::uint32_t>*>;

/// A value for --json.
using OptionValue = std::variant<std::monostate, bool, std::uint64_t, double, std::string, std::vector<std::string>,
                                 std::vector<double>>;

/// What shells offer after the option.
enum class ValueKind : std::uint8_t { kWord, kFile, kFolder };

/// One option or positional argument. The chained setters return the option itself.
class Option {
 public:
  Option(std::string long_name, char letter, OptionTarget field, std::string description, std::string heading)
      : name(std::move(long_name)),
        short_name(letter),
        target(field),
        help(std::move(description)),
        group(std::move(heading)) {}

  /// Numbers must lie in [low, high].
  Option& range(double low, double high);
  /// As range, without the lower limit itself (a step must be > 0).
  Option& above(double low, double high);
  /// Texts must be one of `words`; `planned` ones are refused as "not built yet".
  Option& choices(std::vector<std::string> words, std::vector<std::string> planned = {});
  Option& value_name(std::string text);
  Option& file();
  Option& folder();
  Option& required();

  bool is_flag() const;
  bool is_negatable() const;
  bool takes_many() const;

  std::string name;
  char short_name = 0;
  OptionTarget target;
  std::string help;
  std::string group;
  std::string metavar;
  std::vector<std::string> words;
  std::vector<std::string> planned_words;
  ValueKind kind = ValueKind::kWord;
  double minimum = 0;
  double maximum = 0;
  bool has_range = false;
  bool open_below = false;
  bool is_required = false;
  bool is_positional = false;
  bool was_given = false;
  /// False: not part of the printed configuration (--help-like options, positional output names are).
  bool is_configuration = true;
};

/// Values given for one name, on the command line or in a job file. A flag's values are empty; `negated`: --no-NAME.
struct Assignment {
  std::string name;
  std::vector<std::string> values;
  bool negated = false;
};

/// How messages name an option: "--dim" on the command line, "train.toml: dim" in a job file.
using NameStyle = std::function<std::string(const Option&)>;

/// Keeps pointers into the options struct: the struct must outlive the set.
class OptionSet {
 public:
  OptionSet() = default;
  OptionSet(const OptionSet&) = delete;
  OptionSet& operator=(const OptionSet&) = delete;

  /// Heading of the options declared from here on in the help.
  void group(std::string heading) { heading_ = std::move(heading); }
  /// `names`: "dim" or "output,o" (long name, one-letter name).
  Option& add(std::string_view names, OptionTarget target, std::string help);
  /// Filled in the order of declaration; one that takes many must come last.
  Option& positional(std::string name, OptionTarget target, std::string help);
  /// Names of the contract that this version refuses as "not built yet".
  void planned(std::vector<std::string> names);
  /// Called after all values are set: defaults that hang on other options, checks across options.
  void on_resolved(std::function<void()> check) { checks_.push_back(std::move(check)); }

  const std::deque<Option>& options() const { return options_; }
  const std::vector<std::string>& planned_names() const { return planned_; }
  std::vector<std::string> long_names() const;
  const Option* find(std::string_view name) const;
  bool was_given(std::string_view name) const;

  /// Sets the fields, checks limits, required options and the on_resolved checks.
  /// Throws partition::InputError: unknown or unbuilt name, not a number, out of range, not one of the words, missing.
  void assign(const std::vector<Assignment>& assignments, const NameStyle& style);

  /// The resolved configuration in the order of declaration: as text, and typed for --json.
  std::vector<std::pair<std::string, std::string>> configuration_text() const;
  std::vector<std::pair<std::string, OptionValue>> configuration() const;

 private:
  Option* find_mutable(std::string_view name);

  std::deque<Option> options_;
  std::vector<std::string> planned_;
  std::vector<std::function<void()>> checks_;
  std::string heading_ = "Options";
};

/// "--dim", or "DIM" for a positional argument.
std::string command_line_name(const Option& option);

/// The present value of an option: the default until assign() has run.
OptionValue option_value(const Option& option);
std::string option_text(const OptionValue& value);

}  // namespace knotwork::jobs
