// read_graph on good input: every format, against a slow plain oracle made of istringstream and std::map.
#include "partition/read_graph.h"

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <fstream>
#include <map>
#include <set>
#include <sstream>
#include <string>
#include <unistd.h>
#include <vector>
#include <zlib.h>
#include <zstd.h>

#include <gtest/gtest.h>

#include "partition/random.h"

namespace knotwork::partition {
namespace {

class ReadGraphTest : public testing::Test {
 protected:
  void SetUp() override {
    const auto* const test = testing::UnitTest::GetInstance()->current_test_info();
    folder_ =
        std::filesystem::temp_directory_path() / ("knotwork_read_" + std::to_string(getpid()) + "_" + test->name());
    std::filesystem::create_directories(folder_);
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  std::string write(const std::string& name, const std::string& text) const {
    const std::string path = (folder_ / name).string();
    std::ofstream(path, std::ios::binary) << text;
    return path;
  }

  std::filesystem::path folder_;
};

using NamedRows = std::map<std::string, std::map<std::string, double>>;

// The graph as names see it, isolated nodes included.
NamedRows rows_of(const NamedGraph& read) {
  NamedRows rows;
  for (GlobalNode node = 0; node < read.graph.row_count(); ++node) {
    std::map<std::string, double>& row = rows[read.names.name(read.graph.original(node))];
    const auto list = read.graph.neighbours(node);
    for (std::size_t i = 0; i < list.size(); ++i) {
      row[read.names.name(read.graph.original(list[i]))] =
          read.graph.summary().weighted ? static_cast<double>(read.graph.weights(node)[i]) : 1.0;
    }
  }
  return rows;
}

// Reads `text` (fields apart by white space, no header) the plain way.
NamedRows plain_rows(const std::string& text, bool directed, bool weighted) {
  NamedRows rows;
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    std::istringstream fields(line);
    std::string source;
    std::string target;
    if (!(fields >> source) || source[0] == '#') continue;
    fields >> target;
    double weight = 1.0;
    if (weighted) fields >> weight;
    rows[source];
    rows[target];
    if (source == target || weight == 0.0) continue;
    rows[source][target] += weight;
    if (!directed) rows[target][source] += weight;
    if (!weighted) rows[source][target] = 1.0;
    if (!weighted && !directed) rows[target][source] = 1.0;
  }
  return rows;
}

void expect_close(const NamedRows& found, const NamedRows& expected) {
  ASSERT_EQ(found.size(), expected.size());
  for (const auto& [name, row] : expected) {
    ASSERT_TRUE(found.contains(name)) << name;
    ASSERT_EQ(found.at(name).size(), row.size()) << name;
    for (const auto& [target, weight] : row) {
      ASSERT_TRUE(found.at(name).contains(target)) << name << " " << target;
      ASSERT_NEAR(found.at(name).at(target), weight, weight * 1e-5) << name << " " << target;
    }
  }
}

void expect_identical(const NamedGraph& a, const NamedGraph& b) {
  const auto same = [](auto x, auto y) { return std::equal(x.begin(), x.end(), y.begin(), y.end()); };
  EXPECT_TRUE(same(a.graph.arrays().offsets, b.graph.arrays().offsets));
  EXPECT_TRUE(same(a.graph.arrays().targets, b.graph.arrays().targets));
  EXPECT_TRUE(same(a.graph.arrays().weights, b.graph.arrays().weights));
  EXPECT_TRUE(same(a.graph.arrays().original, b.graph.arrays().original));
  ASSERT_EQ(a.names.size(), b.names.size());
  for (OriginalNode node = 0; node < a.names.size(); ++node) ASSERT_EQ(a.names.name(node), b.names.name(node));
  EXPECT_EQ(a.report.lines, b.report.lines);
  EXPECT_EQ(a.report.edges_read, b.report.edges_read);
  EXPECT_EQ(a.report.duplicates_merged, b.report.duplicates_merged);
}

std::vector<std::string> names_in_order(const NamedGraph& read) {
  std::vector<std::string> names;
  for (OriginalNode node = 0; node < read.names.size(); ++node) names.push_back(read.names.name(node));
  return names;
}

enum class Ids { kDense, kSparse, kHuge, kStrings, kLateString };

std::string id_text(std::uint32_t id, Ids kind) {
  switch (kind) {
    case Ids::kDense:
      return std::to_string(id);
    case Ids::kSparse:
      return std::to_string(std::uint64_t{id} * 40000003);  // below 2^32 for some, above for others
    case Ids::kHuge:
      return std::to_string(18446744073709551615U - std::uint64_t{id} * 1000000007);
    case Ids::kStrings:
      return "n" + std::to_string(id * 7919);
    case Ids::kLateString:
      return std::to_string(id);
  }
  return {};
}

std::string random_edge_list(Ids kind, bool weighted, std::uint32_t lines) {
  std::string text;
  for (std::uint32_t i = 0; i < lines; ++i) {
    const RandomBlock block = random_block(9, RandomPurpose::kGenerate, i, 0, 0);
    if (block[3] % 11 == 0) text += block[3] % 2 == 0 ? "# a comment\n" : " \t\r\n";
    const std::uint32_t a = bounded(block[0], 300);
    const std::uint32_t b = bounded(block[1], bounded(block[2], 300) + 1);
    text += (block[3] % 5 == 0 ? " " : "") + id_text(a, kind) + (block[3] % 3 == 0 ? "\t" : "  ") + id_text(b, kind);
    if (weighted)
      text += " " + (block[3] % 13 == 0 ? "0" : std::to_string(static_cast<double>(block[3] % 1000 + 1) / 64.0));
    text += block[3] % 7 == 0 ? "\r\n" : "\n";
  }
  if (kind == Ids::kLateString) text += weighted ? "5 the_end 1" : "5 the_end";  // and no newline at the end
  return text;
}

struct Case {
  Ids ids;
  bool weighted;
  bool directed;
};

class EdgeListTest : public ReadGraphTest, public testing::WithParamInterface<Case> {};

TEST_P(EdgeListTest, equals_the_plain_oracle_for_any_block_size_and_threads) {
  const auto [ids, weighted, directed] = GetParam();
  const std::string text = random_edge_list(ids, weighted, 800);
  const std::string path = write("edges.txt", text);
  const NamedGraph whole = read_graph(path, {.directed = directed, .threads = 1});
  EXPECT_EQ(whole.graph.summary().weighted, weighted);
  EXPECT_EQ(whole.graph.summary().directed, directed);
  EXPECT_EQ(whole.report.bytes, text.size() + (text.back() == '\n' ? 0 : 1));
  expect_close(rows_of(whole), plain_rows(text, directed, weighted));
  for (const std::size_t block_bytes : {std::size_t{1}, std::size_t{1000}}) {
    for (const unsigned threads : {1U, 2U, 3U}) {
      expect_identical(
          whole, read_graph(path, {.directed = directed, .threads = threads, .tuning = {.block_bytes = block_bytes}}));
    }
  }
}

INSTANTIATE_TEST_SUITE_P(AllKinds, EdgeListTest,
                         testing::Values(Case{Ids::kDense, false, false}, Case{Ids::kDense, true, true},
                                         Case{Ids::kSparse, false, true}, Case{Ids::kSparse, true, false},
                                         Case{Ids::kHuge, true, false}, Case{Ids::kStrings, false, false},
                                         Case{Ids::kStrings, true, true}, Case{Ids::kLateString, false, false},
                                         Case{Ids::kLateString, true, false}));

// Ids of 1 to 10 digits, all kinds of blanks and line ends: what the parser's short way takes, and what just misses it.
TEST_F(ReadGraphTest, short_and_long_integers_between_all_kinds_of_blanks) {
  std::string text;
  std::uint32_t line = 0;
  for (const std::uint64_t first : {0U, 7U, 10U, 99U, 123456U, 1000000U, 9999999U, 10000000U, 99999999U}) {
    for (const std::uint64_t second : {0U, 5U, 100U, 12345U, 99999999U, 100000000U, 999999999U, 4294967295U}) {
      for (const std::string blank : {" ", "\t", "  ", " \t "}) {
        for (const std::string end : {"\n", "\r\n", " \n", "\n\n"}) {
          text += (line++ % 5 == 0 ? " " : "") + std::to_string(first) + blank + std::to_string(second) + end;
        }
      }
    }
  }
  text += "3 8";
  const NamedRows expected = plain_rows(text, false, false);
  for (const std::size_t block_bytes : {std::size_t{1}, std::size_t{100}, std::size_t{1} << 20}) {
    const NamedGraph read = read_graph(write("e", text), {.threads = 2, .tuning = {.block_bytes = block_bytes}});
    EXPECT_TRUE(read.names.are_integers());
    EXPECT_EQ(read.report.edges_read, line + 1);
    expect_close(rows_of(read), expected);
  }
}

TEST_F(ReadGraphTest, leading_zeros_signs_and_points_make_strings_wherever_they_stand) {
  for (const std::string odd : {"07 1", "1 07", "00 1", "1 00", "+1 2", "1 -2", "1.0 2", "1 2.", "1a 2", "1 2a"}) {
    const NamedGraph read = read_graph(write("e", "5 6\n" + odd + "\n6 5\n"));
    EXPECT_FALSE(read.names.are_integers()) << odd;
    expect_close(rows_of(read), plain_rows("5 6\n" + odd + "\n", false, false));
  }
}

// More lines than a chunk of the reader holds, in blocks of which some lie in two chunks; a string at the end sends all
// of them back, and names must still come in the order of the file.
TEST_F(ReadGraphTest, hundreds_of_thousands_of_integers_before_a_string_keep_their_order) {
  constexpr std::uint32_t kLines = 300000;
  std::string text;
  for (std::uint32_t i = 0; i < kLines; ++i) {
    const std::uint64_t id = std::uint64_t{(i * 7919U) % kLines} * (i % 50000 < 100 ? 10000000019U : 1U);
    text += std::to_string(id) + " " + std::to_string((i * 104729U) % kLines) + "\n";
  }
  const std::string path = write("late", text + "x y\n");
  std::vector<std::string> expected;
  std::set<std::string> seen;
  std::istringstream fields(text + "x y");
  for (std::string field; fields >> field;) {
    if (seen.insert(field).second) expected.push_back(field);
  }
  for (const unsigned threads : {1U, 2U, 5U}) {
    const NamedGraph read = read_graph(path, {.threads = threads, .tuning = {.block_bytes = 50000}});
    EXPECT_EQ(read.report.edges_read, kLines + 1);
    ASSERT_TRUE(names_in_order(read) == expected);
  }
}

TEST_F(ReadGraphTest, integer_names_rise_and_strings_come_in_order_of_appearance) {
  EXPECT_EQ(names_in_order(read_graph(write("a", "30 4\n4 1000\n"))), (std::vector<std::string>{"4", "30", "1000"}));
  EXPECT_EQ(names_in_order(read_graph(write("b", "30 4\n4 x\n3 30\n"))),
            (std::vector<std::string>{"30", "4", "x", "3"}));
}

TEST_F(ReadGraphTest, integers_that_are_not_canonical_are_strings) {
  EXPECT_EQ(names_in_order(read_graph(write("a", "7 07\n+7 -7\n"))), (std::vector<std::string>{"7", "07", "+7", "-7"}));
  EXPECT_EQ(names_in_order(read_graph(write("b", "18446744073709551616 1\n0 00\n"))),
            (std::vector<std::string>{"18446744073709551616", "1", "0", "00"}));
  const NamedGraph largest = read_graph(write("c", "18446744073709551615 0\n"));
  EXPECT_TRUE(largest.names.are_integers());
  EXPECT_EQ(largest.names.name(1), "18446744073709551615");
}

TEST_F(ReadGraphTest, commas_semicolons_and_a_byte_order_mark_are_blanks) {
  const NamedGraph read = read_graph(write("a.csv",
                                           "\xef\xbb\xbf"
                                           "1,2,0.5\r\n2; 3 ;1e1\r\n\r\n3\t1\t+2"));
  EXPECT_EQ(
      rows_of(read),
      (NamedRows{{"1", {{"2", 0.5}, {"3", 2.0}}}, {"2", {{"1", 0.5}, {"3", 10.0}}}, {"3", {{"1", 2.0}, {"2", 10.0}}}}));
}

TEST_F(ReadGraphTest, known_headers_are_skipped) {
  for (const std::string header :
       {"source,target", "Source Target", "src\tdst", "FromNodeId ToNodeId", "node_1 node_2"}) {
    const NamedGraph read = read_graph(write("a", "# c\n" + header + "\nx y\n"));
    EXPECT_TRUE(read.report.header_skipped) << header;
    EXPECT_EQ(read.names.size(), 2U) << header;
  }
  const NamedGraph weighted = read_graph(write("b", "alpha beta weight\nx y 2.5\n"));
  EXPECT_TRUE(weighted.report.header_skipped);
  EXPECT_TRUE(weighted.graph.summary().weighted);
}

TEST_F(ReadGraphTest, a_line_of_words_before_integers_is_a_header_only_if_all_ids_are_integers) {
  const NamedGraph header = read_graph(write("a", "actor movie\n1 2\n2 3\n"));
  EXPECT_TRUE(header.report.header_skipped);
  EXPECT_EQ(header.names.size(), 3U);
  for (const std::size_t block_bytes : {std::size_t{2}, std::size_t{100}}) {
    const NamedGraph edge =
        read_graph(write("b", "actor movie\n1 2\n2 3\n3 actor\n"), {.tuning = {.block_bytes = block_bytes}});
    EXPECT_FALSE(edge.report.header_skipped);
    EXPECT_EQ(names_in_order(edge), (std::vector<std::string>{"actor", "movie", "1", "2", "3"}));
    EXPECT_EQ(edge.report.edges_read, 4U);
  }
  EXPECT_FALSE(read_graph(write("c", "-1 x\n1 2\n")).report.header_skipped);
}

TEST_F(ReadGraphTest, reports_what_was_dropped_and_merged) {
  const NamedGraph read = read_graph(write("a", "# c\n1 2 1\n2 1 2\n\n3 3 1\n4 5 0\n"));
  EXPECT_EQ(read.report.edges_read, 4U);
  EXPECT_EQ(read.report.lines, 6U);
  EXPECT_EQ(read.report.duplicates_merged, 1U);
  EXPECT_EQ(read.report.self_loops_dropped, 1U);
  EXPECT_EQ(read.report.zero_weights_dropped, 1U);
  EXPECT_EQ(rows_of(read), (NamedRows{{"1", {{"2", 3.0}}}, {"2", {{"1", 3.0}}}, {"3", {}}, {"4", {}}, {"5", {}}}));
}

TEST_F(ReadGraphTest, weights_can_be_ignored) {
  const std::string path = write("a", "1 2 x\n2 3\n3 1 5 17\n");
  const NamedGraph read = read_graph(path, {.weights = WeightColumn::kIgnore});
  EXPECT_FALSE(read.graph.summary().weighted);
  EXPECT_EQ(read.graph.summary().edge_count(), 3U);
}

TEST_F(ReadGraphTest, fields_after_the_weight_and_trailing_comments_are_skipped) {
  EXPECT_EQ(rows_of(read_graph(write("a", "1 2 4 1999-01-01\n"))),
            (NamedRows{{"1", {{"2", 4.0}}}, {"2", {{"1", 4.0}}}}));
  EXPECT_FALSE(read_graph(write("b", "1 2 # why\n2 3\n")).graph.summary().weighted);
}

std::string gzipped(const std::string& text) {
  std::string packed(compressBound(text.size()) + 64, '\0');
  z_stream zlib = {};
  deflateInit2(&zlib, 6, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY);
  zlib.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(text.data()));
  zlib.avail_in = static_cast<uInt>(text.size());
  zlib.next_out = reinterpret_cast<Bytef*>(packed.data());
  zlib.avail_out = static_cast<uInt>(packed.size());
  EXPECT_EQ(deflate(&zlib, Z_FINISH), Z_STREAM_END);
  packed.resize(zlib.total_out);
  deflateEnd(&zlib);
  return packed;
}

std::string zstandard(const std::string& text) {
  std::string packed(ZSTD_compressBound(text.size()), '\0');
  packed.resize(ZSTD_compress(packed.data(), packed.size(), text.data(), text.size(), 3));
  return packed;
}

TEST_F(ReadGraphTest, compressed_files_are_recognised_by_content_not_by_name) {
  const std::string text = random_edge_list(Ids::kDense, true, 60000);
  const NamedGraph plain = read_graph(write("plain.gz", text));
  const std::size_t half = text.find('\n', text.size() / 2) - 3;  // members may meet inside a line
  const std::string front = text.substr(0, half);
  const std::string back = text.substr(half);
  expect_identical(plain, read_graph(write("one.txt", gzipped(text))));
  expect_identical(plain, read_graph(write("two.txt", gzipped(front) + gzipped("") + gzipped(back))));
  expect_identical(plain, read_graph(write("padded", gzipped(text) + std::string(1000, '\0'))));
  expect_identical(plain, read_graph(write("one.zst.txt", zstandard(text))));
  expect_identical(plain, read_graph(write("two.zst", zstandard(front) + zstandard(back))));
}

TEST_F(ReadGraphTest, standard_input_can_be_a_pipe) {
  const std::string text = random_edge_list(Ids::kStrings, false, 3000);
  const NamedGraph expected = read_graph(write("a", text));
  for (const std::string& bytes : {text, gzipped(text)}) {
    int ends[2];
    ASSERT_EQ(pipe(ends), 0);
    const pid_t child = fork();
    if (child == 0) {
      for (std::size_t done = 0; done < bytes.size();) {  // in small pieces
        const ssize_t written = ::write(ends[1], bytes.data() + done, std::min<std::size_t>(3, bytes.size() - done));
        if (written <= 0) _exit(1);
        done += static_cast<std::size_t>(written);
      }
      _exit(0);
    }
    close(ends[1]);
    const int saved = dup(STDIN_FILENO);
    dup2(ends[0], STDIN_FILENO);
    close(ends[0]);
    expect_identical(expected, read_graph("-"));
    dup2(saved, STDIN_FILENO);
    close(saved);
  }
}

TEST_F(ReadGraphTest, progress_ends_at_the_size_of_the_file) {
  const std::string text = random_edge_list(Ids::kDense, false, 30000);
  std::uint64_t last = 0;
  std::uint64_t total = 0;
  const auto progress = [&](std::uint64_t done, std::uint64_t all) {
    EXPECT_GE(done, last);
    last = done;
    total = all;
  };
  read_graph(write("a", text), {.progress = progress, .tuning = {.block_bytes = 5000}});
  EXPECT_EQ(last, text.size());
  EXPECT_EQ(total, text.size());
}

TEST_F(ReadGraphTest, hundreds_of_thousands_of_strings_keep_their_order) {
  std::string text;
  for (std::uint32_t i = 0; i < 300000; ++i)
    text += "name-" + std::to_string(i * 2654435761U) + " hub" + std::to_string(i % 3) + "\n";
  const NamedGraph read = read_graph(write("a", text), {.threads = 3, .tuning = {.block_bytes = 10000}});
  ASSERT_EQ(read.names.size(), 300003U);
  EXPECT_EQ(read.names.name(0), "name-0");
  EXPECT_EQ(read.names.name(1), "hub0");
  EXPECT_EQ(read.names.name(5), "hub2");
  for (std::uint32_t i = 3; i < 300000; i += 997)
    ASSERT_EQ(read.names.name(i + 3), "name-" + std::to_string(i * 2654435761U));
}

TEST_F(ReadGraphTest, metis_with_isolated_nodes_comments_and_weights) {
  const std::string text = "% made by hand\n4 2 011 2\n7 7 2 1.5\n1 1 1 1.5 4 2\n% between\n3 3\n9 9 2 2\n";
  const NamedRows expected{{"1", {{"2", 1.5}}}, {"2", {{"1", 1.5}, {"4", 2.0}}}, {"3", {}}, {"4", {{"2", 2.0}}}};
  for (const std::size_t block_bytes : {std::size_t{1}, std::size_t{1000}}) {
    const NamedGraph read = read_graph(write("a.graph", text), {.threads = 2, .tuning = {.block_bytes = block_bytes}});
    EXPECT_EQ(read.report.format, GraphFormat::kMetis);
    EXPECT_EQ(read.report.edges_read, 2U);
    EXPECT_EQ(rows_of(read), expected);
  }
  const NamedGraph plain = read_graph(write("b.graph", "3 1\n3\n\n1\n"));
  EXPECT_EQ(rows_of(plain), (NamedRows{{"1", {{"3", 1.0}}}, {"2", {}}, {"3", {{"1", 1.0}}}}));
  EXPECT_EQ(read_graph(write("c.txt", "3 1\n3 2\n1 3\n")).report.format, GraphFormat::kEdgeList);
  EXPECT_EQ(read_graph(write("d.txt", "3 1\n3\n\n1\n"), {.format = GraphFormat::kMetis}).graph.summary().edge_count(),
            1U);
}

TEST_F(ReadGraphTest, matrix_market_symmetric_general_and_pattern) {
  const NamedGraph symmetric = read_graph(
      write("a.mtx", "%%MatrixMarket matrix coordinate real symmetric\n% c\n4 4 3\n2 1 0.5\n3 3 9\n3 2 2e0\n"));
  EXPECT_EQ(symmetric.report.format, GraphFormat::kMatrixMarket);
  EXPECT_FALSE(symmetric.graph.summary().directed);
  EXPECT_EQ(symmetric.report.self_loops_dropped, 1U);
  EXPECT_EQ(rows_of(symmetric),
            (NamedRows{{"1", {{"2", 0.5}}}, {"2", {{"1", 0.5}, {"3", 2.0}}}, {"3", {{"2", 2.0}}}, {"4", {}}}));

  const std::string general = "%%MatrixMarket matrix coordinate pattern general\n3 3 2\n1 2\n2 3\n";
  const NamedGraph directed = read_graph(write("b.mtx", general));
  EXPECT_TRUE(directed.graph.summary().directed);
  EXPECT_EQ(rows_of(directed), (NamedRows{{"1", {{"2", 1.0}}}, {"2", {{"3", 1.0}}}, {"3", {}}}));

  const std::string both = "%%MatrixMarket matrix coordinate integer general\n2 2 2\n1 2 7\n2 1 7\n";
  EXPECT_FALSE(read_graph(write("c.mtx", both)).graph.summary().directed);
  EXPECT_EQ(read_graph(write("c.mtx", both)).graph.summary().edge_count(), 1U);
  EXPECT_TRUE(read_graph(write("c.mtx", both), {.directed = true}).graph.summary().directed);

  const std::string triangle = "%%MatrixMarket matrix coordinate pattern symmetric\n3 3 1\n3 1\n";
  const NamedGraph arcs = read_graph(write("d.mtx", triangle), {.directed = true});
  EXPECT_EQ(arcs.graph.summary().arc_count, 2U);
  EXPECT_TRUE(arcs.graph.summary().directed);
}

TEST_F(ReadGraphTest, reads_a_real_graph_as_the_plain_oracle_does) {
  const std::filesystem::path path = std::filesystem::path(KNOTWORK_DATA_DIR) / "facebook" / "edges.tsv.gz";
  if (!std::filesystem::exists(path)) GTEST_SKIP() << "no data folder at " << KNOTWORK_DATA_DIR;
  std::string text;
  gzFile file = gzopen(path.c_str(), "rb");
  char buffer[4096];
  for (int got = 0; (got = gzread(file, buffer, sizeof(buffer))) > 0;)
    text.append(buffer, static_cast<std::size_t>(got));
  gzclose(file);
  EXPECT_EQ(rows_of(read_graph(path.string())), plain_rows(text, false, false));
}

}  // namespace
}  // namespace knotwork::partition
