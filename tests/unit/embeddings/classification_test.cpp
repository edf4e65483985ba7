#include "embeddings/classification.h"

#include <cmath>
#include <vector>
#include <zlib.h>

#include <gmock/gmock.h>

#include "partition/errors.h"
#include "test_folder.h"
#ifdef _OPENMP
#include <omp.h>
#endif

namespace knotwork::embeddings {
namespace {

using partition::InputError;
using partition::OriginalNode;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

/// `classes` classes; a node's vector has a 1 in the columns of its labels, blurred by noise. Every third node has two
/// labels.
struct Labelled {
  Embedding embedding;
  NodeLabels labels;
};

Labelled labelled_nodes(OriginalNode count, std::uint32_t classes, float noise) {
  Labelled result{Embedding(partition::NodeNames::counted(count), classes + 3), {}};
  fill_random(result.embedding, 23);
  for (float& value : result.embedding.values()) value *= noise;
  for (std::uint32_t label = 0; label < classes; ++label) result.labels.label_names.push_back(std::to_string(label));
  for (OriginalNode node = 0; node < count; ++node) {
    const std::uint32_t first = node % classes;
    const std::uint32_t second = (first + 1) % classes;
    std::vector<std::uint32_t> mine{first};
    if (node % 3 == 0) mine = {std::min(first, second), std::max(first, second)};
    for (const std::uint32_t label : mine) {
      result.embedding.row(node)[label] += 1;
      result.labels.labels.push_back(label);
    }
    result.labels.nodes.push_back(node);
    result.labels.offsets.push_back(result.labels.labels.size());
  }
  return result;
}

TEST(ClassificationTest, clear_classes_are_found_and_noise_is_not) {
  const Labelled clear = labelled_nodes(600, 5, 0.2F);
  const std::vector<ClassificationScore> scores =
      classify_nodes(clear.embedding, clear.labels, {.ratios = {0.2, 0.8}, .repeats = 3});
  ASSERT_EQ(scores.size(), 2U);
  EXPECT_EQ(scores[0].train_nodes, 120U);
  EXPECT_EQ(scores[1].train_nodes, 480U);
  for (const ClassificationScore& score : scores) {
    EXPECT_GT(score.micro_f1, 0.99);
    EXPECT_GT(score.macro_f1, 0.99);
  }
  Labelled noise = labelled_nodes(600, 5, 0.2F);
  fill_random(noise.embedding, 99);
  const ClassificationScore blind = classify_nodes(noise.embedding, noise.labels, {.ratios = {0.5}, .repeats = 5})[0];
  // A third of the nodes has two labels of five, the others one: guessing finds 4/15 of them on average.
  EXPECT_NEAR(blind.micro_f1, 4.0 / 15, 0.05);
  EXPECT_GT(blind.micro_f1_deviation, 0);
}

TEST(ClassificationTest, labels_never_seen_in_training_are_predicted_last) {
  // 3 of 300 nodes bear label 2: with 1 % trained on, most repeats never see it; nothing may break.
  Labelled rare = labelled_nodes(300, 2, 0.1F);
  rare.labels.label_names.push_back("rare");
  for (std::size_t i = 0; i < rare.labels.labels.size(); i += rare.labels.labels.size() / 3) {
    if (rare.labels.labels[i] == 1) rare.labels.labels[i] = 2;
  }
  const std::vector<ClassificationScore> scores =
      classify_nodes(rare.embedding, rare.labels, {.ratios = {0.01, 0.9}, .repeats = 4});
  for (const ClassificationScore& score : scores) {
    EXPECT_TRUE(std::isfinite(score.macro_f1));
    EXPECT_GT(score.micro_f1, 0.5);
  }
}

TEST(ClassificationTest, normalised_rows_forget_their_length) {
  Labelled nodes = labelled_nodes(200, 4, 0.5F);
  const ClassificationOptions options{.ratios = {0.5}, .repeats = 2, .normalize = true};
  const double before = classify_nodes(nodes.embedding, nodes.labels, options)[0].micro_f1;
  for (OriginalNode node = 0; node < 200; ++node) {
    for (float& value : nodes.embedding.row(node)) value *= static_cast<float>(1U << (node % 7));  // exact in float
  }
  EXPECT_EQ(classify_nodes(nodes.embedding, nodes.labels, options)[0].micro_f1, before);
}

TEST(ClassificationTest, results_depend_on_the_seed_and_not_on_threads) {
  const Labelled nodes = labelled_nodes(300, 4, 2.0F);
  const ClassificationOptions options{.ratios = {0.3}, .repeats = 3, .seed = 7};
  const ClassificationScore score = classify_nodes(nodes.embedding, nodes.labels, options)[0];
  EXPECT_NE(classify_nodes(nodes.embedding, nodes.labels, {.ratios = {0.3}, .repeats = 3, .seed = 8})[0].micro_f1,
            score.micro_f1);
#ifdef _OPENMP
  const int threads = omp_get_max_threads();
  for (const int count : {1, 4}) {
    omp_set_num_threads(count);
    const ClassificationScore again = classify_nodes(nodes.embedding, nodes.labels, options)[0];
    EXPECT_EQ(again.micro_f1, score.micro_f1);
    EXPECT_EQ(again.macro_f1, score.macro_f1);
  }
  omp_set_num_threads(threads);
#endif
}

TEST(ClassificationTest, progress_rises_to_one) {
  const Labelled nodes = labelled_nodes(60, 3, 0.2F);
  double last = 0;
  classify_nodes(nodes.embedding, nodes.labels, {.ratios = {0.5}, .repeats = 2, .progress = [&](double done) {
                                                   EXPECT_GT(done, last);
                                                   last = done;
                                                 }});
  EXPECT_NEAR(last, 1, 1e-12);
}

TEST(ClassificationTest, refuses_options_out_of_range) {
  const Labelled nodes = labelled_nodes(20, 2, 0.2F);
  const auto message = [&](const ClassificationOptions& options) {
    return message_of<InputError>([&] { classify_nodes(nodes.embedding, nodes.labels, options); });
  };
  EXPECT_THAT(message({.ratios = {1.0}}), HasSubstr("between 0 and 1"));
  EXPECT_THAT(message({.ratios = {0.01}}), HasSubstr("20 labelled nodes"));
  EXPECT_THAT(message({.ratios = {std::nan("")}}), HasSubstr("ratio"));
  EXPECT_THAT(message({.ratios = {}}), HasSubstr("ratios"));
  EXPECT_THAT(message({.repeats = 0}), HasSubstr("repeats"));
  EXPECT_THAT(message({.c = -1}), HasSubstr("C is -1"));
}

class NodeLabelsTest : public ::testing::Test {
 protected:
  NodeLabels read(const std::string& content, MissingNodes missing = MissingNodes::kRefuse) const {
    return read_node_labels(folder_.write("labels.tsv", content), names_, missing);
  }
  std::string error(const std::string& content) const {
    return message_of<InputError>([&] { read(content); });
  }
  TestFolder folder_;
  partition::NodeNames names_ = names_of({"a", "b", "c"});
};

TEST_F(NodeLabelsTest, are_read_sorted_and_without_duplicates) {
  const NodeLabels labels = read("# node labels\nb\t10,9\r\na 10 x\nb\t9,x\n");
  EXPECT_THAT(labels.label_names, ElementsAre("9", "10", "x"));
  EXPECT_THAT(labels.nodes, ElementsAre(1U, 0U));
  EXPECT_THAT(labels.of(0), ElementsAre(0U, 1U, 2U));
  EXPECT_THAT(labels.of(1), ElementsAre(1U, 2U));
}

TEST_F(NodeLabelsTest, isolated_nodes_are_refused_or_skipped) {
  const std::string content = "a\t1\nz\t1\nb\t2\ny\t2\nx\t2\n";
  EXPECT_THAT(error(content), AllOf(HasSubstr("labels.tsv:2"), HasSubstr("'z'"), HasSubstr("and 2 more")));
  const NodeLabels labels = read(content, MissingNodes::kSkip);
  EXPECT_EQ(labels.skipped, 3U);
  EXPECT_THAT(labels.nodes, ElementsAre(0U, 1U));
}

TEST_F(NodeLabelsTest, malformed_files_are_named) {
  EXPECT_THAT(error("a\t1\nb\n"), AllOf(HasSubstr("labels.tsv:2"), HasSubstr("no label")));
  EXPECT_THAT(error("a\t1\nb\t1\n"), HasSubstr("expected at least 2"));
  EXPECT_THAT(error("a\t,\n"), HasSubstr("labels.tsv:1"));
  EXPECT_THAT(error(""), HasSubstr("expected at least 2"));
  EXPECT_THAT(message_of<InputError>([&] { read_node_labels(folder_.file("none"), names_); }), HasSubstr("none"));
}

TEST_F(NodeLabelsTest, gzipped_files_are_read_and_truncated_ones_refused) {
  std::string content;
  for (int i = 0; i < 2000; ++i) content += "a\t" + std::to_string(i * 7919) + "\n";
  const std::string path = folder_.file("labels.tsv.gz");
  const gzFile stream = ::gzopen(path.c_str(), "wb");
  ::gzwrite(stream, content.data(), static_cast<unsigned>(content.size()));
  ::gzclose(stream);
  EXPECT_EQ(read_node_labels(path, names_).label_names.size(), 2000U);
  std::filesystem::resize_file(path, std::filesystem::file_size(path) / 2);
  EXPECT_THAT(message_of<InputError>([&] { read_node_labels(path, names_); }),
              AllOf(HasSubstr("labels.tsv.gz"), HasSubstr("truncated")));
}

}  // namespace
}  // namespace knotwork::embeddings
