// The program in process, in a folder of its own with a small graph.
#pragma once

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <unistd.h>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "jobs/application.h"

namespace knotwork::jobs {

struct Outcome {
  int code;
  std::string out;
  std::string errors;
};

inline Outcome knotwork(const std::vector<std::string>& words) {
  std::ostringstream out;
  std::ostringstream errors;
  const int code = run_main(words, {.out = out, .errors = errors});
  return {code, out.str(), errors.str()};
}

inline std::string complaint(const std::vector<std::string>& words) {
  const Outcome outcome = knotwork(words);
  EXPECT_EQ(outcome.code, kExitUsage);
  EXPECT_EQ(outcome.out, "");
  EXPECT_EQ(std::count(outcome.errors.begin(), outcome.errors.end(), '\n'), 1) << outcome.errors;
  return outcome.errors;
}

class Commands : public ::testing::Test {
 protected:
  Commands() : folder_(std::filesystem::path(::testing::TempDir()) / ("commands_" + std::to_string(::getpid()))) {
    std::filesystem::create_directories(folder_);
    std::ofstream graph(in("graph.tsv"));
    // Two rings of eight with one bridge, and a self-loop.
    for (int i = 0; i < 8; ++i) graph << "a" << i << "\ta" << (i + 1) % 8 << "\nb" << i << "\tb" << (i + 1) % 8 << "\n";
    graph << "a0\tb0\na3\ta3\n";
  }
  ~Commands() override { std::filesystem::remove_all(folder_); }

  std::string in(const std::string& name) const { return (folder_ / name).string(); }

  nlohmann::json figures(std::vector<std::string> words) {
    words.insert(words.end(), {"--json", in("figures.json"), "--quiet"});
    const Outcome outcome = knotwork(words);
    EXPECT_EQ(outcome.code, kExitDone) << outcome.errors;
    EXPECT_EQ(outcome.errors, "");
    std::ifstream file(in("figures.json"));
    return nlohmann::json::parse(file)["metrics"];
  }

  std::vector<std::string> leftovers() const {
    std::vector<std::string> names;
    for (const auto& entry : std::filesystem::directory_iterator(folder_)) {
      const std::string name = entry.path().filename().string();
      if (name.ends_with(".partial") || name.starts_with(".")) names.push_back(name);
    }
    return names;
  }

  std::filesystem::path folder_;
};

}  // namespace knotwork::jobs
