// Every model against its paper's formula over dense matrices, and its derivative, dropout and all, against finite
// differences of a loss.
#include <algorithm>
#include <cmath>
#include <memory>
#include <string>

#ifdef _OPENMP
#include <omp.h>
#endif

#include <gtest/gtest.h>

#include "embeddings/gnn/local_head.h"
#include "embeddings/gnn/objective.h"
#include "embeddings/gnn/torch/models.h"
#include "embeddings/gnn/weights.h"
#include "tests/unit/embeddings/small_networks.h"

namespace knotwork::embeddings::gnn {
namespace {

constexpr std::uint32_t kInputs = 5;
constexpr std::uint32_t kOutputs = 3;

/// A dense matrix in double: slow, and plain.
struct Matrix {
  std::size_t rows = 0;
  std::size_t columns = 0;
  std::vector<double> values;

  Matrix(std::size_t r, std::size_t c) : rows(r), columns(c), values(r * c) {}
  double& at(std::size_t r, std::size_t c) { return values[r * columns + c]; }
  double at(std::size_t r, std::size_t c) const { return values[r * columns + c]; }
};

Matrix operator*(const Matrix& a, const Matrix& b) {
  Matrix product(a.rows, b.columns);
  for (std::size_t i = 0; i < a.rows; ++i)
    for (std::size_t j = 0; j < b.columns; ++j)
      for (std::size_t k = 0; k < a.columns; ++k) product.at(i, j) += a.at(i, k) * b.at(k, j);
  return product;
}

/// a + b, whose row is repeated if it has one.
Matrix operator+(Matrix a, const Matrix& b) {
  for (std::size_t i = 0; i < a.rows; ++i)
    for (std::size_t j = 0; j < a.columns; ++j) a.at(i, j) += b.at(b.rows == 1 ? 0 : i, j);
  return a;
}

Matrix operator*(double factor, Matrix a) {
  for (double& value : a.values) value *= factor;
  return a;
}

template <typename Function>
Matrix each(Matrix a, Function function) {
  for (double& value : a.values) value = function(value);
  return a;
}

double relu(double x) {
  return std::max(x, 0.0);
}

/// The small graph's adjacency matrix.
Matrix adjacency(bool weighted) {
  const BlockArcs arcs = small_arcs(weighted);
  Matrix a(kSmallNodes, kSmallNodes);
  for (std::uint32_t i = 0; i < kSmallNodes; ++i)
    for (std::uint64_t arc = arcs.offsets[i]; arc < arcs.offsets[i + 1]; ++arc)
      a.at(i, arcs.neighbours[arc]) = weighted ? arcs.weights[arc] : 1;
  return a;
}

double row_sum(const Matrix& a, std::size_t row) {
  double sum = 0;
  for (std::size_t j = 0; j < a.columns; ++j) sum += a.at(row, j);
  return sum;
}

/// D^-1/2 (A + I) D^-1/2.
Matrix symmetric(Matrix a) {
  for (std::size_t i = 0; i < a.rows; ++i) a.at(i, i) += 1;
  Matrix result = a;
  for (std::size_t i = 0; i < a.rows; ++i)
    for (std::size_t j = 0; j < a.columns; ++j) result.at(i, j) /= std::sqrt(row_sum(a, i) * row_sum(a, j));
  return result;
}

Matrix row_normalised(const Matrix& a) {
  Matrix result = a;
  for (std::size_t i = 0; i < a.rows; ++i)
    for (std::size_t j = 0; j < a.columns; ++j) result.at(i, j) /= std::max(row_sum(a, i), 1e-300);
  return result;
}

NetworkOptions options_of(Model model) {
  return {.model = model,
          .inputs = kInputs,
          .outputs = kOutputs,
          .layers = 2,
          .hidden = 4,
          .heads = 2,
          .output_heads = 2,
          .hops = 3,
          .alpha = 0.2,
          .dropout = 0.4,
          .attention_dropout = 0.3,
          .seed = 5};
}

/// A network with weights, and a batch of the whole small graph.
class Case {
 public:
  explicit Case(const NetworkOptions& options, bool weighted = false) : Case(make_network(options), weighted) {}
  explicit Case(std::unique_ptr<Network> given, bool weighted = false)
      : network(std::move(given)), block(make_block(small_arcs(weighted), network->normalisation())) {
    state = initial_state(network->parameters(), 3);
    // Biases should matter, too.
    for (const Parameter& parameter : network->parameters()) {
      const auto values = some_values<float>(parameter.size(), parameter.offset);
      if (parameter.initialisation == Initialisation::kZero)
        std::ranges::copy(values, state.weights.begin() + static_cast<std::ptrdiff_t>(parameter.offset));
    }
  }

  Batch batch() const {
    return {.blocks = std::vector<const MessageBlock*>(network->depth(), &block),
            .inputs = {.dense = inputs, .columns = kInputs},
            .nodes = nodes};
  }
  std::vector<float> outputs(Network::Mode mode = {}) const {
    const Rows rows = network->forward(state.weights, batch(), mode);
    return {rows.outputs.begin(), rows.outputs.end()};
  }
  Matrix weight(const std::string& name) const {
    for (const Parameter& parameter : network->parameters()) {
      if (parameter.name != name) continue;
      Matrix matrix(parameter.rows, parameter.columns);
      for (std::size_t i = 0; i < parameter.size(); ++i) matrix.values[i] = state.weights[parameter.offset + i];
      return matrix;
    }
    ADD_FAILURE() << "no weight " << name;
    return {0, 0};
  }
  Matrix features() const {
    Matrix x(kSmallNodes, kInputs);
    x.values.assign(inputs.begin(), inputs.end());
    return x;
  }

  std::unique_ptr<Network> network;
  MessageBlock block;
  NetworkState state;
  std::vector<float> inputs = some_values<float>(kSmallNodes * kInputs, 11);
  std::vector<std::uint32_t> nodes = counted(kSmallNodes);
};

void expect_rows(const Matrix& expected, const std::vector<float>& found) {
  ASSERT_EQ(expected.values.size(), found.size());
  for (std::size_t i = 0; i < found.size(); ++i) EXPECT_NEAR(expected.values[i], found[i], 2e-5) << "at " << i;
}

Matrix perceptron(const Case& test) {
  const Matrix hidden = each(test.features() * test.weight("layers.0.weight") + test.weight("layers.0.bias"), relu);
  return hidden * test.weight("layers.1.weight") + test.weight("layers.1.bias");
}

TEST(GnnModels, GcnIsItsFormula) {
  for (const bool weighted : {false, true}) {
    const Case test(options_of(Model::kGcn), weighted);
    const Matrix a = symmetric(adjacency(weighted));
    const Matrix hidden =
        each(a * test.features() * test.weight("layers.0.weight") + test.weight("layers.0.bias"), relu);
    expect_rows(a * hidden * test.weight("layers.1.weight") + test.weight("layers.1.bias"), test.outputs());
  }
}

TEST(GnnModels, SgcIsItsFormula) {
  const Case test(options_of(Model::kSgc));
  const Matrix a = symmetric(adjacency(false));
  expect_rows(a * (a * (a * test.features())) * test.weight("linear.weight") + test.weight("linear.bias"),
              test.outputs());
}

TEST(GnnModels, AppnpIsItsFormula) {
  const Case test(options_of(Model::kAppnp));
  const Matrix a = symmetric(adjacency(false));
  const Matrix h = perceptron(test);
  Matrix z = h;
  for (int hop = 0; hop < 3; ++hop) z = 0.8 * (a * z) + 0.2 * h;
  expect_rows(z, test.outputs());
}

TEST(GnnModels, DagnnIsItsFormula) {
  const Case test(options_of(Model::kDagnn));
  const Matrix a = symmetric(adjacency(false));
  Matrix h = perceptron(test);
  Matrix sum(kSmallNodes, kOutputs);
  for (int hop = 0; hop <= 3; ++hop) {
    const Matrix score = each(h * test.weight("score.weight") + test.weight("score.bias"),
                              [](double x) { return 1 / (1 + std::exp(-x)); });
    for (std::size_t i = 0; i < h.rows; ++i)
      for (std::size_t c = 0; c < h.columns; ++c) sum.at(i, c) += score.at(i, 0) * h.at(i, c);
    h = a * h;
  }
  expect_rows(sum, test.outputs());
}

TEST(GnnModels, GatIsItsFormula) {
  const Case test(options_of(Model::kGat));
  const Matrix a = adjacency(false);
  const auto layer = [&](const Matrix& h, const std::string& name, std::size_t columns, bool is_last) {
    const Matrix product = h * test.weight(name + ".weight");
    const Matrix left = test.weight(name + ".attention_left");
    const Matrix right = test.weight(name + ".attention_right");
    const std::size_t heads = left.rows;
    Matrix result(kSmallNodes, is_last ? columns : heads * columns);
    const auto score = [&](const Matrix& by, std::size_t node, std::size_t head) {
      double sum = 0;
      for (std::size_t c = 0; c < columns; ++c) sum += by.at(head, c) * product.at(node, head * columns + c);
      return sum;
    };
    for (std::size_t i = 0; i < kSmallNodes; ++i) {
      for (std::size_t head = 0; head < heads; ++head) {
        std::vector<double> shares(kSmallNodes);
        double sum = 0;
        for (std::size_t j = 0; j < kSmallNodes; ++j) {
          if (a.at(i, j) == 0 && i != j) continue;
          const double e = score(left, i, head) + score(right, j, head);
          sum += shares[j] = std::exp(e > 0 ? e : 0.2 * e);
        }
        for (std::size_t j = 0; j < kSmallNodes; ++j)
          for (std::size_t c = 0; c < columns; ++c)
            result.at(i, is_last ? c : head * columns + c) +=
                shares[j] / sum * product.at(j, head * columns + c) / (is_last ? static_cast<double>(heads) : 1.0);
      }
    }
    result = result + test.weight(name + ".bias");
    return is_last ? result : each(result, [](double x) { return x > 0 ? x : std::expm1(x); });
  };
  expect_rows(layer(layer(test.features(), "layers.0", 4, false), "layers.1", kOutputs, true), test.outputs());
}

TEST(GnnModels, SageIsItsFormula) {
  for (const Aggregator aggregator : {Aggregator::kMean, Aggregator::kMax, Aggregator::kGcn}) {
    NetworkOptions options = options_of(Model::kSage);
    options.aggregator = aggregator;
    options.unit_rows = aggregator == Aggregator::kMean;
    const Case test(options);
    const Matrix a = adjacency(false);
    Matrix looped = a;
    for (std::size_t i = 0; i < kSmallNodes; ++i) looped.at(i, i) = 1;
    const auto layer = [&](const Matrix& h, const std::string& name) {
      const Matrix bias = test.weight(name + ".bias");
      if (aggregator == Aggregator::kGcn)
        return row_normalised(looped) * h * test.weight(name + ".neighbour.weight") + bias;
      Matrix messages = row_normalised(a) * h;
      if (aggregator == Aggregator::kMax) {
        const Matrix pooled = each(h * test.weight(name + ".pool.weight") + test.weight(name + ".pool.bias"), relu);
        messages = Matrix(kSmallNodes, pooled.columns);
        for (std::size_t i = 0; i < kSmallNodes; ++i)
          for (std::size_t j = 0; j < kSmallNodes; ++j)
            for (std::size_t c = 0; a.at(i, j) != 0 && c < pooled.columns; ++c)
              messages.at(i, c) = std::max(messages.at(i, c), pooled.at(j, c));
      }
      return h * test.weight(name + ".self.weight") + messages * test.weight(name + ".neighbour.weight") + bias;
    };
    Matrix expected = layer(each(layer(test.features(), "layers.0"), relu), "layers.1");
    for (std::size_t i = 0; options.unit_rows && i < kSmallNodes; ++i) {
      double square = 0;
      for (std::size_t c = 0; c < kOutputs; ++c) square += expected.at(i, c) * expected.at(i, c);
      for (std::size_t c = 0; c < kOutputs; ++c) expected.at(i, c) /= std::sqrt(square);
    }
    expect_rows(expected, test.outputs());
  }
}

/// A loss that is linear in the outputs: its derivative by them is `by_outputs`.
double linear_loss(const std::vector<float>& outputs, const std::vector<float>& by_outputs) {
  double sum = 0;
  for (std::size_t i = 0; i < outputs.size(); ++i) sum += static_cast<double>(outputs[i]) * by_outputs[i];
  return sum;
}

void expect_slopes_of_finite_differences(Case& test) {
  const Network::Mode mode{.training = true, .step = 2};
  const auto by_outputs = some_values<float>(std::size_t{kSmallNodes} * kOutputs, 21);
  static_cast<void>(test.outputs(mode));
  std::vector<float> by_weights(test.state.weights.size());
  std::vector<float> by_inputs(test.inputs.size());
  test.network->backward(by_outputs, by_weights, by_inputs);
  const float step = 2e-3F;
  const auto expect_slope = [&](float& value, float slope, const char* what, std::size_t i) {
    const float middle = value;
    value = middle + step;
    const double above = linear_loss(test.outputs(mode), by_outputs);
    value = middle - step;
    const double below = linear_loss(test.outputs(mode), by_outputs);
    value = middle;
    // In float, and now and then a relu bends in between.
    EXPECT_NEAR((above - below) / (2.0 * step), slope, 5e-3 + 0.02 * std::fabs(slope)) << what << " " << i;
  };
  for (std::size_t i = 0; i < by_weights.size(); ++i) expect_slope(test.state.weights[i], by_weights[i], "weight", i);
  for (std::size_t i = 0; i < by_inputs.size(); ++i) expect_slope(test.inputs[i], by_inputs[i], "input", i);
}

/// A layer of GCN whose hidden rows a head of its own judges.
std::unique_ptr<Network> layer_with_head() {
  NetworkOptions options = options_of(Model::kGcn);
  options.layers = 1;
  options.outputs = options.hidden;
  return std::make_unique<LocalHead>(make_network(options), options.hidden, kOutputs);
}

TEST(LocalHead, IsItsFormula) {
  const Case test(layer_with_head());
  Matrix hidden = symmetric(adjacency(false)) * (test.features() * test.weight("layers.0.weight"));
  const Matrix bias = test.weight("layers.0.bias");
  for (std::size_t i = 0; i < hidden.values.size(); ++i) hidden.values[i] = relu(hidden.values[i] + bias.values[i % 4]);
  Matrix expected = hidden * test.weight("head.weight");
  const Matrix head_bias = test.weight("head.bias");
  for (std::size_t i = 0; i < expected.values.size(); ++i) expected.values[i] += head_bias.values[i % kOutputs];
  expect_rows(expected, test.outputs());
  const Rows rows = test.network->forward(test.state.weights, test.batch(), {});
  expect_rows(hidden, {rows.embedding.begin(), rows.embedding.end()});
}

TEST(LocalHead, DerivativesAreThoseOfFiniteDifferences) {
  Case test(layer_with_head());
  expect_slopes_of_finite_differences(test);
}

TEST(LocalHead, RefusesWhatDoesNotFit) {
  const Case test(layer_with_head());
  std::vector<float> by_weights(test.state.weights.size());
  EXPECT_THROW(static_cast<void>(test.network->forward(std::span(test.state.weights).first(3), test.batch(), {})),
               std::invalid_argument);
  static_cast<void>(test.outputs());
  EXPECT_THROW(test.network->backward(std::vector<float>(5), by_weights, {}), std::invalid_argument);
}

class GnnDerivatives : public ::testing::TestWithParam<Model> {};

TEST_P(GnnDerivatives, AreThoseOfFiniteDifferences) {
  for (const Aggregator aggregator : {Aggregator::kMean, Aggregator::kMax, Aggregator::kGcn}) {
    NetworkOptions options = options_of(GetParam());
    options.aggregator = aggregator;
    Case test(options);
    expect_slopes_of_finite_differences(test);
    if (GetParam() != Model::kSage) break;
  }
}

TEST_P(GnnDerivatives, AreTheSameForSparseInputsAndAnyThreads) {
  Case test(options_of(GetParam()));
  const Network::Mode mode{.training = true, .step = 2};
  const auto by_outputs = some_values<float>(std::size_t{kSmallNodes} * kOutputs, 21);
  const auto results = [&](const Batch& batch) {
    const Rows rows = test.network->forward(test.state.weights, batch, mode);
    std::vector<float> all(rows.outputs.begin(), rows.outputs.end());
    std::vector<float> by_weights(test.state.weights.size());
    test.network->backward(by_outputs, by_weights, {});
    all.insert(all.end(), by_weights.begin(), by_weights.end());
    return all;
  };
  const std::vector<float> dense = results(test.batch());
  std::vector<std::uint64_t> offsets(kSmallNodes + 1);
  std::vector<std::uint32_t> numbers;
  for (std::uint32_t row = 0; row < kSmallNodes; ++row) {
    for (std::uint32_t column = 0; column < kInputs; ++column) numbers.push_back(column);
    offsets[row + 1] = numbers.size();
  }
  const SparseRows sparse = sparse_rows(kInputs, offsets, numbers, test.inputs);
  Batch batch = test.batch();
  batch.inputs = {.sparse = &sparse, .columns = kInputs};
  const std::vector<float> found = results(batch);
  ASSERT_EQ(dense.size(), found.size());
  for (std::size_t i = 0; i < found.size(); ++i) EXPECT_NEAR(dense[i], found[i], 1e-5);
#ifdef _OPENMP
  const int threads = omp_get_max_threads();
  omp_set_num_threads(1);
  EXPECT_EQ(dense, results(test.batch()));
  omp_set_num_threads(3);
  EXPECT_EQ(dense, results(test.batch()));
  omp_set_num_threads(threads);
#endif
}

INSTANTIATE_TEST_SUITE_P(Models, GnnDerivatives,
                         ::testing::Values(Model::kGcn, Model::kSage, Model::kGat, Model::kSgc, Model::kAppnp,
                                           Model::kDagnn));

TEST(GnnModels, RefuseWhatDoesNotFit) {
  NetworkOptions nothing = options_of(Model::kGcn);
  nothing.inputs = 0;
  EXPECT_THROW(static_cast<void>(make_network(nothing)), std::invalid_argument);
  const Case test(options_of(Model::kGcn));
  Batch batch = test.batch();
  batch.blocks.pop_back();
  EXPECT_THROW(static_cast<void>(test.network->forward(test.state.weights, batch, {})), std::invalid_argument);
  std::vector<float> by_weights(test.state.weights.size());
  static_cast<void>(test.outputs());
  EXPECT_THROW(test.network->backward(std::vector<float>(kSmallNodes * kOutputs), by_weights, {}),
               std::invalid_argument);
}

}  // namespace
}  // namespace knotwork::embeddings::gnn
