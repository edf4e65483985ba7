// The corpus as a file: what it says, that threads and parts do not change a byte, compression, failure.
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <sstream>
#include <string>
#include <vector>
#include <zlib.h>
#include <zstd.h>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "embeddings/corpus.h"
#include "partition/errors.h"
#include "tests/unit/embeddings/walk_graphs.h"
#include "tests/unit/embeddings/walk_oracle.h"

namespace knotwork::embeddings {
namespace {

namespace fs = std::filesystem;

class WalkCorpusTest : public testing::Test {
 protected:
  void SetUp() override {
    const auto* test = testing::UnitTest::GetInstance()->current_test_info();
    folder_ = fs::temp_directory_path() / (std::string("knotwork_corpus_") + test->name());
    fs::remove_all(folder_);
    fs::create_directories(folder_);
  }
  void TearDown() override { fs::remove_all(folder_); }

  std::string path(const std::string& name) const { return (folder_ / name).string(); }

  std::string content(const std::string& name) const {
    std::ifstream file(path(name), std::ios::binary);
    std::ostringstream bytes;
    bytes << file.rdbuf();
    return bytes.str();
  }

  std::string corpus(const std::string& name, const Graph& graph, unsigned threads, std::uint32_t walks = 9) const {
    const WalkEngine engine(graph, options_);
    report_ = write_corpus(engine, names(graph), {walks, threads, path(name), {}});
    return content(name);
  }

  static partition::NodeNames names(const Graph& graph) {
    return partition::NodeNames::counted(static_cast<std::uint32_t>(graph.summary().node_count));
  }

  const TestEdges edges_ = skewed_graph(700, 4000, 4, false, false);
  const WalkOptions options_{.length = 12, .p = 0.5, .q = 2, .seed = 8};
  fs::path folder_;
  mutable CorpusReport report_;
};

TEST_F(WalkCorpusTest, holds_every_walk_of_every_node_once_as_the_oracle_makes_it) {
  const Graph graph = make_graph(edges_);
  std::istringstream lines(corpus("c.txt", graph, 2));
  const WalkOracle oracle(graph, options_);
  std::map<std::uint32_t, std::uint32_t> walks_of;
  std::string line;
  std::uint64_t words = 0;
  std::vector<GlobalNode> global(graph.row_count());
  for (GlobalNode node = 0; node < graph.row_count(); ++node) global[graph.original(node)] = node;
  for (std::uint64_t number = 0; std::getline(lines, line); ++number) {
    std::vector<std::uint32_t> nodes;
    std::istringstream parts(line);
    for (std::uint32_t node = 0; parts >> node;) nodes.push_back(node);
    words += nodes.size();
    ASSERT_FALSE(nodes.empty());
    const std::uint32_t walk = walks_of[nodes[0]]++;
    ASSERT_EQ(walk, number / graph.row_count()) << "rounds follow one another";
    std::vector<std::uint32_t> expected;
    for (const GlobalNode node : oracle.walk({global[nodes[0]], walk})) expected.push_back(graph.original(node));
    ASSERT_EQ(nodes, expected) << "line " << number;
  }
  EXPECT_EQ(walks_of.size(), graph.row_count());
  EXPECT_EQ(report_.walks, 9U * graph.row_count());
  EXPECT_EQ(report_.words, words);
  EXPECT_EQ(report_.text_bytes, fs::file_size(path("c.txt")));
  EXPECT_EQ(report_.file_bytes, report_.text_bytes);
}

TEST_F(WalkCorpusTest, is_the_same_for_any_threads_and_parts) {
  const std::string one = corpus("1.txt", make_graph(edges_), 1);
  EXPECT_EQ(corpus("2.txt", make_graph(edges_), 2), one);
  EXPECT_EQ(corpus("3.txt", make_graph(edges_), 3), one);
  EXPECT_EQ(corpus("p.txt", make_graph(edges_, scattered_parts(704, 4), 4), 2), one);
}

TEST_F(WalkCorpusTest, compresses_by_ending) {
  const Graph graph = make_graph(edges_);
  const std::string plain = corpus("c.txt", graph, 2);
  std::string unpacked(plain.size() + 1, '\0');

  const std::string zst = corpus("c.zst", graph, 2);
  EXPECT_EQ(zst, corpus("c1.zst", graph, 1));
  EXPECT_EQ(report_.text_bytes, plain.size());
  EXPECT_EQ(report_.file_bytes, zst.size());
  ASSERT_EQ(ZSTD_decompress(unpacked.data(), unpacked.size(), zst.data(), zst.size()), plain.size());
  EXPECT_EQ(unpacked.substr(0, plain.size()), plain);

  EXPECT_LT(corpus("c.gz", graph, 2).size(), plain.size());
  gzFile file = gzopen(path("c.gz").c_str(), "rb");
  ASSERT_EQ(gzread(file, unpacked.data(), static_cast<unsigned>(unpacked.size())), static_cast<int>(plain.size()));
  gzclose(file);
  EXPECT_EQ(unpacked.substr(0, plain.size()), plain);
}

TEST_F(WalkCorpusTest, reports_progress_that_ends_at_all) {
  const Graph graph = make_graph(edges_);
  const WalkEngine engine(graph, options_);
  std::vector<std::uint64_t> done;
  std::uint64_t all = 0;
  const auto progress = [&](std::uint64_t walks, std::uint64_t total) {
    done.push_back(walks);
    all = total;
  };
  write_corpus(engine, names(graph), {9, 2, path("c.txt"), progress});
  EXPECT_GT(done.size(), 1U);
  EXPECT_TRUE(std::is_sorted(done.begin(), done.end()));
  EXPECT_EQ(all, 9U * graph.row_count());
  EXPECT_EQ(done.back(), all);
}

TEST_F(WalkCorpusTest, leaves_no_file_when_it_fails_negative_input) {
  const Graph graph = make_graph(edges_);
  const WalkEngine engine(graph, options_);
  const auto stop = [](std::uint64_t, std::uint64_t) { throw std::runtime_error("stopped"); };
  EXPECT_THROW(write_corpus(engine, names(graph), {9, 2, path("c.txt"), stop}), std::runtime_error);
  EXPECT_TRUE(fs::is_empty(folder_));
  try {
    write_corpus(engine, names(graph), {9, 2, path("no/such/folder/c.txt"), {}});
    FAIL() << "wrote into a folder that does not exist";
  } catch (const partition::InputError& error) {
    EXPECT_THAT(error.what(), testing::HasSubstr("no/such/folder/c.txt: cannot be written"));
  }
  fs::create_symlink("/dev/full", path("c.txt.partial"));
  EXPECT_THROW(write_corpus(engine, names(graph), {9, 2, path("c.txt"), {}}), partition::SystemError);
  EXPECT_TRUE(fs::is_empty(folder_)) << "a full disk";
  EXPECT_THROW(write_corpus(engine, partition::NodeNames::counted(3), {1, 1, path("c.txt"), {}}),
               std::invalid_argument);
  EXPECT_TRUE(fs::is_empty(folder_));
}

}  // namespace
}  // namespace knotwork::embeddings
