// Output places are checked before the work and hold nothing partial after it.
#include "jobs/output_path.h"

#include <filesystem>
#include <fstream>
#include <unistd.h>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "partition/errors.h"

namespace knotwork::jobs {
namespace {

namespace fs = std::filesystem;
using partition::InputError;
using partition::SystemError;

class OutputPath : public ::testing::Test {
 protected:
  OutputPath() : folder_(fs::path(::testing::TempDir()) / ("output_path_" + std::to_string(::getpid()))) {
    fs::create_directories(folder_);
  }
  ~OutputPath() override { fs::remove_all(folder_); }

  std::string in(const std::string& name) const { return (folder_ / name).string(); }

  fs::path folder_;
};

TEST_F(OutputPath, GoodPlacesPassAndStayEmpty) {
  check_output_file(in("emb.npy"));
  check_output_folder(in("split"));
  check_output_folder(in("g.knot/"));
  check_output_folder(folder_.string());
  EXPECT_TRUE(fs::is_empty(folder_));
}

TEST_F(OutputPath, BadPlacesAreInputErrors) {
  std::ofstream(in("file")) << "x";
  EXPECT_THROW(check_output_file(in("absent/emb.npy")), InputError);
  EXPECT_THROW(check_output_file(folder_.string()), InputError);
  EXPECT_THROW(check_output_file(in("file/emb.npy")), InputError);
  EXPECT_THROW(check_output_folder(in("file")), InputError);
  EXPECT_THROW(check_output_folder(in("absent/split")), InputError);
  EXPECT_THROW(check_output_file("/proc/emb.npy"), InputError);
}

TEST_F(OutputPath, WritesWhole) {
  write_text_file(in("a.json"), "{}\n");
  std::ifstream file(in("a.json"));
  EXPECT_EQ(std::string(std::istreambuf_iterator<char>(file), {}), "{}\n");
  EXPECT_FALSE(fs::exists(in("a.json.partial")));
}

TEST_F(OutputPath, FullDiskIsASystemError) {
  if (!fs::exists("/dev/full")) GTEST_SKIP() << "this machine has no /dev/full";
  EXPECT_THROW(write_text_file("/dev/full", std::string(1 << 16, 'x')), SystemError);
}

}  // namespace
}  // namespace knotwork::jobs
