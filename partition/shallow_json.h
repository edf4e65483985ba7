// JSON of files that say what other files hold. They are a few levels deep; one that is nested deeper was made to do
// harm: copying or printing it would take a stack frame a level.
#pragma once

#include <string>
#include <string_view>

#include <nlohmann/json.hpp>

#include "partition/errors.h"

namespace knotwork::partition {

inline constexpr int kDeepestJson = 16;

/// Parses `text`. Throws nlohmann::json::exception if it is no JSON, InputError (without the file's name) if it is too
/// deep.
template <typename Json>
Json parse_shallow_json(std::string_view text) {
  return Json::parse(text, [](int depth, typename Json::parse_event_t, Json&) {
    if (depth > kDeepestJson) {
      throw InputError("damaged: JSON nested deeper than " + std::to_string(kDeepestJson) + " levels");
    }
    return true;
  });
}

}  // namespace knotwork::partition
