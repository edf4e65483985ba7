#include "embeddings/embedding_file.h"

#include <algorithm>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <limits>
#include <stdexcept>
#include <sys/resource.h>
#include <vector>

#include <gmock/gmock.h>

#include "partition/errors.h"
#include "partition/whole_file.h"
#include "test_folder.h"

namespace knotwork::embeddings {
namespace {

using partition::InputError;
using partition::SystemError;
using ::testing::AllOf;
using ::testing::HasSubstr;

/// Random values, and the float32 numbers that text is likely to spoil.
Embedding sample(const partition::NodeNames& names, std::size_t dim) {
  Embedding embedding(names, dim);
  fill_random(embedding, 17);
  const std::vector<float> hard{0.0F,
                                -0.0F,
                                std::numeric_limits<float>::min(),
                                std::numeric_limits<float>::denorm_min(),
                                -std::numeric_limits<float>::max(),
                                std::numeric_limits<float>::lowest(),
                                1.0F / 3,
                                16777217.0F};
  for (std::size_t i = 0; i < std::min(hard.size(), embedding.values().size()); ++i) embedding.values()[i] = hard[i];
  return embedding;
}

std::vector<std::string> names_in(const Embedding& embedding) {
  std::vector<std::string> result;
  for (std::uint32_t i = 0; i < embedding.rows(); ++i) result.push_back(embedding.names().name(i));
  return result;
}

class EmbeddingFormatTest : public ::testing::TestWithParam<const char*> {
 protected:
  std::string file(const std::string& stem = "emb") const { return folder_.file(stem + GetParam()); }
  TestFolder folder_;
};

TEST_P(EmbeddingFormatTest, gives_back_names_and_every_bit_of_the_rows) {
  const std::vector<partition::NodeNames> dictionaries{
      partition::NodeNames::counted(9), partition::NodeNames::from_integers({3, 17, 4711, 18446744073709551615ULL}),
      names_of({"nginx", "007", "b,c", "#x", "Zürich", "7"}), names_of({"9", "8", "10"}), names_of({"one"})};
  for (const partition::NodeNames& names : dictionaries) {
    for (const std::size_t dim : {1U, 5U, 128U}) {
      const Embedding written = sample(names, dim);
      write_embedding(file(), written);
      const Embedding read = read_embedding(file());
      ASSERT_EQ(read.dim(), dim);
      EXPECT_EQ(names_in(read), names_in(written));
      EXPECT_EQ(std::memcmp(read.values().data(), written.values().data(), written.values().size_bytes()), 0);
      const EmbeddingSummary summary = inspect_embedding(file());
      EXPECT_EQ(summary.rows, names.size());
      EXPECT_EQ(summary.dim, dim);
      EXPECT_EQ(summary.format, embedding_format(file()));
    }
  }
}

TEST_P(EmbeddingFormatTest, appended_pieces_make_the_same_bytes_as_one) {
  const Embedding whole = sample(partition::NodeNames::counted(9001), 3);
  write_embedding(file("whole"), whole);
  const auto writer = EmbeddingWriter::create(file("pieces"), whole.names(), 3);
  std::span<const float> rest = whole.values();
  for (const std::size_t rows : {1U, 8499U, 0U, 500U, 1U}) {
    writer->append(rest.first(rows * 3));
    rest = rest.subspan(rows * 3);
  }
  EXPECT_EQ(writer->rows_written(), 9001U);
  writer->finish();
  const Embedding read = read_embedding(file("pieces"));
  EXPECT_TRUE(std::ranges::equal(read.values(), whole.values()));
  if (std::string(GetParam()) != ".h5") {  // HDF5 places its objects as it likes
    EXPECT_EQ(folder_.read(std::string("whole") + GetParam()), folder_.read(std::string("pieces") + GetParam()));
  }
}

TEST_P(EmbeddingFormatTest, nothing_is_left_of_an_unfinished_file) {
  {
    const auto writer = EmbeddingWriter::create(file(), partition::NodeNames::counted(4), 2);
    const std::vector<float> rows{1, 2, 3, 4};
    writer->append(rows);
    EXPECT_THROW(writer->finish(), std::logic_error);  // two rows are missing
    EXPECT_THROW(writer->append(std::vector<float>(6)), std::logic_error);
    EXPECT_THROW(writer->append(std::vector<float>(3)), std::logic_error);
    EXPECT_GT(folder_.file_count(), 0U);
  }
  EXPECT_EQ(folder_.file_count(), 0U);
}

TEST_P(EmbeddingFormatTest, an_older_file_stays_until_the_new_one_is_whole) {
  const Embedding old = sample(names_of({"a", "b"}), 2);
  write_embedding(file(), old);
  { const auto writer = EmbeddingWriter::create(file(), partition::NodeNames::counted(4), 2); }
  EXPECT_THAT(names_in(read_embedding(file())), ::testing::ElementsAre("a", "b"));
}

// A limit on the size of files stands in for a full disk: write(2) fails in the same place.
TEST_P(EmbeddingFormatTest, a_full_disk_is_a_system_error_and_leaves_nothing) {
  const Embedding embedding = sample(partition::NodeNames::counted(20000), 16);
  std::signal(SIGXFSZ, SIG_IGN);
  rlimit before{};
  ASSERT_EQ(::getrlimit(RLIMIT_FSIZE, &before), 0);
  const rlimit small{.rlim_cur = 300'000, .rlim_max = before.rlim_max};
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &small), 0);
  const std::string message = message_of<SystemError>([&] { write_embedding(file(), embedding); });
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &before), 0);
  EXPECT_THAT(message, HasSubstr(file()));
  EXPECT_EQ(folder_.file_count(), 0U);
}

TEST_P(EmbeddingFormatTest, refuses_a_folder_that_does_not_exist) {
  const std::string path = folder_.file(std::string("no/such/emb") + GetParam());
  const std::string message =
      message_of<InputError>([&] { EmbeddingWriter::create(path, partition::NodeNames::counted(1), 1); });
  EXPECT_THAT(message, AllOf(HasSubstr("no/such/emb"), HasSubstr("folder")));
}

TEST_P(EmbeddingFormatTest, refuses_dimension_zero_and_no_nodes) {
  EXPECT_THROW(EmbeddingWriter::create(file(), partition::NodeNames::counted(1), 0), InputError);
  EXPECT_THROW(EmbeddingWriter::create(file(), partition::NodeNames(), 1), InputError);
  EXPECT_EQ(folder_.file_count(), 0U);
}

// Formats that say how much is to come, which a .tsv does not.
class CountedFormatTest : public EmbeddingFormatTest {};

// A file cut anywhere is refused, or has lost only digits and line ends at the
// end.
TEST_P(CountedFormatTest, refuses_a_truncated_file) {
  if (std::string(GetParam()) == ".tsv") GTEST_SKIP() << "a .tsv does not say how long it is; see the test below";
  write_embedding(file(), sample(names_of({"first", "second", "third"}), 4));
  const std::string bytes = folder_.read(std::string("emb") + GetParam());
  std::size_t refused = 0;
  const std::size_t step = bytes.size() > 1000 ? 97 : 1;
  for (std::size_t size = 0; size < bytes.size(); size += step) {
    folder_.write(std::string("emb") + GetParam(), bytes.substr(0, size));
    try {
      EXPECT_EQ(read_embedding(file()).rows(), 3U) << "cut to " << size << " of " << bytes.size() << " bytes";
      EXPECT_EQ(bytes.substr(size).find_first_not_of("0123456789.e-\n"), std::string::npos) << "cut to " << size;
    } catch (const InputError& error) {
      EXPECT_THAT(error.what(), HasSubstr(file()));
      ++refused;
    }
  }
  EXPECT_GT(refused, bytes.size() / step * 8 / 10);
}

TEST_P(EmbeddingFormatTest, refuses_garbage_missing_and_empty_files) {
  EXPECT_THAT(message_of<InputError>([&] { read_embedding(file()); }), HasSubstr(file()));
  folder_.write(std::string("emb") + GetParam(), "");
  EXPECT_THAT(message_of<InputError>([&] { read_embedding(file()); }), HasSubstr("empty"));
  std::string garbage;
  for (std::uint32_t i = 0; i < 4096; ++i) {
    garbage += static_cast<char>(random_block(1, partition::RandomPurpose::kGenerate, i, 0, 0)[0] & 0xff);
  }
  folder_.write(std::string("emb") + GetParam(), garbage);
  EXPECT_THAT(message_of<InputError>([&] { read_embedding(file()); }), HasSubstr(file()));
}

TEST_P(EmbeddingFormatTest, refuses_values_that_are_no_finite_numbers) {
  Embedding embedding = sample(names_of({"a", "bad"}), 3);
  embedding.row(1)[2] = std::numeric_limits<float>::quiet_NaN();
  write_embedding(file(), embedding);
  EXPECT_THAT(message_of<InputError>([&] { read_embedding(file()); }), AllOf(HasSubstr("'bad'"), HasSubstr("nan")));
}

INSTANTIATE_TEST_SUITE_P(Formats, CountedFormatTest, ::testing::Values(".npy", ".txt", ".bin", ".h5"),
                         [](const auto& format) { return std::string(format.param).substr(1); });
INSTANTIATE_TEST_SUITE_P(Formats, EmbeddingFormatTest, ::testing::Values(".npy", ".txt", ".bin", ".tsv", ".h5"),
                         [](const auto& format) { return std::string(format.param).substr(1); });

TEST(EmbeddingFileTest, endings) {
  EXPECT_EQ(embedding_format("a.npy"), EmbeddingFormat::kNumpy);
  EXPECT_EQ(embedding_format("a/b.c/x.hdf5"), EmbeddingFormat::kHdf5);
  EXPECT_THAT(message_of<InputError>([] { embedding_format("vectors.dat"); }),
              AllOf(HasSubstr("vectors.dat"), HasSubstr(".npy"), HasSubstr(".h5")));
  EXPECT_EQ(ids_path("x/emb.npy"), "x/emb.ids.txt");
}

TEST(EmbeddingFileTest, word2vec_text_is_laid_out_as_documented) {
  const TestFolder folder;
  Embedding embedding(names_of({"a", "b"}), 2);
  embedding.row(0)[0] = 0.1F;
  embedding.row(1)[1] = -2.0F;
  write_embedding(folder.file("e.txt"), embedding);
  EXPECT_EQ(folder.read("e.txt"), "2 2\na 0.1 0\nb 0 -2\n");
  write_embedding(folder.file("e.tsv"), embedding);
  EXPECT_EQ(folder.read("e.tsv"), "a\t0.1\t0\nb\t0\t-2\n");
}

TEST(EmbeddingFileTest, reads_what_other_tools_write) {
  const TestFolder folder;
  // Trailing blanks (word2vec.c), CRLF, exponents, a file called .vec.
  const Embedding text = read_embedding(folder.write("e.vec", "2 3\r\na 1 2e-3 -3 \r\nb 4 1e-60 6\r\n"));
  EXPECT_THAT(text.values(), ::testing::ElementsAre(1, 2e-3F, -3, 4, 0, 6));
  // gensim's binary files have no newline after a row.
  const float row[2] = {1.5F, -2.0F};
  const std::string bytes(reinterpret_cast<const char*>(row), sizeof(row));
  const Embedding binary = read_embedding(folder.write("e.bin", "2 2\nx " + bytes + "y " + bytes));
  EXPECT_THAT(names_in(binary), ::testing::ElementsAre("x", "y"));
  EXPECT_THAT(binary.values(), ::testing::ElementsAre(1.5F, -2.0F, 1.5F, -2.0F));
  // numpy's float64.
  const double wide[2] = {0.5, 0.25};
  std::string npy =
      std::string("\x93NUMPY\x01\x00\x46\x00", 10) + "{'descr': '<f8', 'fortran_order': False, 'shape': (1, 2), }";
  npy.resize(10 + 0x46, ' ');
  npy.back() = '\n';
  folder.write("d.ids.txt", "only\n");
  folder.write("d.npy", npy + std::string(reinterpret_cast<const char*>(wide), sizeof(wide)));
  EXPECT_THAT(read_embedding(folder.file("d.npy")).values(), ::testing::ElementsAre(0.5F, 0.25F));
  // Names with blanks live in .tsv.
  const Embedding tsv = read_embedding(folder.write("e.tsv", "New York\t1\t2\nRome\t3\t4\n"));
  EXPECT_THAT(names_in(tsv), ::testing::ElementsAre("New York", "Rome"));
}

TEST(EmbeddingFileTest, names_the_line_that_is_wrong) {
  const TestFolder folder;
  const auto message = [&](const std::string& name, const std::string& content) {
    return message_of<InputError>([&] { read_embedding(folder.write(name, content)); });
  };
  EXPECT_THAT(message("e.txt", "2 2\na 1 2\nb 3\n"), AllOf(HasSubstr("e.txt:3"), HasSubstr("expected 2")));
  EXPECT_THAT(message("e.txt", "2 2\na 1 2\nb 3 x4\n"), AllOf(HasSubstr("e.txt:3"), HasSubstr("'x4'")));
  EXPECT_THAT(message("e.txt", "2 2\na 1 2\nb 3 1e60\n"), AllOf(HasSubstr("'b'"), HasSubstr("inf")));
  EXPECT_THAT(message("e.txt", "2 2\na 1 2\nb 3 4 5\n"), AllOf(HasSubstr("e.txt:3"), HasSubstr("more than 2")));
  EXPECT_THAT(message("e.txt", "3 2\na 1 2\nb 3 4\n"), HasSubstr("promises 3 rows"));
  EXPECT_THAT(message("e.txt", "2 2\na 1 2\na 3 4\n"), AllOf(HasSubstr("e.txt:3"), HasSubstr("twice")));
  EXPECT_THAT(message("e.txt", "4000000000 1000000000\na 1 2\n"), HasSubstr("too short"));
  EXPECT_THAT(message("e.txt", "hello\n"), HasSubstr("e.txt:1"));
  EXPECT_THAT(message("e.tsv", "a\t1\nb\t2\t3\n"), HasSubstr("e.tsv:2"));
  EXPECT_THAT(message("e.tsv", "a\t1\t2\nb\t3"), AllOf(HasSubstr("e.tsv:2"), HasSubstr("1 values; expected 2")));
  EXPECT_THAT(message("e.tsv", "\t1\n"), AllOf(HasSubstr("e.tsv:1"), HasSubstr("empty name")));
  EXPECT_THAT(message("e.bin", "2000000000 4\na 0123456789abcdef\n"), HasSubstr("too short"));
  EXPECT_THAT(message("e.xyz", "what is this\n"), HasSubstr("not an embedding"));
}

TEST(EmbeddingFileTest, npy_needs_its_ids_and_no_others) {
  const TestFolder folder;
  write_embedding(folder.file("e.npy"), sample(names_of({"a", "b"}), 2));
  folder.write("e.ids.txt", "a\n");
  EXPECT_THAT(message_of<InputError>([&] { read_embedding(folder.file("e.npy")); }), HasSubstr("1 names; expected 2"));
  folder.write("e.ids.txt", "a\na\n");
  EXPECT_THAT(message_of<InputError>([&] { read_embedding(folder.file("e.npy")); }), HasSubstr("e.ids.txt:2"));
  std::filesystem::remove(folder.file("e.ids.txt"));
  EXPECT_THAT(message_of<InputError>([&] { read_embedding(folder.file("e.npy")); }),
              AllOf(HasSubstr("e.ids.txt"), HasSubstr("names of the rows")));
}

TEST(EmbeddingFileTest, refuses_names_that_a_format_cannot_hold) {
  const TestFolder folder;
  const partition::NodeNames blank = names_of({"a", "New York"});
  for (const char* name : {"e.txt", "e.bin"}) {
    EXPECT_THAT(message_of<InputError>([&] { EmbeddingWriter::create(folder.file(name), blank, 1); }),
                AllOf(HasSubstr("'New York'"), HasSubstr("white space")));
  }
  EXPECT_NO_THROW(EmbeddingWriter::create(folder.file("e.npy"), blank, 1));
  EXPECT_NO_THROW(EmbeddingWriter::create(folder.file("e.h5"), blank, 1));
  EXPECT_THROW(EmbeddingWriter::create(folder.file("e.tsv"), names_of({"a\tb"}), 1), InputError);
  EXPECT_THROW(EmbeddingWriter::create(folder.file("e.npy"), names_of({"a\nb"}), 1), InputError);
}

TEST(WholeFileTest, a_folder_is_no_file) {
  const TestFolder folder;
  EXPECT_THAT(message_of<InputError>([&] { partition::WholeFile file(folder.path()); }), HasSubstr("is a folder"));
}

}  // namespace
}  // namespace knotwork::embeddings
