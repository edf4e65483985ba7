// What is written is read back, whole or in parts; whatever is damaged, missing, foreign or lying is refused by name.
#include "partition/knot_folder.h"

#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iterator>
#include <string>
#include <sys/resource.h>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "graph_by_hand.h"
#include "partition/checksum.h"
#include "partition/errors.h"
#include "partition/knot_manifest.h"
#include "partition/renumber.h"

namespace knotwork::partition {
namespace {

namespace fs = std::filesystem;
using testing::AllOf;
using testing::HasSubstr;

std::string read_bytes(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

void write_bytes(const fs::path& path, const std::string& bytes) {
  std::ofstream(path, std::ios::binary) << bytes;
}

std::string error_of(const std::function<void()>& action) {
  try {
    action();
  } catch (const InputError& error) {
    return error.what();
  }
  return "no InputError";
}

Graph cut_graph(OriginalNode nodes, Part parts, bool directed, bool weighted) {
  const Graph whole = graph_by_hand(nodes, planted_edges(2, nodes / 2, 4, 4, 2), directed, weighted);
  std::vector<Part> part_of(nodes);
  for (OriginalNode node = 0; node < nodes; ++node) part_of[node] = (node * 7 + node / 5) % parts;
  return renumber_by_parts(whole, part_of, parts);
}

NodeNames string_names(OriginalNode count) {
  std::string bytes;
  std::vector<std::uint64_t> ends;
  for (OriginalNode node = 0; node < count; ++node) {
    bytes += "package-" + std::to_string(node * 3);
    ends.push_back(bytes.size());
  }
  return NodeNames::from_strings(bytes, ends);
}

class KnotFolderTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = (fs::temp_directory_path() / "knotwork-knot-XXXXXX").string();
    ASSERT_NE(::mkdtemp(pattern.data()), nullptr);
    root_ = pattern;
    knot_ = (root_ / "g.knot").string();
  }
  void TearDown() override { fs::remove_all(root_); }

  fs::path root_;
  std::string knot_;
};

TEST_F(KnotFolderTest, every_kind_of_graph_comes_back_the_same) {
  for (const bool directed : {false, true}) {
    for (const bool weighted : {false, true}) {
      for (const Part parts : {1U, 4U}) {
        const Graph graph = cut_graph(100, parts, directed, weighted);
        write_knot(knot_, graph, NodeNames::counted(100), {.source = "in.tsv", .method = "metis", .edge_cut = 12});
        for (const KnotResidency residency : {KnotResidency::kMapped, KnotResidency::kInMemory}) {
          const OpenedKnot opened = open_knot(knot_, {.residency = residency});
          EXPECT_EQ(lists_in_original_ids(opened.graph, originals_of(graph)),
                    lists_in_original_ids(graph, originals_of(graph)));
          EXPECT_TRUE(opened.graph.is_whole());
          EXPECT_EQ(opened.graph.summary().directed, directed);
          EXPECT_EQ(opened.graph.summary().weighted, weighted);
          EXPECT_EQ(opened.graph.summary().arc_count, graph.summary().arc_count);
          for (GlobalNode node = 0; node < 100; ++node) {
            ASSERT_EQ(opened.graph.degree_rank(node), graph.degree_rank(node));
            ASSERT_EQ(opened.graph.parts().part_of(node), graph.parts().part_of(node));
          }
          EXPECT_EQ(opened.names.name(42), "42");
        }
      }
    }
  }
  EXPECT_FALSE(fs::exists(knot_ + ".partial"));
}

TEST_F(KnotFolderTest, any_range_of_parts_becomes_one_slice) {
  const Graph graph = cut_graph(100, 4, false, true);
  write_knot(knot_, graph, NodeNames::counted(100), {});
  for (Part first = 0; first < 4; ++first) {
    for (Part last = first + 1; last <= 4; ++last) {
      for (const KnotResidency residency : {KnotResidency::kMapped, KnotResidency::kInMemory}) {
        const OpenedKnot opened =
            open_knot(knot_, {.first_part = first, .last_part = last, .residency = residency, .with_names = false});
        const Graph expected = slice_parts(graph, first, last);
        EXPECT_EQ(opened.graph.first_node(), expected.first_node());
        EXPECT_EQ(opened.graph.last_node(), expected.last_node());
        EXPECT_EQ(lists_in_original_ids(opened.graph, originals_of(graph)),
                  lists_in_original_ids(expected, originals_of(graph)));
        EXPECT_EQ(opened.names.size(), 0U);
      }
    }
  }
  EXPECT_THAT(error_of([&] { open_knot(knot_, {.first_part = 2, .last_part = 5}); }), HasSubstr("has parts 0 to 3"));
  EXPECT_THAT(error_of([&] { open_knot(knot_, {.first_part = 2, .last_part = 2}); }), HasSubstr("asked for 2 to 1"));
}

TEST_F(KnotFolderTest, names_of_every_kind_come_back) {
  const Graph graph = cut_graph(20, 2, false, false);
  std::vector<std::uint64_t> ids(20);
  for (std::uint64_t i = 0; i < 20; ++i) ids[i] = (i + 1) << 40;
  for (const NodeNames& names : {NodeNames::counted(20), NodeNames::from_integers(ids), string_names(20)}) {
    write_knot(knot_, graph, names, {});
    const NodeNames read = open_knot(knot_).names;
    ASSERT_EQ(read.size(), 20U);
    EXPECT_EQ(read.are_integers(), names.are_integers());
    for (OriginalNode node = 0; node < 20; ++node) {
      EXPECT_EQ(read.name(node), names.name(node));
      EXPECT_EQ(read.find(names.name(node)), node);
    }
  }
}

// The worked example of docs/formats.md, byte by byte.
TEST_F(KnotFolderTest, the_documented_example_lies_where_the_document_says) {
  write_knot(knot_, graph_by_hand(3, {{0, 1, 1.0F}, {1, 2, 1.0F}}), NodeNames::counted(3), {});
  const std::string bytes = read_bytes(knot_ + "/part-00000.bin");
  ASSERT_EQ(bytes.size(), 448U);
  EXPECT_EQ(bytes.substr(0, 8), "KNOTPART");
  const auto number_at = [&bytes](std::size_t offset, int size) {
    std::uint64_t number = 0;
    for (int i = 0; i < size; ++i) number |= std::uint64_t{static_cast<unsigned char>(bytes[offset + i])} << (8 * i);
    return number;
  };
  EXPECT_EQ(number_at(8, 4), 1U);
  EXPECT_EQ(number_at(12, 4), 3U);
  EXPECT_EQ(number_at(16, 8), 448U);
  EXPECT_EQ(number_at(64 + 64 + 32, 8), 320U);  // where the second section, targets, lies
  const std::vector<std::uint64_t> offsets{0, 2, 3, 4};
  const std::vector<std::uint64_t> targets{1, 2, 0, 0};
  const std::vector<std::uint64_t> original{1, 0, 2};
  for (std::size_t i = 0; i < 4; ++i) EXPECT_EQ(number_at(256 + 8 * i, 8), offsets[i]);
  for (std::size_t i = 0; i < 4; ++i) EXPECT_EQ(number_at(320 + 4 * i, 4), targets[i]);
  for (std::size_t i = 0; i < 3; ++i) EXPECT_EQ(number_at(384 + 4 * i, 4), original[i]);
}

TEST_F(KnotFolderTest, graphs_without_edges_or_nodes_come_back) {
  write_knot(knot_, graph_by_hand(3, {}), NodeNames::counted(3), {});
  EXPECT_EQ(open_knot(knot_).graph.degree(2), 0U);
  write_knot(knot_, graph_by_hand(0, {}), NodeNames::counted(0), {});
  EXPECT_EQ(open_knot(knot_).graph.row_count(), 0U);
}

TEST_F(KnotFolderTest, inspecting_tells_what_is_inside) {
  const Graph graph = cut_graph(100, 4, true, false);
  const KnotProvenance provenance{
      .source = "graph \"x\".tsv", .program = "knotwork 9", .method = "fennel", .seed = ~0ULL, .imbalance = 0.03};
  write_knot(knot_ + "/", graph, string_names(100), provenance);
  EXPECT_TRUE(is_knot_folder(knot_));
  EXPECT_FALSE(is_knot_folder(root_.string()));
  const KnotSummary summary = inspect_knot(knot_);
  EXPECT_EQ(summary.version, 1U);
  EXPECT_EQ(summary.graph.node_count, 100U);
  EXPECT_EQ(summary.graph.arc_count, graph.summary().arc_count);
  EXPECT_TRUE(summary.graph.directed);
  EXPECT_THAT(summary.part_bounds, testing::ElementsAreArray(graph.parts().bounds()));
  EXPECT_EQ(summary.names_kind, "strings");
  EXPECT_EQ(summary.provenance.source, provenance.source);
  EXPECT_EQ(summary.provenance.seed, provenance.seed);
  std::uint64_t bytes = 0;
  for (const auto& entry : fs::directory_iterator(knot_)) {
    if (entry.path().filename() != "manifest.json") bytes += entry.file_size();
  }
  EXPECT_EQ(summary.bytes, bytes);
}

TEST_F(KnotFolderTest, the_same_graph_gives_the_same_bytes) {
  const Graph graph = cut_graph(100, 3, false, true);
  write_knot(knot_, graph, string_names(100), {.source = "a"});
  write_knot(knot_ + "2", graph, string_names(100), {.source = "a"});
  for (const auto& entry : fs::directory_iterator(knot_)) {
    EXPECT_EQ(read_bytes(entry.path()), read_bytes(fs::path(knot_ + "2") / entry.path().filename()));
  }
}

// Every byte of every file is flipped in turn. Only the zeros between sections may go unnoticed, since nobody reads
// them; unverified, a flip may go unnoticed too, but must never lead outside of the arrays.
TEST_F(KnotFolderTest, no_flipped_byte_goes_unnoticed) {
  const Graph graph = cut_graph(24, 2, false, true);
  write_knot(knot_, graph, string_names(24), {.source = "in.tsv"});
  const auto expected = lists_in_original_ids(graph, originals_of(graph));
  std::size_t noticed = 0;
  for (const auto& entry : fs::directory_iterator(knot_)) {
    const std::string whole = read_bytes(entry.path());
    for (std::size_t i = 0; i < whole.size(); ++i) {
      std::string flipped = whole;
      flipped[i] = static_cast<char>(flipped[i] ^ 0x15);
      write_bytes(entry.path(), flipped);
      for (const bool verify : {true, false}) {
        try {
          const OpenedKnot opened = open_knot(knot_, {.verify_checksums = verify});
          const auto found = lists_in_original_ids(opened.graph, originals_of(graph));
          EXPECT_TRUE(!verify || (whole[i] == 0 && found == expected)) << entry.path() << " byte " << i;
        } catch (const InputError& error) {
          EXPECT_THAT(error.what(), HasSubstr(entry.path().filename().string()));
          noticed += verify;
        }
      }
    }
    write_bytes(entry.path(), whole);
  }
  EXPECT_GT(noticed, 3000U);
  EXPECT_EQ(lists_in_original_ids(open_knot(knot_).graph, originals_of(graph)), expected);
}

TEST_F(KnotFolderTest, a_damaged_section_is_named_with_both_checksums) {
  write_knot(knot_, cut_graph(100, 2, false, false), NodeNames::counted(100), {});
  const fs::path path = fs::path(knot_) / "part-00001.bin";
  std::string bytes = read_bytes(path);
  const std::size_t in_targets = 64 + 3 * 64 + (51 * 8 + 63) / 64 * 64 + 5;
  bytes[in_targets] = static_cast<char>(bytes[in_targets] ^ 1);
  write_bytes(path, bytes);
  EXPECT_THAT(error_of([&] { open_knot(knot_); }),
              testing::MatchesRegex(".*part-00001.bin: section targets is damaged: checksum [0-9a-f]+ found, "
                                    "[0-9a-f]+ expected"));
  EXPECT_EQ(open_knot(knot_, {.first_part = 0, .last_part = 1}).graph.first_node(), 0U);  // the other part is well
}

TEST_F(KnotFolderTest, missing_and_truncated_files_are_named) {
  write_knot(knot_, cut_graph(100, 2, false, false), string_names(100), {});
  for (const char* name : {"part-00000.bin", "part-00001.bin", "names.bin", "degree_rank.bin"}) {
    const fs::path path = fs::path(knot_) / name;
    const std::string whole = read_bytes(path);
    for (const std::size_t kept : {std::size_t{0}, std::size_t{10}, whole.size() / 2, whole.size() - 1}) {
      write_bytes(path, whole.substr(0, kept));
      EXPECT_THAT(error_of([&] { open_knot(knot_); }), AllOf(HasSubstr(name), HasSubstr("truncated")));
    }
    fs::remove(path);
    EXPECT_THAT(error_of([&] { open_knot(knot_); }), AllOf(HasSubstr(name), HasSubstr("is missing")));
    write_bytes(path, whole);
  }
  write_bytes(fs::path(knot_) / "manifest.json", read_bytes(fs::path(knot_) / "manifest.json").substr(0, 100));
  EXPECT_THAT(error_of([&] { open_knot(knot_); }), AllOf(HasSubstr("manifest.json"), HasSubstr("damaged")));
  fs::remove(fs::path(knot_) / "manifest.json");
  EXPECT_THAT(error_of([&] { inspect_knot(knot_); }), HasSubstr("not a .knot folder"));
  EXPECT_THAT(error_of([&] { inspect_knot(knot_ + "-none"); }), HasSubstr("no such folder"));
}

TEST_F(KnotFolderTest, a_file_of_another_graph_is_noticed) {
  write_knot(knot_, cut_graph(100, 2, false, false), NodeNames::counted(100), {});
  const std::string other = (root_ / "other.knot").string();
  write_knot(other, graph_by_hand(100, planted_edges(2, 50, 4, 4, 3)), NodeNames::counted(100), {});
  fs::copy_file(fs::path(other) / "part-00000.bin", fs::path(knot_) / "part-00000.bin",
                fs::copy_options::overwrite_existing);
  EXPECT_THAT(error_of([&] { open_knot(knot_); }), HasSubstr("part-00000.bin"));
}

TEST_F(KnotFolderTest, another_version_is_named) {
  write_knot(knot_, cut_graph(20, 1, false, false), NodeNames::counted(20), {});
  const fs::path manifest = fs::path(knot_) / "manifest.json";
  std::string text = read_bytes(manifest);
  const std::string whole = text;
  text.replace(text.find("\"version\": 1"), 12, "\"version\": 7");
  write_bytes(manifest, text);
  EXPECT_THAT(error_of([&] { open_knot(knot_); }), HasSubstr("version 7, expected 1"));
  write_bytes(manifest, whole);
  const fs::path part = fs::path(knot_) / "part-00000.bin";
  std::string bytes = read_bytes(part);
  bytes[8] = 9;
  write_bytes(part, bytes);
  EXPECT_THAT(error_of([&] { open_knot(knot_); }), HasSubstr("has version 9, expected 1"));
}

// Checksums guard against accidents. A file that is wrong and says so consistently must still not lead anyone astray.
TEST_F(KnotFolderTest, contents_that_lie_with_right_checksums_are_refused) {
  const std::vector<ArcIndex> good_offsets{0, 1, 2};
  const std::vector<GlobalNode> good_targets{1, 0};
  const std::vector<OriginalNode> good_original{0, 1};
  const auto error_with = [&](
                              const std::vector<ArcIndex>& offsets, const std::vector<GlobalNode>& targets,
                              const std::vector<OriginalNode>& original,
                              const std::function<void(KnotManifest&)>& change = [](KnotManifest&) {}) {
    write_knot(knot_, graph_by_hand(2, {{0, 1, 1.0F}}), NodeNames::counted(2), {});
    KnotManifest manifest = read_manifest(knot_);
    const SectionToWrite sections[] = {{"offsets", std::as_bytes(std::span(offsets))},
                                       {"targets", std::as_bytes(std::span(targets))},
                                       {"original", std::as_bytes(std::span(original))}};
    manifest.files["part-00000.bin"] = write_section_file(knot_ + "/part-00000.bin", kPartMagic, sections);
    change(manifest);
    write_bytes(knot_ + "/manifest.json", manifest_text(manifest));
    return error_of([&] { open_knot(knot_); });
  };
  EXPECT_EQ(error_with(good_offsets, good_targets, good_original), "no InputError");
  EXPECT_THAT(error_with({0, 3, 2}, good_targets, good_original), HasSubstr("section offsets does not rise"));
  EXPECT_THAT(error_with({1, 1, 2}, good_targets, good_original), HasSubstr("section offsets does not rise"));
  EXPECT_THAT(error_with({0, 1, 3}, good_targets, good_original), HasSubstr("section offsets does not rise"));
  EXPECT_THAT(error_with({0, 2}, good_targets, good_original), HasSubstr("section offsets has 16 bytes, expected 24"));
  EXPECT_THAT(error_with(good_offsets, {2, 0}, good_original), HasSubstr("section targets names a node"));
  EXPECT_THAT(error_with(good_offsets, {1}, good_original), HasSubstr("section targets has 4 bytes, expected 8"));
  EXPECT_THAT(error_with(good_offsets, good_targets, {0, 7}), HasSubstr("section original names a node"));
  const auto with_manifest = [&](const std::function<void(KnotManifest&)>& change) {
    return error_with(good_offsets, good_targets, good_original, change);
  };
  EXPECT_THAT(with_manifest([](KnotManifest& m) { m.summary.graph.node_count = 1ULL << 40; }), HasSubstr("too many"));
  EXPECT_THAT(with_manifest([](KnotManifest& m) { m.summary.part_bounds = {0, 2, 1}; }), HasSubstr("part_bounds"));
  EXPECT_THAT(with_manifest([](KnotManifest& m) { m.summary.part_arcs = {~0ULL}; }), HasSubstr("part_arcs"));
  EXPECT_THAT(with_manifest([](KnotManifest& m) { m.summary.names_kind = "runes"; }), HasSubstr("unknown kind"));
  EXPECT_THAT(with_manifest([](KnotManifest& m) { m.summary.graph.weighted = true; }), HasSubstr("no section weights"));
  EXPECT_THAT(with_manifest([](KnotManifest& m) { m.files.clear(); }), HasSubstr("do not list part-00000.bin"));
  EXPECT_THAT(with_manifest([](KnotManifest& m) {
                m.summary.graph.arc_count = 1ULL << 50;
                m.summary.part_arcs = {1ULL << 50};
              }),
              HasSubstr("section targets has 8 bytes"));
}

TEST_F(KnotFolderTest, only_a_knot_folder_is_replaced) {
  const Graph graph = cut_graph(20, 2, false, false);
  const auto try_write = [&] { write_knot(knot_, graph, NodeNames::counted(20), {}); };
  write_bytes(knot_, "a file");
  EXPECT_THAT(error_of(try_write), HasSubstr("exists and is no folder"));
  EXPECT_EQ(read_bytes(knot_), "a file");
  fs::remove(knot_);
  fs::create_directory(knot_);
  EXPECT_THAT(error_of(try_write), HasSubstr("exists and is no .knot folder"));
  fs::remove(knot_);
  write_knot(knot_, cut_graph(40, 5, true, true), string_names(40), {});
  write_bytes(knot_ + "/thesis.tex", "mine");
  EXPECT_THAT(error_of(try_write), HasSubstr("thesis.tex"));
  EXPECT_EQ(open_knot(knot_).graph.summary().node_count, 40U);
  fs::remove(knot_ + "/thesis.tex");
  try_write();
  EXPECT_EQ(open_knot(knot_).graph.summary().node_count, 20U);
  EXPECT_FALSE(fs::exists(knot_ + "/part-00004.bin"));
  EXPECT_FALSE(fs::exists(knot_ + ".partial"));
}

TEST_F(KnotFolderTest, leftovers_of_a_killed_run_are_cleared_but_nothing_else) {
  const Graph graph = cut_graph(20, 2, false, false);
  fs::create_directory(knot_ + ".partial");
  write_bytes(knot_ + ".partial/part-00000.bin.partial", "half");
  write_knot(knot_, graph, NodeNames::counted(20), {});
  EXPECT_EQ(open_knot(knot_).graph.row_count(), 20U);
  fs::create_directory(knot_ + ".partial");
  write_bytes(knot_ + ".partial/letter.txt", "mine");
  EXPECT_THAT(error_of([&] { write_knot(knot_, graph, NodeNames::counted(20), {}); }), HasSubstr("letter.txt"));
  EXPECT_EQ(read_bytes(knot_ + ".partial/letter.txt"), "mine");
}

TEST_F(KnotFolderTest, a_place_that_cannot_be_written_is_bad_input) {
  const std::string nowhere = (root_ / "missing" / "g.knot").string();
  EXPECT_THAT(error_of([&] { write_knot(nowhere, cut_graph(20, 2, false, false), NodeNames::counted(20), {}); }),
              AllOf(HasSubstr(nowhere), HasSubstr("cannot be written")));
}

// A full disk, played by a limit on the size of files: nothing stays, under no name.
TEST_F(KnotFolderTest, a_failing_disk_leaves_nothing_behind) {
  const Graph graph = cut_graph(4000, 2, false, false);
  rlimit before{};
  ASSERT_EQ(::getrlimit(RLIMIT_FSIZE, &before), 0);
  const rlimit tight{.rlim_cur = 20000, .rlim_max = before.rlim_max};
  const auto old_handler = std::signal(SIGXFSZ, SIG_IGN);
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &tight), 0);
  EXPECT_THROW(write_knot(knot_, graph, NodeNames::counted(4000), {}), SystemError);
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &before), 0);
  std::signal(SIGXFSZ, old_handler);
  EXPECT_TRUE(fs::is_empty(root_));
}

TEST(ChecksumTest, blocks_are_hashed_apart_and_order_counts) {
  std::vector<std::byte> bytes(3 * kChecksumBlockBytes + 17);
  for (std::size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<std::byte>(i * 2654435761U >> 13);
  // Oracle: the definition in docs/formats.md, block by block.
  std::string hashes;
  for (std::size_t first = 0; first < bytes.size(); first += kChecksumBlockBytes) {
    const std::size_t size = std::min(kChecksumBlockBytes, bytes.size() - first);
    const std::uint64_t hash = plain_checksum(std::span(bytes).subspan(first, size));
    for (int i = 0; i < 8; ++i) hashes += static_cast<char>(hash >> (8 * i));
  }
  EXPECT_EQ(block_checksum(bytes), plain_checksum(std::as_bytes(std::span(hashes))));
  // XXH3-64 of nothing, as xxHash's own documentation gives it.
  EXPECT_EQ(checksum_text(plain_checksum({})), "2d06800538d394c2");
  EXPECT_EQ(checksum_text(0xab), "00000000000000ab");
}

}  // namespace
}  // namespace knotwork::partition
