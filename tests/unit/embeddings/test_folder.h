// A folder of its own for each test that writes files, and vectors to fill them with.
#pragma once

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

#include <gtest/gtest.h>

#include "embeddings/embedding.h"
#include "partition/random.h"

namespace knotwork::embeddings {

/// Removed with its files at the end of the test.
class TestFolder {
 public:
  TestFolder() {
    const auto* test = ::testing::UnitTest::GetInstance()->current_test_info();
    path_ = std::filesystem::path(::testing::TempDir()) /
            (std::string("knotwork_") + test->test_suite_name() + "_" + test->name());
    std::filesystem::remove_all(path_);
    std::filesystem::create_directories(path_);
  }
  ~TestFolder() { std::filesystem::remove_all(path_); }
  TestFolder(const TestFolder&) = delete;
  TestFolder& operator=(const TestFolder&) = delete;

  std::string file(const std::string& name) const { return (path_ / name).string(); }
  std::string path() const { return path_.string(); }
  std::string write(const std::string& name, const std::string& content) const {
    std::ofstream(file(name), std::ios::binary) << content;
    return file(name);
  }
  std::string read(const std::string& name) const {
    std::ifstream stream(file(name), std::ios::binary);
    return {std::istreambuf_iterator<char>(stream), std::istreambuf_iterator<char>()};
  }
  std::size_t file_count() const {
    return static_cast<std::size_t>(
        std::distance(std::filesystem::directory_iterator(path_), std::filesystem::directory_iterator()));
  }

 private:
  std::filesystem::path path_;
};

/// Names from a list of strings.
inline partition::NodeNames names_of(const std::vector<std::string>& list) {
  std::string bytes;
  std::vector<std::uint64_t> ends;
  for (const std::string& name : list) {
    bytes += name;
    ends.push_back(bytes.size());
  }
  return partition::NodeNames::from_strings(bytes, ends);
}

/// Uniform values in [-0.5, 0.5), a function of the seed.
inline void fill_random(Embedding& embedding, std::uint64_t seed) {
  std::span<float> values = embedding.values();
  for (std::size_t i = 0; i < values.size(); ++i) {
    const auto block = random_block(seed, partition::RandomPurpose::kGenerate, static_cast<std::uint32_t>(i), 0, 0);
    values[i] = partition::unit_float(block[0]) - 0.5F;
  }
}

/// The message of the exception of type E that `action` throws, or "" with a failed expectation.
template <typename E, typename Action>
std::string message_of(Action action) {
  try {
    action();
  } catch (const E& error) {
    return error.what();
  }
  ADD_FAILURE() << "expected an exception";
  return {};
}

}  // namespace knotwork::embeddings
