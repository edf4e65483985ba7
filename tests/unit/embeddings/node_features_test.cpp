// Features of nodes in the forms that people have them, and what is said about bad ones.
#include "embeddings/node_features.h"

#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "embeddings/embedding_file.h"
#include "partition/errors.h"

namespace knotwork::embeddings {
namespace {

using ::testing::HasSubstr;

class NodeFeaturesTest : public ::testing::Test {
 protected:
  void SetUp() override {
    folder_ = std::filesystem::temp_directory_path() /
              ("knotwork_features_" + std::to_string(::testing::UnitTest::GetInstance()->random_seed()) +
               ::testing::UnitTest::GetInstance()->current_test_info()->name());
    std::filesystem::create_directories(folder_);
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  std::string write(const std::string& name, const std::string& text) {
    const std::string path = (folder_ / name).string();
    std::ofstream(path) << text;
    return path;
  }
  std::string complaint(const std::string& text) {
    FeatureReport report;
    try {
      read_node_features(write("bad.svm", text), names_, report);
    } catch (const partition::InputError& error) {
      return error.what();
    }
    return "none";
  }
  static std::vector<float> row(const NodeFeatures& features, std::size_t node) {
    std::vector<float> values(features.columns());
    features.fill(node, 0, values);
    return values;
  }

  std::filesystem::path folder_;
  partition::NodeNames names_ = partition::NodeNames::from_strings("abc", {1, 2, 3});
};

TEST_F(NodeFeaturesTest, SparseLines) {
  FeatureReport report;
  const NodeFeatures features =
      read_node_features(write("f.svm", "# node features\nc\t3:2 0:1.5\na\t1:-1 2:0\nz\t9:1\n"), names_, report);
  EXPECT_EQ(features.columns(), 10U);
  EXPECT_EQ(row(features, 0), (std::vector<float>{0, -1, 0, 0, 0, 0, 0, 0, 0, 0}));
  EXPECT_EQ(row(features, 1), std::vector<float>(10));
  EXPECT_EQ(row(features, 2), (std::vector<float>{1.5, 0, 0, 2, 0, 0, 0, 0, 0, 0}));
  EXPECT_EQ(report.unknown_nodes, 1U);
  EXPECT_EQ(report.nodes_without, 1U);
  const NodeFeatures two = features.select(std::vector<partition::OriginalNode>{2, 0});
  EXPECT_EQ(row(two, 0), row(features, 2));
  EXPECT_EQ(row(two, 1), row(features, 0));
  std::vector<float> part(2);
  features.fill(2, 2, part);
  EXPECT_EQ(part, (std::vector<float>{0, 2}));
}

TEST_F(NodeFeaturesTest, DenseFilesInAnyOrder) {
  Embedding dense(partition::NodeNames::from_strings("bca", {1, 2, 3}), 2);
  for (std::uint32_t node = 0; node < 3; ++node) dense.row(node)[1] = static_cast<float>(node + 1);
  for (const char* name : {"f.npy", "f.txt", "f.tsv", "f.bin"}) {
    const std::string path = (folder_ / name).string();
    write_embedding(path, dense);
    FeatureReport report;
    const NodeFeatures features = read_node_features(path, names_, report);
    EXPECT_EQ(row(features, 0), (std::vector<float>{0, 3})) << name;
    EXPECT_EQ(row(features, 1), (std::vector<float>{0, 1})) << name;
    EXPECT_EQ(report.nodes_without, 0U);
  }
}

TEST_F(NodeFeaturesTest, SaysWhatIsWrong) {
  EXPECT_THAT(complaint("a\t1:1\nb\t1=2\n"), HasSubstr("bad.svm:2: '1=2'; expected index:value"));
  EXPECT_THAT(complaint("a\t1:nan\n"), HasSubstr("finite"));
  EXPECT_THAT(complaint("a\t-1:2\n"), HasSubstr("expected index:value"));
  EXPECT_THAT(complaint("a\t99999999:2\n"), HasSubstr("index below"));
  EXPECT_THAT(complaint("a\t1:1 1:2\n"), HasSubstr("index 1 comes twice"));
  EXPECT_THAT(complaint("a\t1:1\na\t2:2\n"), HasSubstr("bad.svm:2: node 'a' has features already"));
  EXPECT_THAT(complaint("x\t1:1\n"), HasSubstr("none of the graph's nodes"));
  EXPECT_THAT(complaint("a\n"), HasSubstr("no features"));
}

}  // namespace
}  // namespace knotwork::embeddings
