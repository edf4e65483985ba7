// Streamed section files are those that are written at once, byte by byte; and the checksum of a graph doesn't hang on
// its parts.
#include "partition/section_file.h"

#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <numeric>
#include <string>
#include <unistd.h>
#include <vector>

#include <gtest/gtest.h>

#include "partition/build_graph.h"
#include "partition/checksum.h"
#include "partition/errors.h"
#include "partition/graph_checksum.h"
#include "partition/random.h"
#include "partition/renumber.h"

namespace knotwork::partition {
namespace {

class StreamedSectionFile : public ::testing::Test {
 protected:
  StreamedSectionFile()
      : folder_(std::filesystem::temp_directory_path() / ("knotwork-sections-" + std::to_string(::getpid()))) {
    std::filesystem::create_directory(folder_);
  }
  ~StreamedSectionFile() override { std::filesystem::remove_all(folder_); }

  std::string path(const char* name) const { return (folder_ / name).string(); }
  static std::string contents(const std::string& path) {
    std::ifstream file(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
  }

  std::filesystem::path folder_;
};

StreamedSection streamed(const std::string& name, std::span<const std::byte> bytes) {
  return {.name = name, .bytes = bytes.size(), .read = [bytes](std::uint64_t offset, std::span<std::byte> out) {
            EXPECT_EQ(offset % kChecksumBlockBytes, 0U);
            std::copy_n(bytes.begin() + static_cast<std::ptrdiff_t>(offset), out.size(), out.begin());
          }};
}

TEST_F(StreamedSectionFile, IsTheSameAsOneWrittenAtOnce) {
  std::vector<std::uint32_t> large(700'001);  // Over two blocks and a piece.
  std::iota(large.begin(), large.end(), 7U);
  const std::vector<std::uint8_t> odd(13, 0xab);
  const auto a = std::as_bytes(std::span(large));
  const auto b = std::as_bytes(std::span(odd));
  const std::vector<SectionToWrite> at_once{{"large", a}, {"none", {}}, {"odd", b}};
  const std::vector<StreamedSection> pieces{streamed("large", a), streamed("none", {}), streamed("odd", b)};
  const SectionFileFacts expected = write_section_file(path("a"), "KNOTTEST", at_once);
  const SectionFileFacts found = stream_section_file(path("b"), "KNOTTEST", pieces);
  EXPECT_EQ(found.bytes, expected.bytes);
  EXPECT_EQ(found.header_checksum, expected.header_checksum);
  EXPECT_EQ(contents(path("a")), contents(path("b")));
  const SectionFile file(path("b"), "KNOTTEST", found);
  file.verify_checksums();
  EXPECT_EQ(file.array<std::uint32_t>("large", large.size()).back(), large.back());
}

TEST_F(StreamedSectionFile, LeavesNothingBehindWhenItsSourceFails) {
  const std::vector<StreamedSection> broken{
      {.name = "x", .bytes = 10, .read = [](std::uint64_t, std::span<std::byte>) { throw SystemError("no more"); }}};
  EXPECT_THROW(stream_section_file(path("c"), "KNOTTEST", broken), SystemError);
  EXPECT_TRUE(std::filesystem::is_empty(folder_));
}

Graph random_graph(std::uint64_t seed) {
  constexpr std::uint32_t kNodes = 200;
  std::vector<Edge> edges;
  for (std::uint32_t i = 0; i < 900; ++i) {
    const auto random = random_block(seed, RandomPurpose::kGenerate, i, 0, 0);
    edges.push_back({bounded(random[0], kNodes), bounded(random[1], kNodes)});
  }
  BuildReport report;
  return build_graph(EdgeArrays::copy_of(edges), kNodes, false, report);
}

TEST(GraphChecksum, IsThatOfTheGraphAndNotOfItsParts) {
  const Graph graph = random_graph(1);
  const std::uint64_t expected = graph_checksum(graph);
  for (const Part parts : {2U, 5U}) {
    std::vector<Part> part_of(graph.row_count());
    for (GlobalNode node = 0; node < graph.row_count(); ++node) part_of[node] = graph.original(node) * 7 % parts;
    EXPECT_EQ(graph_checksum(renumber_by_parts(graph, part_of, parts)), expected) << parts;
  }
  EXPECT_NE(graph_checksum(random_graph(2)), expected);
}

}  // namespace
}  // namespace knotwork::partition
