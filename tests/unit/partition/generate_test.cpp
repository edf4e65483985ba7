// Generated graphs against what the models say: counts, probabilities, ranges, and the same file every time.
#include "partition/generate.h"

#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <set>
#include <sstream>
#include <zlib.h>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "partition/errors.h"

namespace knotwork::partition {
namespace {

namespace fs = std::filesystem;

class GenerateTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = (fs::temp_directory_path() / "knotwork-generate-XXXXXX").string();
    ASSERT_NE(::mkdtemp(pattern.data()), nullptr);
    root_ = pattern;
  }
  void TearDown() override { fs::remove_all(root_); }
  std::string path(const char* name) const { return (root_ / name).string(); }

  static std::string text_of(const std::string& path) {
    std::ifstream file(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
  }
  static std::string unzipped(const std::string& path) {
    gzFile file = gzopen(path.c_str(), "rb");
    std::string text;
    char buffer[4096];
    for (int read = 0; (read = gzread(file, buffer, sizeof(buffer))) > 0;) text.append(buffer, read);
    EXPECT_EQ(gzclose(file), Z_OK);
    return text;
  }
  static std::vector<std::pair<std::uint64_t, std::uint64_t>> pairs_of(const std::string& text) {
    std::vector<std::pair<std::uint64_t, std::uint64_t>> pairs;
    std::istringstream lines(text);
    for (std::uint64_t first = 0, second = 0; lines >> first >> second;) pairs.emplace_back(first, second);
    return pairs;
  }

  fs::path root_;
};

TEST_F(GenerateTest, rmat_writes_the_edges_that_it_names) {
  const RmatOptions options{.scale = 14, .edge_factor = 16, .seed = 5};
  const GenerateReport report = write_rmat(options, path("r.tsv"));
  EXPECT_EQ(report.node_count, 16384U);
  EXPECT_EQ(report.edge_count, 262144U);
  const auto pairs = pairs_of(text_of(path("r.tsv")));
  ASSERT_EQ(pairs.size(), report.edge_count);
  for (std::size_t i = 0; i < pairs.size(); i += 97) {
    const Edge edge = rmat_edge(options, i);
    EXPECT_EQ(pairs[i], std::make_pair(std::uint64_t{edge.source}, std::uint64_t{edge.target}));
    EXPECT_LT(edge.source, report.node_count);
    EXPECT_LT(edge.target, report.node_count);
  }
  write_rmat(options, path("r.gz"));
  EXPECT_EQ(unzipped(path("r.gz")), text_of(path("r.tsv")));
  EXPECT_LT(fs::file_size(path("r.gz")), fs::file_size(path("r.tsv")));
}

// Without skew every quadrant is as likely, so out-degrees are Poisson(16); with it, hubs appear.
TEST_F(GenerateTest, rmat_degrees_follow_the_quadrants) {
  const auto largest_degree = [](const RmatOptions& options) {
    std::vector<std::uint32_t> degrees(options.node_count());
    for (std::uint64_t i = 0; i < options.edge_count(); ++i) ++degrees[rmat_edge(options, i).source];
    return *std::max_element(degrees.begin(), degrees.end());
  };
  EXPECT_LT(largest_degree({.scale = 12, .a = 0.25, .b = 0.25, .c = 0.25}), 50U);
  // The likeliest source has (a + b)^12 = 3.71 % of 65536 edges: 2433, give or take 48.
  EXPECT_NEAR(largest_degree({.scale = 12}), 2433.0, 200.0);
}

TEST_F(GenerateTest, scrambling_is_a_permutation) {
  // a = 1 sends every edge to the first node before scrambling; b = 1 makes (0, last): two nodes whatever the keys.
  for (const unsigned scale : {1U, 2U, 7U, 31U}) {
    const Edge same = rmat_edge({.scale = scale, .a = 1, .b = 0, .c = 0}, 3);
    EXPECT_EQ(same.source, same.target);
    const Edge apart = rmat_edge({.scale = scale, .a = 0, .b = 1, .c = 0}, 3);
    EXPECT_NE(apart.source, apart.target);
  }
  std::set<OriginalNode> seen;
  const RmatOptions flat{.scale = 9, .edge_factor = 64, .a = 0.25, .b = 0.25, .c = 0.25};
  for (std::uint64_t i = 0; i < flat.edge_count(); ++i) seen.insert(rmat_edge(flat, i).source);
  EXPECT_EQ(seen.size(), 512U);  // each of 512 nodes is missed by 32768 draws with probability e^-64
}

TEST_F(GenerateTest, block_model_edges_have_the_probabilities_asked_for) {
  const SbmOptions options{.nodes = 3001, .blocks = 7, .inside = 0.05, .outside = 0.004, .seed = 9};
  const GenerateReport report = write_sbm(options, path("s.tsv"), path("labels.tsv"));
  const auto pairs = pairs_of(text_of(path("s.tsv")));
  const auto labels = pairs_of(text_of(path("labels.tsv")));
  ASSERT_EQ(labels.size(), 3001U);
  ASSERT_EQ(pairs.size(), report.edge_count);
  EXPECT_EQ(std::set(pairs.begin(), pairs.end()).size(), pairs.size());
  double inside_edges = 0;
  for (const auto& [u, v] : pairs) {
    ASSERT_LT(u, v);
    ASSERT_LT(v, 3001U);
    inside_edges += labels[u].second == labels[v].second;
  }
  std::vector<double> sizes(7);
  for (const auto& [node, block] : labels) ++sizes.at(block);
  double inside_pairs = 0;
  for (const double size : sizes) {
    EXPECT_NEAR(size, 3001.0 / 7, 1.0);
    inside_pairs += size * (size - 1) / 2;
  }
  const double outside_pairs = 3001.0 * 3000 / 2 - inside_pairs;
  const auto within = [](double found, double tries, double probability) {
    return std::abs(found - tries * probability) < 5 * std::sqrt(tries * probability);
  };
  EXPECT_TRUE(within(inside_edges, inside_pairs, 0.05)) << inside_edges;
  EXPECT_TRUE(within(static_cast<double>(pairs.size()) - inside_edges, outside_pairs, 0.004)) << pairs.size();
  write_sbm(options, path("again.tsv"));
  EXPECT_EQ(text_of(path("again.tsv")), text_of(path("s.tsv")));
}

TEST_F(GenerateTest, certain_and_impossible_edges) {
  EXPECT_EQ(write_sbm({.nodes = 30, .blocks = 3, .inside = 1, .outside = 0}, path("s.tsv")).edge_count, 3U * 45U);
  EXPECT_EQ(write_sbm({.nodes = 30, .blocks = 3, .inside = 0, .outside = 1}, path("s.tsv")).edge_count, 3U * 100U);
  EXPECT_EQ(write_sbm({.nodes = 30, .blocks = 3, .inside = 0, .outside = 0}, path("s.gz")).edge_count, 0U);
  EXPECT_EQ(unzipped(path("s.gz")), "");
}

TEST_F(GenerateTest, options_out_of_range_are_bad_input_and_leave_no_file) {
  EXPECT_THROW(write_rmat({.scale = 0}, path("x")), InputError);
  EXPECT_THROW(write_rmat({.scale = 32}, path("x")), InputError);
  EXPECT_THROW(write_rmat({.edge_factor = 0}, path("x")), InputError);
  EXPECT_THROW(write_rmat({.a = 0.9, .b = 0.2}, path("x")), InputError);
  EXPECT_THROW(write_sbm({.nodes = 0}, path("x")), InputError);
  EXPECT_THROW(write_sbm({.nodes = 3, .blocks = 4}, path("x")), InputError);
  EXPECT_THROW(write_sbm({.inside = 1.5}, path("x")), InputError);
  EXPECT_THROW(write_sbm({}, path("missing/x")), InputError);
  EXPECT_TRUE(fs::is_empty(root_));
}

}  // namespace
}  // namespace knotwork::partition
