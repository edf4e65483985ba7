// Everything that a person reads: notices, configuration and progress on standard error, results on standard output,
// and a log file on request.
//
// On a terminal, progress is one line that is redrawn; elsewhere a plain line now and then. Under MPI only rank 0
// speaks. Nothing outside `jobs` prints.
#pragma once

#include <chrono>
#include <iosfwd>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "jobs/progress.h"
#include "jobs/table.h"

namespace knotwork::jobs {

struct ConsoleOptions {
  /// No configuration, no progress, no summary; results that are the command's purpose (eval, query, info) remain.
  bool quiet = false;
  /// False on every rank but the first: prints nothing at all.
  bool speaks = true;
  /// Whether `errors` is a terminal, and how wide.
  bool on_terminal = false;
  std::size_t columns = 80;
  /// Everything is also written here, with times; empty: no log.
  std::string log_file;
};

class Console;

/// One piece of long work on the console; the line disappears (terminal) when it ends. Thread-safe.
class Progress {
 public:
  Progress(Console& console, std::string label, std::string unit, double total);
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;
  ~Progress();

  /// Cheap when called often: draws ten times a second on a terminal, every ten seconds elsewhere.
  void update(double done, const std::string& detail = "");
  double elapsed_seconds() const;

 private:
  using Clock = std::chrono::steady_clock;

  Console& console_;
  std::string label_;
  std::string unit_;
  std::mutex mutex_;
  ProgressMeter meter_;
  Clock::time_point start_;
  Clock::time_point last_drawn_;
};

/// Thread-safe.
class Console {
 public:
  /// Throws partition::InputError if the log file cannot be opened.
  Console(std::ostream& out, std::ostream& errors, ConsoleOptions options);
  Console(const Console&) = delete;
  Console& operator=(const Console&) = delete;
  ~Console();

  const ConsoleOptions& options() const { return options_; }

  /// What the user should know but need not act on: "note: 12 self-loops dropped". Not under --quiet.
  void notice(const std::string& text);
  /// Something that finished on the way to the result: "read 1.2 M edges in 0.4 s".
  void step(const std::string& text);
  /// Title and aligned pairs, at the start of long commands.
  void configuration(const std::string& title, const std::vector<std::pair<std::string, std::string>>& pairs);
  /// The short table at the end of a command whose purpose is a file. Not under --quiet.
  void summary(const std::string& text);
  /// The purpose of the command itself; printed also under --quiet.
  void result(const std::string& text);
  /// One line "knotwork: text" for an error.
  void error(const std::string& text);

  /// For Progress: draws or prints the line, or (empty line) clears it.
  void draw_progress(const std::string& line);

 private:
  class Log;

  void say(std::ostream& stream, const std::string& text);
  void clear_progress();

  std::ostream& out_;
  std::ostream& errors_;
  ConsoleOptions options_;
  std::mutex mutex_;
  bool line_is_drawn_ = false;
  std::unique_ptr<Log> log_;
};

}  // namespace knotwork::jobs
