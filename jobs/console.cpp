// Console and log; spdlog is known here only.
#include "jobs/console.h"

#include <ostream>
#include <sstream>

#include <spdlog/sinks/basic_file_sink.h>
#include <spdlog/spdlog.h>

#include "partition/errors.h"

namespace knotwork::jobs {

/// A file with a time before each line. Flushed line by line: a log is read while the job runs.
class Console::Log {
 public:
  explicit Log(const std::string& file) {
    try {
      logger_ = std::make_unique<spdlog::logger>("knotwork", std::make_shared<spdlog::sinks::basic_file_sink_mt>(file));
    } catch (const spdlog::spdlog_ex&) {
      throw partition::InputError("cannot write the log file " + file);
    }
    logger_->set_pattern("%Y-%m-%d %H:%M:%S.%e  %v");
    logger_->flush_on(spdlog::level::info);
  }

  void write(const std::string& text) {
    std::istringstream lines(text);
    for (std::string line; std::getline(lines, line);) logger_->info("{}", line);
  }

 private:
  std::unique_ptr<spdlog::logger> logger_;
};

Console::Console(std::ostream& out, std::ostream& errors, ConsoleOptions options)
    : out_(out), errors_(errors), options_(std::move(options)) {
  if (options_.speaks && !options_.log_file.empty()) log_ = std::make_unique<Log>(options_.log_file);
}

Console::~Console() {
  const std::scoped_lock lock(mutex_);
  clear_progress();
}

void Console::clear_progress() {
  if (!line_is_drawn_) return;
  errors_ << "\r\x1b[K" << std::flush;
  line_is_drawn_ = false;
}

void Console::say(std::ostream& stream, const std::string& text) {
  clear_progress();
  stream << text << (text.ends_with('\n') ? "" : "\n") << std::flush;
}

void Console::notice(const std::string& text) {
  const std::scoped_lock lock(mutex_);
  if (log_) log_->write("note: " + text);
  if (options_.speaks && !options_.quiet) say(errors_, "note: " + text);
}

void Console::step(const std::string& text) {
  const std::scoped_lock lock(mutex_);
  if (log_) log_->write(text);
  if (options_.speaks && !options_.quiet) say(errors_, text);
}

void Console::configuration(const std::string& title, const std::vector<std::pair<std::string, std::string>>& pairs) {
  step(title + "\n" + aligned_pairs(pairs));
}

void Console::summary(const std::string& text) {
  const std::scoped_lock lock(mutex_);
  if (log_) log_->write(text);
  if (options_.speaks && !options_.quiet) say(out_, text);
}

void Console::result(const std::string& text) {
  const std::scoped_lock lock(mutex_);
  if (log_) log_->write(text);
  if (options_.speaks) say(out_, text);
}

void Console::error(const std::string& text) {
  const std::scoped_lock lock(mutex_);
  if (log_) log_->write("error: " + text);
  say(errors_, "knotwork: " + text);
}

void Console::draw_progress(const std::string& line) {
  const std::scoped_lock lock(mutex_);
  if (!options_.speaks || options_.quiet) return;
  if (!options_.on_terminal) {
    if (line.empty()) return;
    if (log_) log_->write(line);
    say(errors_, line);
    return;
  }
  if (line.empty()) {
    clear_progress();
    return;
  }
  errors_ << '\r' << line << "\x1b[K" << std::flush;
  line_is_drawn_ = true;
}

Progress::Progress(Console& console, std::string label, std::string unit, double total)
    : console_(console),
      label_(std::move(label)),
      unit_(std::move(unit)),
      meter_(total),
      start_(Clock::now()),
      last_drawn_(start_) {}

Progress::~Progress() {
  console_.draw_progress("");
}

double Progress::elapsed_seconds() const {
  return std::chrono::duration<double>(Clock::now() - start_).count();
}

void Progress::update(double done, const std::string& detail) {
  const auto now = Clock::now();
  const auto pause = console_.options().on_terminal ? std::chrono::milliseconds(100) : std::chrono::milliseconds(10000);
  const std::scoped_lock lock(mutex_);
  if (now - last_drawn_ < pause) return;
  last_drawn_ = now;
  meter_.observe(std::chrono::duration<double>(now - start_).count(), done);
  const std::size_t columns = console_.options().on_terminal ? console_.options().columns - 1 : 0;
  console_.draw_progress(progress_text(label_, unit_, meter_, detail, columns));
}

}  // namespace knotwork::jobs
