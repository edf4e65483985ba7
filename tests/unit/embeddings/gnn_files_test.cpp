// What of graph neural networks needs no LibTorch: losses and their derivatives, Adam, splits, model files.
#include <algorithm>
#include <cmath>
#include <cstring>
#include <functional>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "embeddings/gnn/model_file.h"
#include "embeddings/gnn/node_split.h"
#include "embeddings/gnn/objective.h"
#include "embeddings/gnn/weights.h"
#include "partition/errors.h"
#include "tests/unit/embeddings/small_networks.h"
#include "tests/unit/embeddings/test_folder.h"

namespace knotwork::embeddings::gnn {
namespace {

using partition::InputError;
using ::testing::HasSubstr;

void expect_derivative(const std::function<double(std::span<const float>)>& loss, std::vector<float> outputs,
                       const std::vector<float>& derivative) {
  const float step = 1e-2F;
  for (std::size_t i = 0; i < outputs.size(); ++i) {
    const float middle = outputs[i];
    outputs[i] = middle + step;
    const double above = loss(outputs);
    outputs[i] = middle - step;
    const double below = loss(outputs);
    outputs[i] = middle;
    EXPECT_NEAR((above - below) / (2.0 * step), derivative[i], 2e-4) << "at " << i;
  }
}

TEST(GnnObjective, LabelLossesAndTheirDerivatives) {
  const RowLabels single{.rows = {0, 2, 3}, .offsets = {0, 1, 2, 3}, .labels = {1, 0, 2}};
  const RowLabels several{.rows = {1, 2}, .offsets = {0, 0, 2}, .labels = {0, 2}};
  const auto outputs = some_values<float>(12, 1);
  for (const auto& [labels, loss] : {std::pair(single, LabelLoss::kSoftmax), std::pair(several, LabelLoss::kSigmoid)}) {
    std::vector<float> by_outputs(12);
    const double value = label_loss(outputs, 3, labels, loss, by_outputs);
    double expected = 0;
    for (std::size_t i = 0; i < labels.rows.size(); ++i) {
      const float* const row = outputs.data() + labels.rows[i] * 3;
      for (std::uint32_t c = 0; c < 3; ++c) {
        const bool has = std::ranges::find(labels.of(i), c) != labels.of(i).end();
        const double softmax = std::exp(row[c]) / (std::exp(row[0]) + std::exp(row[1]) + std::exp(row[2]));
        const double logistic = 1 / (1 + std::exp(-row[c]));
        if (loss == LabelLoss::kSoftmax && has) expected -= std::log(softmax);
        if (loss == LabelLoss::kSigmoid) expected -= std::log(has ? logistic : 1 - logistic);
      }
    }
    EXPECT_NEAR(expected / static_cast<double>(labels.rows.size()), value, 1e-6);
    // Named anew for clang 14, whose lambdas can't capture structured bindings.
    expect_derivative(
        [&, &known = labels, kind = loss](std::span<const float> at) { return label_loss(at, 3, known, kind, {}); },
        outputs, by_outputs);
  }
}

TEST(GnnObjective, LinkLossAndItsDerivative) {
  LinkSample sample{.heads = {0, 1, 0}, .tails = {1, 2, 0}, .negatives = {3, 1}, .negative_weight = 3};
  // More pairs than one thread adds up at a time.
  for (std::uint32_t i = 0; i < 600; ++i) {
    sample.heads.push_back(i % 4);
    sample.tails.push_back((i * 7 + 1) % 4);
  }
  const auto outputs = some_values<float>(8, 2);
  const auto dot = [&](std::uint32_t a, std::uint32_t b) {
    return outputs[2 * a] * outputs[2 * b] + outputs[2 * a + 1] * outputs[2 * b + 1];
  };
  const auto log_logistic = [](double x) { return -std::log1p(std::exp(-x)); };
  double expected = 0;
  for (std::size_t i = 0; i < sample.heads.size(); ++i) {
    expected -= log_logistic(dot(sample.heads[i], sample.tails[i]));
    for (const std::uint32_t negative : sample.negatives)
      expected -= 1.5 * log_logistic(-dot(sample.heads[i], negative));
  }
  std::vector<float> by_outputs(8);
  const double value = link_loss(outputs, 2, sample, by_outputs);
  EXPECT_NEAR(expected / static_cast<double>(sample.heads.size()), value, 1e-5);
  expect_derivative([&](std::span<const float> at) { return link_loss(at, 2, sample, {}); }, outputs, by_outputs);
}

TEST(GnnObjective, ScoresCountWhatIsRight) {
  const RowLabels labels{.rows = {0, 1, 2}, .offsets = {0, 1, 2, 3}, .labels = {0, 1, 1}};
  const std::vector<float> outputs = {2, 1, 0, 3, 1, 0};
  const LabelScores scores = label_scores(outputs, 2, labels, LabelLoss::kSoftmax);
  EXPECT_DOUBLE_EQ(2.0 / 3, scores.accuracy);
  EXPECT_DOUBLE_EQ(2.0 / 3, scores.micro_f1);
  std::vector<float> probabilities = outputs;
  to_probabilities(probabilities, 2, LabelLoss::kSoftmax);
  EXPECT_NEAR(std::exp(2) / (std::exp(2) + std::exp(1)), probabilities[0], 1e-6);
}

TEST(GnnWeights, AdamFollowsItsPaper) {
  const std::vector<Parameter> parameters = {{.name = "a", .rows = 1, .columns = 1, .is_first_layer = true},
                                             {.name = "b", .rows = 1, .columns = 1, .offset = 1}};
  const AdamOptions options{.learning_rate = 0.1, .weight_decay = 0.5, .decays_first_layer_only = true};
  NetworkState state{.weights = {1, 1}, .first_moments = {0, 0}, .second_moments = {0, 0}};
  double w[2] = {1, 1};
  double m[2] = {};
  double v[2] = {};
  for (int t = 1; t <= 5; ++t) {
    const std::vector<float> gradient = {0.3F * static_cast<float>(t), -0.2F};
    adam_step(parameters, gradient, options, state);
    for (int i = 0; i < 2; ++i) {
      const double g = gradient[i] + (i == 0 ? 0.5 * w[i] : 0);
      m[i] = 0.9 * m[i] + 0.1 * g;
      v[i] = 0.999 * v[i] + 0.001 * g * g;
      w[i] -= 0.1 * (m[i] / (1 - std::pow(0.9, t))) / (std::sqrt(v[i] / (1 - std::pow(0.999, t))) + 1e-8);
      EXPECT_NEAR(w[i], state.weights[i], 1e-5);
    }
  }
  EXPECT_EQ(5, state.steps);
}

TEST(GnnWeights, BeginAsFunctionsOfTheSeed) {
  const std::vector<Parameter> parameters = {
      {.name = "w", .rows = 30, .columns = 20},
      {.name = "b", .rows = 1, .columns = 20, .offset = 600, .initialisation = Initialisation::kZero}};
  const NetworkState state = initial_state(parameters, 1);
  const float bound = std::sqrt(6.0F / 50);
  const auto matrix = std::span(state.weights).first(600);
  EXPECT_LE(std::ranges::max(matrix), bound);
  EXPECT_GE(std::ranges::min(matrix), -bound);
  EXPECT_GT(std::ranges::max(matrix), 0.9F * bound);
  EXPECT_TRUE(std::ranges::all_of(std::span(state.weights).last(20), [](float value) { return value == 0; }));
  EXPECT_EQ(state.weights, initial_state(parameters, 1).weights);
  EXPECT_NE(state.weights, initial_state(parameters, 2).weights);
}

TEST(GnnSplit, ReadsRolesAndNamesWhatIsWrong) {
  const TestFolder folder;
  const auto names = names_of({"a", "b", "c", "d"});
  const auto roles = read_node_split(folder.write("ok.tsv", "a\ttrain\n# c\nb\ttest\nd\tvalid\n"), names);
  EXPECT_EQ((std::vector{NodeRole::kTrain, NodeRole::kTest, NodeRole::kNone, NodeRole::kValid}), roles);
  const auto complaint = [&](const std::string& text) {
    return message_of<InputError>([&] { read_node_split(folder.write("bad.tsv", text), names); });
  };
  EXPECT_THAT(complaint("a\ttrain\na\ttest\n"), HasSubstr("bad.tsv:2: node 'a' has a role already"));
  EXPECT_THAT(complaint("a\ttraining\n"), HasSubstr("bad.tsv:1: 'training'; expected node TAB train, valid or test"));
  EXPECT_THAT(complaint("a\ttrain\nz\ttest\n"), HasSubstr("bad.tsv:2: node 'z' is not in the graph"));
  EXPECT_THAT(complaint("a\ttest\n"), HasSubstr("no node to train on"));
  const NodeLabels labels{.nodes = {0, 1, 3}, .offsets = {0, 1, 2, 3}, .labels = {0, 1, 0}, .label_names = {"x", "y"}};
  EXPECT_THAT(message_of<InputError>([&] { check_split(labels, roles, names, "s.tsv"); }),
              HasSubstr("no train node has label 'y', which node 'b' has"));
  const NodeLabels fewer{.nodes = {0, 3}, .offsets = {0, 1, 2}, .labels = {0, 0}, .label_names = {"x", "y"}};
  EXPECT_THAT(message_of<InputError>([&] { check_split(fewer, roles, names, "s.tsv"); }),
              HasSubstr("node 'b' has no label"));
}

class ModelFile : public ::testing::Test {
 protected:
  ModelFile() {
    model_.network = {.model = Model::kGat, .inputs = 3, .outputs = 2, .hidden = 5, .alpha = 0.25};
    model_.labels = {"art", "b\"c"};
    model_.normalises_features = true;
    model_.parameters = {{.name = "w", .rows = 3, .columns = 2}, {.name = "b", .rows = 1, .columns = 2, .offset = 6}};
    model_.weights = some_values<float>(8, 1);
    write_model(path_, model_, "test");
    bytes_ = folder_.read("model.safetensors");
  }

  /// What reading `bytes` says.
  std::string complaint(const std::string& bytes) {
    return message_of<InputError>([&] { read_model(folder_.write("bad", bytes)); });
  }
  std::string replaced(const std::string& from, const std::string& to) const {
    std::string bytes = bytes_;
    const std::size_t at = bytes.find(from);
    EXPECT_NE(std::string::npos, at) << from;
    return bytes.replace(at, from.size(), to);
  }

  TestFolder folder_;
  std::string path_ = folder_.file("model.safetensors");
  NetworkModel model_;
  std::string bytes_;
};

TEST_F(ModelFile, ComesBackAsItWas) {
  const NetworkModel found = read_model(path_);
  EXPECT_EQ(model_.weights, found.weights);
  EXPECT_EQ(model_.labels, found.labels);
  EXPECT_EQ(Model::kGat, found.network.model);
  EXPECT_EQ(5, found.network.hidden);
  EXPECT_DOUBLE_EQ(0.25, found.network.alpha);
  EXPECT_TRUE(found.normalises_features);
  check_model(found, model_.parameters, "m");
  EXPECT_THROW(check_model(found, std::span(model_.parameters).first(1), "m"), InputError);
  EXPECT_EQ(1, folder_.file_count());  // nothing partial is left
}

TEST_F(ModelFile, RefusesEveryTruncation) {
  for (std::size_t length = 0; length < bytes_.size(); ++length) {
    EXPECT_THAT(complaint(bytes_.substr(0, length)), HasSubstr("not a whole model file")) << length;
  }
  EXPECT_THAT(complaint(bytes_ + "more"), HasSubstr("not a whole model file"));
}

TEST_F(ModelFile, RefusesDamageAndOtherVersions) {
  EXPECT_THAT(complaint(replaced("\"version\":\"1\"", "\"version\":\"2\"")),
              HasSubstr("it is of version 2; this program reads version 1"));
  EXPECT_THAT(complaint(replaced("knotwork network", "kn0twork network")), HasSubstr("no network of knotwork"));
  EXPECT_THAT(complaint(replaced("\"gat\"", "\"gut\"")), HasSubstr("unknown word 'gut'"));
  EXPECT_THAT(complaint(replaced("\"F32\"", "\"F64\"")), HasSubstr("no matrix of float32"));
  EXPECT_THAT(complaint(replaced("[0,24]", "[8,32]")), HasSubstr("does not lie where it should"));
  EXPECT_THAT(complaint(replaced("[3,2]", "[3,9]")), HasSubstr("does not lie where it should"));
  std::string flipped = bytes_;
  flipped[flipped.size() - 3] ^= 1;
  EXPECT_THAT(complaint(flipped), HasSubstr("checksum"));
  std::string endless = bytes_;
  const std::uint64_t huge = ~std::uint64_t{0};
  std::memcpy(endless.data(), &huge, sizeof huge);
  EXPECT_THAT(complaint(endless), HasSubstr("header would be"));
  EXPECT_THAT(message_of<InputError>([&] { read_model(folder_.file("absent")); }), HasSubstr("cannot open"));
}

}  // namespace
}  // namespace knotwork::embeddings::gnn
