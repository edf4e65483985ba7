// --json; nlohmann/json is known here only.
#include "jobs/report.h"

#include <cmath>
#include <sys/resource.h>

#include <nlohmann/json.hpp>

#include "jobs/build_info.h"

namespace knotwork::jobs {
namespace {

using Json = nlohmann::ordered_json;

Json to_json(const OptionValue& value) {
  return std::visit(
      [](const auto& item) -> Json {
        using Item = std::decay_t<decltype(item)>;
        if constexpr (std::is_same_v<Item, std::monostate>) {
          return nullptr;
        } else if constexpr (std::is_same_v<Item, double>) {
          return std::isfinite(item) ? Json(item) : Json(nullptr);
        } else {
          return item;
        }
      },
      value);
}

}  // namespace

void Report::set(const std::string& path, double value) {
  metrics_.emplace_back(path, value);
}

void Report::set(const std::string& path, std::uint64_t value) {
  metrics_.emplace_back(path, value);
}

void Report::set(const std::string& path, bool value) {
  metrics_.emplace_back(path, value);
}

void Report::set(const std::string& path, const std::string& value) {
  metrics_.emplace_back(path, value);
}

std::string Report::json() const {
  const BuildInfo build = build_info();
  Json root;
  root["version"] = build.version;
  root["commit"] = build.commit;
  root["command"] = command_;
  root["configuration"] = Json::object();
  for (const auto& [name, value] : configuration_) root["configuration"][name] = to_json(value);
  root["metrics"] = Json::object();
  for (const auto& [path, value] : metrics_) root["metrics"][Json::json_pointer("/" + path)] = to_json(value);
  // Names come from files: bytes that are not UTF-8 must not cost the user the report.
  return root.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

std::uint64_t peak_memory_bytes() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  // Linux counts in units of 1024 bytes.
  return static_cast<std::uint64_t>(usage.ru_maxrss) * 1024;
}

}  // namespace knotwork::jobs
