#include "embeddings/link_prediction.h"

#include <cmath>
#include <set>
#include <vector>

#include <gmock/gmock.h>

#include "embeddings/link_baselines.h"
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
using ::testing::HasSubstr;

/// Two blocks of nodes; edges lie inside a block, non-edges across. `noise` blurs the vectors, whose column 0 tells the
/// block apart and whose other columns are noise of a larger size.
struct Blocks {
  Embedding embedding;
  LinkSplit split;
};

Blocks two_blocks(OriginalNode size, std::size_t dim) {
  Blocks blocks{Embedding(partition::NodeNames::counted(2 * size), dim), {}};
  fill_random(blocks.embedding, 5);
  for (OriginalNode node = 0; node < 2 * size; ++node) {
    blocks.embedding.row(node)[0] = node < size ? 1.0F : -1.0F;
    for (float& value : blocks.embedding.row(node).subspan(1)) value *= 4;
  }
  const auto other = [size](OriginalNode node, std::uint32_t step) { return (node + step) % size; };
  for (OriginalNode node = 0; node < size; ++node) {
    blocks.split.train.push_back({node, other(node, 1)});
    blocks.split.train.push_back({size + node, size + other(node, 2)});
    blocks.split.train_negatives.push_back({node, size + other(node, 1)});
    blocks.split.train_negatives.push_back({node, size + other(node, 4)});
    blocks.split.test.push_back({node, other(node, 3)});
    blocks.split.test_negatives.push_back({size + node, other(node, 5)});
  }
  return blocks;
}

TEST(LinkPredictionTest, dot_and_cosine_are_what_they_say) {
  const Blocks blocks = two_blocks(40, 37);
  const std::vector<float> dots = score_pairs(blocks.embedding, blocks.split.test, LinkScore::kDot);
  const std::vector<float> cosines = score_pairs(blocks.embedding, blocks.split.test, LinkScore::kCosine);
  for (std::size_t i = 0; i < dots.size(); ++i) {
    double dot = 0;
    double source = 0;
    double target = 0;
    for (std::size_t column = 0; column < 37; ++column) {
      const double a = blocks.embedding.row(blocks.split.test[i].source)[column];
      const double b = blocks.embedding.row(blocks.split.test[i].target)[column];
      dot += a * b;
      source += a * a;
      target += b * b;
    }
    EXPECT_NEAR(dots[i], dot, 1e-4);
    EXPECT_NEAR(cosines[i], dot / std::sqrt(source * target), 1e-6);
  }
}

TEST(LinkPredictionTest, a_zero_vector_has_cosine_zero) {
  Blocks blocks = two_blocks(4, 3);
  for (float& value : blocks.embedding.row(0)) value = 0;
  EXPECT_EQ(score_pairs(blocks.embedding, std::vector<NodePair>{{0, 1}}, LinkScore::kCosine)[0], 0.0F);
}

// Columns of noise drown column 0 for the dot product; the regression must find that only column 0 counts.
TEST(LinkPredictionTest, hadamard_regression_finds_the_column_that_counts) {
  const Blocks blocks = two_blocks(400, 24);
  EXPECT_LT(evaluate_links(blocks.embedding, blocks.split, LinkScore::kDot).metrics.auc, 0.8);
  const LinkReport learned = evaluate_links(blocks.embedding, blocks.split, LinkScore::kHadamardLr);
  EXPECT_EQ(learned.name, "hadamard-lr");
  EXPECT_GT(learned.metrics.auc, 0.99);
  EXPECT_EQ(learned.metrics.hits.size(), 3U);
  // A cut sample still finds it, and the same seed draws the same sample.
  const LinkOptions cut{.max_training_pairs = 300};
  const LinkReport once = evaluate_links(blocks.embedding, blocks.split, LinkScore::kHadamardLr, cut);
  const LinkReport again = evaluate_links(blocks.embedding, blocks.split, LinkScore::kHadamardLr, cut);
  EXPECT_GT(once.metrics.auc, 0.95);
  EXPECT_EQ(once.metrics.auc, again.metrics.auc);
  const LinkOptions starved{.max_training_pairs = 2};
  EXPECT_LT(evaluate_links(blocks.embedding, blocks.split, LinkScore::kHadamardLr, starved).metrics.auc, 0.95);
}

TEST(LinkPredictionTest, results_do_not_depend_on_the_number_of_threads) {
#ifdef _OPENMP
  const Blocks blocks = two_blocks(100, 16);
  const int threads = omp_get_max_threads();
  for (const LinkScore score : {LinkScore::kDot, LinkScore::kCosine, LinkScore::kHadamardLr}) {
    omp_set_num_threads(1);
    const LinkReport one = evaluate_links(blocks.embedding, blocks.split, score);
    omp_set_num_threads(4);
    const LinkReport four = evaluate_links(blocks.embedding, blocks.split, score);
    EXPECT_EQ(one.metrics.auc, four.metrics.auc);
    EXPECT_EQ(one.metrics.mrr, four.metrics.mrr);
  }
  omp_set_num_threads(threads);
#else
  GTEST_SKIP() << "built without OpenMP: there is only one thread";
#endif
}

TEST(LinkPredictionTest, score_names_go_both_ways) {
  for (const LinkScore score : {LinkScore::kDot, LinkScore::kCosine, LinkScore::kHadamardLr}) {
    EXPECT_EQ(link_score_from_name(link_score_name(score)), score);
  }
  EXPECT_THAT(message_of<InputError>([] { link_score_from_name("cosin"); }),
              AllOf(HasSubstr("'cosin'"), HasSubstr("hadamard-lr")));
}

class LinkSplitTest : public ::testing::Test {
 protected:
  LinkSplitTest() {
    folder_.write("train.tsv", "a\tb\t2.5\nb\tc\n");
    folder_.write("train_neg.tsv", "a\tc\n");
    folder_.write("test_pos.tsv", "# hidden\nc\td\n");
    folder_.write("test_neg.tsv", "a d\r\n\n");
  }
  std::string error() const {
    return message_of<InputError>([&] { read_link_split(folder_.path(), names_); });
  }
  TestFolder folder_;
  partition::NodeNames names_ = names_of({"a", "b", "c", "d"});
};

TEST_F(LinkSplitTest, is_read_by_names) {
  const LinkSplit split = read_link_split(folder_.path(), names_);
  ASSERT_EQ(split.train.size(), 2U);
  EXPECT_EQ(split.train[1].source, 1U);
  EXPECT_EQ(split.train[1].target, 2U);
  EXPECT_EQ(split.train_negatives[0].target, 2U);
  EXPECT_EQ(split.test[0].source, 2U);
  EXPECT_EQ(split.test_negatives[0].target, 3U);
}

TEST_F(LinkSplitTest, names_what_is_wrong) {
  folder_.write("test_pos.tsv", "c\td\nc\tnobody\n");
  EXPECT_THAT(error(), AllOf(HasSubstr("test_pos.tsv:2"), HasSubstr("'nobody'"), HasSubstr("no vector")));
  folder_.write("test_pos.tsv", "lonely\n");
  EXPECT_THAT(error(), AllOf(HasSubstr("test_pos.tsv:1"), HasSubstr("expected two node names")));
  folder_.write("test_pos.tsv", "# nothing\n");
  EXPECT_THAT(error(), AllOf(HasSubstr("test_pos.tsv"), HasSubstr("no pairs")));
  std::filesystem::remove(folder_.file("test_pos.tsv"));
  EXPECT_THAT(error(), AllOf(HasSubstr("test_pos.tsv"), HasSubstr("cannot be read")));
  folder_.write("test_pos.tsv", std::string("a\0\1b\n", 5));
  EXPECT_THAT(error(), HasSubstr("binary data"));
}

// Random edges with repetitions, loops and both directions; the definitions node set by node set.
TEST(LinkBaselinesTest, agree_with_their_definitions) {
  constexpr OriginalNode kNodes = 60;
  std::vector<NodePair> edges;
  for (std::uint32_t i = 0; i < 500; ++i) {
    const auto block = random_block(9, partition::RandomPurpose::kGenerate, i, 0, 0);
    // A third of the edges meet node 0, so that lists of very different lengths are intersected too.
    edges.push_back({i % 3 == 0 ? 0 : partition::bounded(block[0], kNodes), partition::bounded(block[1], kNodes)});
  }
  std::vector<std::set<OriginalNode>> sets(kNodes);
  for (const NodePair& edge : edges) {
    if (edge.source == edge.target) continue;
    sets[edge.source].insert(edge.target);
    sets[edge.target].insert(edge.source);
  }
  const TrainNeighbours neighbours(edges, kNodes);
  std::vector<NodePair> pairs;
  for (OriginalNode u = 0; u < kNodes; ++u) {
    for (OriginalNode v = 0; v < kNodes; ++v) {
      if (u != v) pairs.push_back({u, v});
    }
  }
  const std::vector<float> degrees = baseline_scores(neighbours, pairs, LinkBaseline::kDegreeProduct);
  const std::vector<float> common = baseline_scores(neighbours, pairs, LinkBaseline::kCommonNeighbours);
  const std::vector<float> adamic = baseline_scores(neighbours, pairs, LinkBaseline::kAdamicAdar);
  for (std::size_t i = 0; i < pairs.size(); ++i) {
    const auto& [u, v] = pairs[i];
    double shared = 0;
    double weighted = 0;
    for (const OriginalNode node : sets[u]) {
      if (!sets[v].contains(node)) continue;
      shared += 1;
      weighted += 1 / std::log(static_cast<double>(sets[node].size()));
    }
    ASSERT_EQ(degrees[i], static_cast<float>(sets[u].size() * sets[v].size()));
    ASSERT_EQ(common[i], static_cast<float>(shared));
    ASSERT_NEAR(adamic[i], weighted, 1e-5);
  }
}

TEST(LinkBaselinesTest, random_vectors_know_nothing_and_neighbours_know_the_blocks) {
  const Blocks blocks = two_blocks(2000, 32);
  const std::vector<LinkReport> reports = evaluate_baselines(blocks.embedding, blocks.split);
  ASSERT_EQ(reports.size(), 4U);
  EXPECT_EQ(reports[0].name, "degree-product");
  EXPECT_EQ(reports[1].name, "common-neighbours");
  EXPECT_EQ(reports[2].name, "adamic-adar");
  EXPECT_EQ(reports[3].name, "random-vectors");
  EXPECT_NEAR(reports[0].metrics.auc, 0.5, 1e-9);  // every node has the same degree
  EXPECT_NEAR(reports[3].metrics.auc, 0.5, 0.03);  // standard deviation of an AUC over 2000 x 2000 pairs: 0.009
}

TEST(LinkBaselinesTest, adamic_adar_of_a_node_with_itself_is_finite) {
  const std::vector<NodePair> edges{{0, 1}};
  const std::vector<NodePair> pairs{{0, 0}};
  EXPECT_EQ(baseline_scores(TrainNeighbours(edges, 2), pairs, LinkBaseline::kAdamicAdar)[0], 0.0F);
}

}  // namespace
}  // namespace knotwork::embeddings
