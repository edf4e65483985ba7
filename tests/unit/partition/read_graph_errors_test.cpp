// read_graph on bad input: one line that names file, line, what was found and what was expected.
#include <filesystem>
#include <fstream>
#include <string>
#include <unistd.h>
#include <vector>
#include <zlib.h>
#include <zstd.h>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "partition/errors.h"
#include "partition/read_graph.h"

namespace knotwork::partition {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

class ReadGraphErrorsTest : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = std::filesystem::temp_directory_path() / ("knotwork_read_errors_" + std::to_string(getpid()));
    std::filesystem::create_directories(folder_);
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  std::string write(const std::string& name, const std::string& text) const {
    const std::string path = (folder_ / name).string();
    std::ofstream(path, std::ios::binary) << text;
    return path;
  }

  // The message of the InputError, the same for all block sizes and threads; "" if there was none.
  std::string error_of(const std::string& text, ReadOptions options = {}, const std::string& name = "g.txt") const {
    const std::string path = write(name, text);
    std::string first;
    for (const std::size_t block_bytes : {std::size_t{1} << 20, std::size_t{1}}) {
      for (const unsigned threads : {1U, 3U}) {
        options.tuning.block_bytes = block_bytes;
        options.threads = threads;
        const std::string message = message_of(path, options);
        if (first.empty()) first = message;
        EXPECT_EQ(message, first) << "block_bytes " << block_bytes << " threads " << threads;
      }
    }
    EXPECT_THAT(first, Not(HasSubstr("\n")));
    const std::size_t cut = first.find(name);
    return cut == std::string::npos ? first : first.substr(cut);
  }

  static std::string message_of(const std::string& path, const ReadOptions& options) {
    try {
      read_graph(path, options);
    } catch (const InputError& error) {
      return error.what();
    }
    return "";
  }

  std::filesystem::path folder_;
};

TEST_F(ReadGraphErrorsTest, empty_graphs) {
  for (const std::string text : {"", "\n\n", "# only\n% comments\n", "source target\n"}) {
    EXPECT_THAT(error_of(text), AllOf(HasSubstr("g.txt: found no edges"), HasSubstr("expected"))) << text;
  }
}

TEST_F(ReadGraphErrorsTest, a_line_with_one_field) {
  EXPECT_EQ(error_of("1 2\n# c\n\n2 3\n17\n4 5\n"),
            "g.txt:5: found one field '17', expected two node ids (and maybe a weight)");
  EXPECT_THAT(error_of("a b\nlonely ,\nc d\n"), HasSubstr("g.txt:2: found one field 'lonely'"));
}

TEST_F(ReadGraphErrorsTest, the_first_error_in_the_file_is_named) {
  std::string text;
  for (int i = 0; i < 900; ++i) text += (i == 300 || i == 600) ? "7\n" : "7 8\n";
  EXPECT_THAT(error_of(text), HasSubstr("g.txt:301: "));
}

TEST_F(ReadGraphErrorsTest, weights_that_are_none) {
  EXPECT_THAT(error_of("1 2 1\n2 3 x\n"),
              AllOf(HasSubstr("g.txt:2: found 'x' as a weight"), HasSubstr("expected a number")));
  EXPECT_THAT(error_of("a b 1\nb c 1.5.2\n"), HasSubstr("g.txt:2: found '1.5.2'"));
  EXPECT_THAT(error_of("1 2 -0.5\n"), AllOf(HasSubstr("g.txt:1: found '-0.5'"), HasSubstr("not negative")));
  for (const std::string weight : {"nan", "NaN", "inf", "Infinity", "1e39", "1e999", "-inf"}) {
    EXPECT_THAT(error_of("1 2 3\n1 3 " + weight + "\n"),
                AllOf(HasSubstr("g.txt:2: found '" + weight), HasSubstr("finite")));
  }
}

TEST_F(ReadGraphErrorsTest, lines_of_different_kinds) {
  EXPECT_THAT(error_of("1 2 1\n2 3\n"), HasSubstr("g.txt:2: found 2 fields, expected a weight"));
  EXPECT_THAT(error_of("1 2\n2 3 4\n"), HasSubstr("g.txt:2: found a third field '4', expected 2 fields"));
  EXPECT_THAT(error_of("1 2\n", {.weights = WeightColumn::kRequire}),
              HasSubstr("g.txt:1: found 2 fields, expected a weight"));
}

TEST_F(ReadGraphErrorsTest, binary_data) {
  EXPECT_THAT(error_of(std::string("\x7f"
                                   "ELF\x02\x01\x01\0\0\0\0\n",
                                   12)),
              HasSubstr("g.txt:1: found the control byte 0x7f"));
  EXPECT_THAT(error_of(std::string("1 2\n3 \0 4\n", 10)), HasSubstr("g.txt:2: found the control byte 0x00"));
  EXPECT_THAT(error_of("1 2\n3 4\x01\n"), HasSubstr("g.txt:2: found the control byte 0x01"));
}

std::string packed_edges(bool zstd) {
  std::string text;
  for (int i = 0; i < 50000; ++i) text += std::to_string(i) + " " + std::to_string(i * 7 % 1000) + "\n";
  std::string packed(ZSTD_compressBound(text.size()) + compressBound(text.size()), '\0');
  if (zstd) {
    ZSTD_CCtx* const context = ZSTD_createCCtx();
    ZSTD_CCtx_setParameter(context, ZSTD_c_checksumFlag, 1);  // as the zstd program does
    packed.resize(ZSTD_compress2(context, packed.data(), packed.size(), text.data(), text.size()));
    ZSTD_freeCCtx(context);
    return packed;
  }
  z_stream zlib = {};
  deflateInit2(&zlib, 6, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY);
  zlib.next_in = reinterpret_cast<Bytef*>(text.data());
  zlib.avail_in = static_cast<uInt>(text.size());
  zlib.next_out = reinterpret_cast<Bytef*>(packed.data());
  zlib.avail_out = static_cast<uInt>(packed.size());
  deflate(&zlib, Z_FINISH);
  packed.resize(zlib.total_out);
  deflateEnd(&zlib);
  return packed;
}

TEST_F(ReadGraphErrorsTest, compressed_files_that_are_cut_off_or_damaged) {
  for (const bool zstd : {false, true}) {
    const std::string packed = packed_edges(zstd);
    for (const std::size_t kept : {packed.size() - 1, packed.size() - 8, packed.size() / 2, std::size_t{12}}) {
      EXPECT_THAT(message_of(write("cut", packed.substr(0, kept)), {}), HasSubstr("cut: found a truncated")) << kept;
    }
    std::string damaged = packed;
    for (std::size_t i = packed.size() / 2; i < packed.size() / 2 + 64; ++i)
      damaged[i] = static_cast<char>(~damaged[i]);
    EXPECT_NE(message_of(write("damaged", damaged), {}), "");
  }
  EXPECT_THAT(message_of(write("tail", packed_edges(false) + "not gzip"), {}), HasSubstr("damaged gzip"));
}

TEST_F(ReadGraphErrorsTest, a_zstd_header_of_six_bytes_gets_no_gigabytes) {
  // Windows of 1.7 GB and of 2 GiB.
  for (const char window : {'\xa5', '\xa8'}) {
    const std::string header = "\x28\xb5\x2f\xfd" + std::string(1, '\0') + window;
    EXPECT_THAT(message_of(write("wide", header), {}), HasSubstr("wide: found a zstd window of more than 128 MiB"));
  }
  // That of `zstd --long`, 128 MiB, is as good as any.
  const std::string usual = "\x28\xb5\x2f\xfd" + std::string(1, '\0') + '\x88';
  EXPECT_THAT(message_of(write("usual", usual), {}), HasSubstr("usual: found a truncated zstd file"));
}

TEST_F(ReadGraphErrorsTest, files_that_cannot_be_opened) {
  EXPECT_THAT(message_of((folder_ / "absent").string(), {}),
              AllOf(HasSubstr("absent: No such file"), HasSubstr("expected")));
  EXPECT_THAT(message_of(folder_.string(), {}), HasSubstr("found a folder, expected a graph file"));
  if (geteuid() == 0) GTEST_SKIP() << "root may read every file, so permissions were not tested";
  const std::string path = write("secret", "1 2\n");
  std::filesystem::permissions(path, std::filesystem::perms::none);
  EXPECT_THAT(message_of(path, {}), HasSubstr("secret: Permission denied"));
}

TEST_F(ReadGraphErrorsTest, more_nodes_than_allowed) {
  ReadOptions options;
  options.tuning.max_nodes = 3;
  EXPECT_EQ(error_of("1 2\n2 3\n", options), "");
  EXPECT_THAT(error_of("1 2\n3 4\n", options), HasSubstr("g.txt: found 4 different nodes"));
  EXPECT_THAT(error_of("1 2\n3 4000000000000\n", options), HasSubstr("g.txt: found more than 3 different nodes"));
  EXPECT_THAT(error_of("a b\nc d\n", options), HasSubstr("g.txt: found more than 3 different nodes"));
}

TEST_F(ReadGraphErrorsTest, metis) {
  const auto metis = [&](const std::string& text) { return error_of(text, {.format = GraphFormat::kMetis}); };
  EXPECT_THAT(metis(""), HasSubstr("found no METIS header"));
  EXPECT_THAT(metis("a b\n"), HasSubstr("found no METIS header"));
  EXPECT_THAT(metis("0 0\n"), HasSubstr("g.txt:1: found an empty graph"));
  EXPECT_THAT(metis("2 1\n2\n3\n"), HasSubstr("g.txt:3: found neighbour 3, expected 1 to 2"));
  EXPECT_THAT(metis("2 1\n2\n0\n"), HasSubstr("g.txt:3: found neighbour 0"));
  EXPECT_THAT(metis("2 1\n2\nx\n"), HasSubstr("g.txt:3: found 'x'"));
  EXPECT_THAT(metis("3 1\n2\n1\n"), HasSubstr("found 2 node lines, expected 3"));
  EXPECT_THAT(metis("2 1\n2\n1\n\n2\n"), HasSubstr("found 4 node lines, expected 2"));
  EXPECT_THAT(metis("2 2\n2\n1\n"), HasSubstr("g.txt:1: found a header that says 2 edges, expected 1"));
  EXPECT_THAT(metis("3 2\n2 3\n1\n\n"), HasSubstr("found that node 1 lists node 3 but not the reverse"));
  EXPECT_THAT(metis("3 1\n\n1\n\n"), HasSubstr("found that node 2 lists node 1 but not the reverse"));
  EXPECT_THAT(metis("2 1 1\n2 5\n1 6\n"), HasSubstr("same weight"));
  EXPECT_THAT(metis("2 1 1\n2 5\n1\n"), HasSubstr("g.txt:3: found a neighbour without a weight"));
  EXPECT_THAT(metis("2 1 1\n2 5\n1 -5\n"), HasSubstr("g.txt:3: found '-5' as a weight"));
  EXPECT_EQ(metis("2 1\n2\n1\n\n\n"), "");
}

TEST_F(ReadGraphErrorsTest, matrix_market) {
  const std::string banner = "%%MatrixMarket matrix coordinate real general\n";
  EXPECT_THAT(error_of("%%MatrixMarket matrix array real general\n2 2\n"), HasSubstr("g.txt:1: found"));
  EXPECT_THAT(error_of("%%MatrixMarket matrix coordinate complex general\n2 2 1\n"),
              HasSubstr("pattern, real or integer"));
  EXPECT_THAT(error_of("%%MatrixMarket matrix coordinate real skew-symmetric\n2 2 1\n"),
              HasSubstr("general or symmetric"));
  EXPECT_THAT(error_of(banner), HasSubstr("found no size line"));
  EXPECT_THAT(error_of(banner + "% c\n2 3 1\n1 1 1\n"), HasSubstr("g.txt:3: found a matrix of 2 by 3"));
  EXPECT_THAT(error_of(banner + "2 2 1\n1 3 1\n"), HasSubstr("g.txt:3: found node 3, expected 1 to 2"));
  EXPECT_THAT(error_of(banner + "2 2 1\n0 1 1\n"), HasSubstr("g.txt:3: found node 0"));
  EXPECT_THAT(error_of(banner + "2 2 1\n1 x 1\n"), HasSubstr("g.txt:3: found an entry"));
  EXPECT_THAT(error_of(banner + "2 2 1\n1 2 -1\n"), HasSubstr("g.txt:3: found '-1' as a weight"));
  EXPECT_THAT(error_of(banner + "2 2 1\n1 2\n"), HasSubstr("g.txt:3: found 2 fields"));
  EXPECT_THAT(error_of(banner + "2 2 2\n1 2 1\n"), HasSubstr("found 1 entries, expected 2"));
  EXPECT_THAT(error_of("1 2\n", {.format = GraphFormat::kMatrixMarket}), HasSubstr("g.txt:1: found no banner"));
}

}  // namespace
}  // namespace knotwork::partition
