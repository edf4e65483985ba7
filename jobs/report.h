// The figures of a command as data: what --json writes. Names are those of the contract (docs/cli.md).
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "jobs/option_set.h"

namespace knotwork::jobs {

/// Collects figures by path and writes them as one JSON object. Not thread-safe.
class Report {
 public:
  explicit Report(std::string command) : command_(std::move(command)) {}

  void configuration(std::vector<std::pair<std::string, OptionValue>> values) { configuration_ = std::move(values); }
  /// Sets metrics[path]; "scores/dot/auc" nests objects, a step that is a number indexes an array ("ratios/0/ratio").
  /// Figures that are NaN or infinite become null.
  void set(const std::string& path, double value);
  void set(const std::string& path, std::uint64_t value);
  void set(const std::string& path, std::uint32_t value) { set(path, std::uint64_t{value}); }
  void set(const std::string& path, bool value);
  void set(const std::string& path, const std::string& value);
  void set(const std::string& path, const char* value) { set(path, std::string(value)); }

  /// The JSON text: {"version", "commit", "command", "configuration": {...}, "metrics": {...}}.
  std::string json() const;

 private:
  std::string command_;
  std::vector<std::pair<std::string, OptionValue>> configuration_;
  std::vector<std::pair<std::string, OptionValue>> metrics_;
};

/// Most memory that this process has held at once, in bytes (getrusage).
std::uint64_t peak_memory_bytes();

}  // namespace knotwork::jobs
