// The trainer: its windows and negatives against a plain loop over the same random numbers, and a graph whose blocks
// must come apart.
#include "embeddings/skipgram.h"

#include <cmath>
#include <map>
#include <numeric>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include "block_graph.h"
#include "embeddings/learning_rate.h"
#include "partition/errors.h"
#include "partition/huge_array.h"

namespace knotwork::embeddings {
namespace {

using partition::HugeArray;
using partition::RandomPurpose;

// Input and output tables of a model in plain memory.
struct Model {
  Model(std::uint32_t nodes, const SkipGramOptions& options)
      : stride(row_stride(options.dim)),
        input_values(nodes * stride),
        output_values(nodes * stride),
        input_accumulators(nodes),
        output_accumulators(nodes) {
    const bool adagrad = options.optimizer == Optimizer::kAdagrad;
    inputs = {input_values.data(), adagrad ? input_accumulators.data() : nullptr, stride, options.dim, 0};
    outputs = {output_values.data(), adagrad ? output_accumulators.data() : nullptr, stride, options.dim, 0};
    std::vector<OriginalNode> originals(nodes);
    std::iota(originals.begin(), originals.end(), 0U);
    initialise_rows(inputs, originals, options.seed);
  }
  std::size_t stride;
  HugeArray<float> input_values, output_values;
  std::vector<float> input_accumulators, output_accumulators;
  DenseRows inputs, outputs;
};

// `count` uniform walks of `length` from every node, by a plain generator.
WalkBatch plain_walks(const partition::Graph& graph, std::uint32_t count, std::uint32_t length,
                      std::vector<WalkKey>& keys) {
  std::mt19937 random(99);
  WalkBatch batch;
  batch.stride = length;
  for (std::uint32_t walk = 0; walk < count; ++walk) {
    for (GlobalNode start = 0; start < graph.row_count(); ++start) {
      GlobalNode node = start;
      for (std::uint32_t step = 0; step < length; ++step) {
        batch.paths.push_back(node);
        if (graph.degree(node) > 0) node = graph.neighbours(node)[random() % graph.degree(node)];
      }
      batch.lengths.push_back(length);
      keys.push_back({graph.original(start), walk});
    }
  }
  return batch;
}

double cosine(const DenseRows& rows, GlobalNode a, GlobalNode b) {
  double ab = 0.0;
  double aa = 0.0;
  double bb = 0.0;
  for (std::size_t k = 0; k < rows.dim; ++k) {
    ab += static_cast<double>(rows.row(a)[k]) * rows.row(b)[k];
    aa += static_cast<double>(rows.row(a)[k]) * rows.row(a)[k];
    bb += static_cast<double>(rows.row(b)[k]) * rows.row(b)[k];
  }
  return ab / std::sqrt(aa * bb);
}

// Mean cosine of pairs in one block, and of pairs across.
std::pair<double, double> block_cosines(const DenseRows& rows, std::uint32_t size) {
  double inside = 0.0;
  double across = 0.0;
  std::size_t inside_count = 0;
  std::size_t across_count = 0;
  for (GlobalNode a = 0; a < size; ++a) {
    for (GlobalNode b = a + 1; b < size; ++b) {
      const bool same = (a < size / 2) == (b < size / 2);
      (same ? inside : across) += cosine(rows, a, b);
      ++(same ? inside_count : across_count);
    }
  }
  return {inside / static_cast<double>(inside_count), across / static_cast<double>(across_count)};
}

using DoubleTable = std::vector<std::vector<double>>;

DoubleTable doubles(const DenseRows& rows, std::uint32_t nodes) {
  DoubleTable table;
  for (GlobalNode node = 0; node < nodes; ++node) table.emplace_back(rows.row(node), rows.row(node) + rows.dim);
  return table;
}

// Trains one walk by the text of skipgram.h in double precision: no blocking, no planning ahead, no pointers.
void plain_train(const std::vector<GlobalNode>& path, WalkKey key, const SkipGramOptions& options,
                 const NegativeSampler& sampler, double rate, DoubleTable& inputs, DoubleTable& outputs) {
  for (std::uint32_t i = 0; i < path.size(); ++i) {
    const auto shrink =
        partition::random_block(options.seed, RandomPurpose::kWindow, key.start, key.walk, i / 4)[i % 4];
    const std::int64_t reach = 1 + partition::bounded(shrink, options.window);
    std::vector<GlobalNode> targets = {path[i]};
    std::vector<std::uint32_t> bits;
    for (std::uint32_t block = 0; block < (options.negatives + 1) / 2; ++block) {
      for (const std::uint32_t word : partition::random_block(options.seed, RandomPurpose::kNegative, key.start,
                                                              key.walk, i / options.windows_per_draw, block)) {
        bits.push_back(word);
      }
    }
    for (std::uint32_t k = 0; k < options.negatives; ++k) {
      const GlobalNode negative = sampler.sample(bits[2 * k], bits[2 * k + 1]);
      if (negative != path[i]) targets.push_back(negative);
    }
    // Errors from the rows before the window; then context by context, target by target.
    const DoubleTable before_in = inputs;
    const DoubleTable before_out = outputs;
    std::vector<GlobalNode> contexts;  // each once, with how often it occurs
    std::map<GlobalNode, double> counts;
    for (std::int64_t j = std::int64_t{i} - reach; j <= std::int64_t{i} + reach; ++j) {
      if (j < 0 || j == i || j >= static_cast<std::int64_t>(path.size())) continue;
      const GlobalNode c = path[static_cast<std::size_t>(j)];
      if ((counts[c] += 1.0) == 1.0) contexts.push_back(c);
    }
    for (const GlobalNode c : contexts) {
      const DoubleTable stepped_out = outputs;
      for (std::size_t t = 0; t < targets.size(); ++t) {
        const std::vector<double>& output = before_out[targets[t]];
        const double x = std::inner_product(before_in[c].begin(), before_in[c].end(), output.begin(), 0.0);
        const double step = rate * counts[c] * ((t == 0 ? 1.0 : 0.0) - 1.0 / (1.0 + std::exp(-x)));
        for (std::size_t k = 0; k < before_in[c].size(); ++k) {
          inputs[c][k] += step * stepped_out[targets[t]][k];
          outputs[targets[t]][k] += step * before_in[c][k];
        }
      }
    }
  }
}

void expect_plain_loop(std::uint32_t negatives, std::uint32_t windows_per_draw, unsigned threads_on_rows) {
  SkipGramOptions options;
  options.threads_on_rows = threads_on_rows;
  options.dim = 20;
  options.window = 4;
  options.negatives = negatives;
  options.windows_per_draw = windows_per_draw;
  options.seed = 77;
  const partition::Graph graph = block_graph(30, 0.4, 0.1, 5);
  const NegativeSampler sampler(node_masses(graph, 0.75, false));
  std::vector<WalkKey> keys;
  const WalkBatch walks = plain_walks(graph, 1, 13, keys);
  Model model(30, options);
  DoubleTable inputs = doubles(model.inputs, 30);
  DoubleTable outputs = doubles(model.outputs, 30);
  SkipGramTrainer trainer(options);
  train_walks(trainer, walks, keys, {model.inputs, model.outputs, &sampler}, 0.05F);
  for (std::size_t i = 0; i < walks.size(); ++i) {
    const std::span<const GlobalNode> path = walks.path(i);
    plain_train({path.begin(), path.end()}, keys[i], options, sampler, 0.05, inputs, outputs);
  }
  EXPECT_EQ(trainer.counters().words, 30U * 13U);
  for (GlobalNode node = 0; node < 30; ++node) {
    for (std::size_t k = 0; k < options.dim; ++k) {
      ASSERT_NEAR(model.inputs.row(node)[k], inputs[node][k], 2e-5) << negatives << " node " << node;
      ASSERT_NEAR(model.outputs.row(node)[k], outputs[node][k], 2e-5) << negatives << " node " << node;
    }
  }
}

TEST(SkipGramTest, trainer_equals_a_plain_loop) {
  for (const std::uint32_t negatives : {0U, 1U, 5U, 8U}) {
    for (const std::uint32_t windows_per_draw : {1U, 2U, 5U}) {
      for (const unsigned threads : {1U, SkipGramOptions::kCrowd}) {
        expect_plain_loop(negatives, windows_per_draw, threads);
      }
    }
  }
}

TEST(SkipGramTest, pooled_negatives_that_list_the_table_train_the_same_walks) {
  SkipGramOptions options;
  options.dim = 16;
  options.loss_interval = 1;
  Model model(4, options);
  std::vector<RowPointer> pool;
  std::vector<float*> inputs;
  std::vector<float*> outputs;
  for (GlobalNode node = 0; node < 4; ++node) {
    pool.push_back({model.outputs.row(node), nullptr});
    inputs.push_back(model.inputs.row(node));
    outputs.push_back(model.outputs.row(node));
  }
  const std::span<const RowPointer> rows(pool);
  const std::vector<std::span<const RowPointer>> chunks = {rows.first(2), rows.last(2)};
  Model other(4, options);
  const NegativeSampler uniform(std::vector<double>(4, 1.0));
  SkipGramTrainer trainer(options);
  trainer.train_walk({inputs, outputs}, PooledNegatives(chunks), {0, 3}, 0.1F);
  SkipGramTrainer reference(options);
  const WalkBatch walk = {4, {0, 1, 2, 3}, {4}};
  train_walks(reference, walk, std::vector<WalkKey>{{0, 3}}, {other.inputs, other.outputs, &uniform}, 0.1F);
  EXPECT_EQ(std::vector(model.input_values.begin(), model.input_values.end()),
            std::vector(other.input_values.begin(), other.input_values.end()));
  EXPECT_GT(trainer.counters().loss_pairs, 0U);
  EXPECT_EQ(trainer.counters().loss_pairs, trainer.counters().pairs);
  EXPECT_DOUBLE_EQ(trainer.counters().mean_loss(), reference.counters().mean_loss());
}

TEST(SkipGramTest, stretches_with_margins_train_what_the_whole_walk_trains) {
  for (const std::uint32_t windows_per_draw : {1U, 3U}) {
    SkipGramOptions options;
    options.dim = 16;
    options.window = 4;
    options.windows_per_draw = windows_per_draw;
    constexpr std::uint32_t kLength = 23;
    Model whole(kLength, options);
    Model parts(kLength, options);
    const NegativeSampler uniform(std::vector<double>(kLength, 1.0));
    const auto pointers = [](const DenseRows& rows, std::uint32_t first, std::uint32_t last) {
      std::vector<float*> found;
      for (GlobalNode node = first; node < last; ++node) found.push_back(rows.row(node));
      return found;
    };
    SkipGramTrainer trainer(options);
    trainer.train_walk({pointers(whole.inputs, 0, kLength), pointers(whole.outputs, 0, kLength)},
                       SampledNegatives(uniform, whole.outputs), {2, 3}, 0.1F);
    const std::vector<std::uint32_t> cuts{0, 1, 2, 9, 10, 16, 23};
    for (std::size_t i = 0; i + 1 < cuts.size(); ++i) {
      const WalkStretch stretch{cuts[i] - std::min(cuts[i], options.window), cuts[i], cuts[i + 1]};
      const std::uint32_t last = std::min(kLength, stretch.last_centre + options.window);
      auto outputs = pointers(parts.outputs, stretch.first_position, last);
      for (std::uint32_t p = stretch.first_position; p < last; ++p) {
        if (p < stretch.first_centre || p >= stretch.last_centre) outputs[p - stretch.first_position] = nullptr;
      }
      trainer.train_stretch({pointers(parts.inputs, stretch.first_position, last), outputs}, stretch,
                            SampledNegatives(uniform, parts.outputs), {2, 3}, 0.1F);
    }
    EXPECT_EQ(std::vector(whole.input_values.begin(), whole.input_values.end()),
              std::vector(parts.input_values.begin(), parts.input_values.end()));
    EXPECT_EQ(std::vector(whole.output_values.begin(), whole.output_values.end()),
              std::vector(parts.output_values.begin(), parts.output_values.end()));
    EXPECT_EQ(trainer.counters().words, 2U * kLength);
  }
}

/// Begins with another walk and ends with those before it. Threads of a job never train one walk at the same time.
void begin_with(std::size_t first, WalkBatch& walks, std::vector<WalkKey>& keys) {
  std::ranges::rotate(walks.paths, walks.paths.begin() + static_cast<std::ptrdiff_t>(first * walks.stride));
  std::ranges::rotate(keys, keys.begin() + static_cast<std::ptrdiff_t>(first));
}

struct Trained {
  double inside, across, first_loss, last_loss;
};

Trained train_blocks(const SkipGramOptions& options, unsigned threads) {
  const partition::Graph graph = block_graph(100, 0.3, 0.02, 1);
  const NegativeSampler sampler(node_masses(graph, 0.75, false));
  std::vector<float> keep;
  if (options.subsample > 0.0) {
    const std::vector<double> strengths = node_masses(graph, 1.0, false);
    keep = keep_probabilities(strengths, std::accumulate(strengths.begin(), strengths.end(), 0.0), options.subsample);
  }
  std::vector<std::vector<WalkKey>> keys(threads);
  std::vector<WalkBatch> walks;
  for (unsigned thread = 0; thread < threads; ++thread) {
    walks.push_back(plain_walks(graph, 10, 40, keys[thread]));
    begin_with(thread * walks[thread].size() / threads, walks[thread], keys[thread]);
  }
  Model model(100, options);
  const LearningRate schedule(options.learning_rate, options.min_learning_rate);
  Trained result{};
  for (int epoch = 0; epoch < 5; ++epoch) {
    std::vector<TrainingCounters> counters(threads);
    std::vector<std::thread> pool;
    for (unsigned thread = 0; thread < threads; ++thread) {
      pool.emplace_back([&, thread] {
        SkipGramTrainer trainer(options);
        train_walks(trainer, walks[thread], keys[thread], {model.inputs, model.outputs, &sampler, keep},
                    schedule.at(epoch / 5.0));
        counters[thread] = trainer.take_counters();
      });
    }
    for (std::thread& thread : pool) thread.join();
    for (unsigned thread = 1; thread < threads; ++thread) counters[0] += counters[thread];
    if (epoch == 0) result.first_loss = counters[0].mean_loss();
    result.last_loss = counters[0].mean_loss();
  }
  std::tie(result.inside, result.across) = block_cosines(model.inputs, 100);
  return result;
}

TEST(SkipGramTest, blocks_of_a_graph_come_apart) {
  SkipGramOptions options;
  options.dim = 8;  // few columns: room for the blocks, none for each random edge
  options.window = 5;
  for (const unsigned threads : {1U, 2U, 4U}) {
    options.threads_on_rows = threads;
    const Trained sgd = train_blocks(options, threads);
    EXPECT_GT(sgd.inside, sgd.across + 0.3) << threads << " threads";
    EXPECT_LT(sgd.last_loss, sgd.first_loss);
    EXPECT_LT(sgd.last_loss, 6.0 * std::log(2.0));  // what zero rows cost
  }
}

TEST(SkipGramTest, adagrad_and_subsampling_train_too) {
  SkipGramOptions options;
  options.dim = 32;
  options.window = 5;
  options.optimizer = Optimizer::kAdagrad;
  options.learning_rate = 0.05F;
  options.subsample = 5e-3;
  for (const unsigned threads : {1U, 4U}) {
    options.threads_on_rows = threads;
    const Trained adagrad = train_blocks(options, threads);
    EXPECT_GT(adagrad.inside, adagrad.across + 0.3) << threads << " threads";
    EXPECT_LT(adagrad.last_loss, adagrad.first_loss);
  }
}

TEST(SkipGramTest, first_loss_is_that_of_zero_rows) {
  SkipGramOptions options;
  options.dim = 16;
  options.window = 1;
  options.negatives = 3;
  options.loss_interval = 1;
  Model model(1000, options);
  std::vector<double> far(1000, 0.0);
  far[999] = 1.0;  // negatives never meet the walk; being the same row three times they count three times
  const NegativeSampler sampler(far);
  SkipGramTrainer trainer(options);
  const WalkBatch walk = {2, {0, 1}, {2}};
  train_walks(trainer, walk, std::vector<WalkKey>{{0, 0}}, {model.inputs, model.outputs, &sampler}, 1e-4F);
  EXPECT_EQ(trainer.counters().loss_pairs, 2U);
  EXPECT_NEAR(trainer.counters().mean_loss(), 4.0 * std::log(2.0), 1e-5);
}

TEST(SkipGramTest, initial_rows_are_word2vecs_and_do_not_depend_on_parts) {
  SkipGramOptions options;
  options.dim = 50;
  Model model(200, options);
  double sum = 0.0;
  double squares = 0.0;
  for (GlobalNode node = 0; node < 200; ++node) {
    for (std::size_t k = 0; k < model.stride; ++k) {
      const float value = model.inputs.row(node)[k];
      ASSERT_LE(std::abs(value), k < 50 ? 0.01F : 0.0F);
      sum += value;
      squares += static_cast<double>(value) * value;
    }
  }
  EXPECT_NEAR(sum / 10000, 0.0, 2e-4);
  EXPECT_NEAR(squares / 10000, 0.02 * 0.02 / 12, 1e-6);  // variance of a uniform number in an interval of 1 / dim
  HugeArray<float> part(2 * model.stride);
  initialise_rows({part.data(), nullptr, model.stride, 50, 0}, std::vector<OriginalNode>{150, 7}, options.seed);
  for (std::size_t k = 0; k < model.stride; ++k) {
    EXPECT_EQ(part[k], model.inputs.row(150)[k]);
    EXPECT_EQ(part[model.stride + k], model.inputs.row(7)[k]);
  }
}

TEST(SkipGramTest, subsampling_keeps_nodes_with_word2vecs_probability) {
  const std::vector<double> strengths = {900.0, 90.0, 9.0, 1.0};
  const std::vector<float> keep = keep_probabilities(strengths, 1000.0, 0.01);
  EXPECT_NEAR(keep[0], std::sqrt(0.01 / 0.9) + 0.01 / 0.9, 1e-6);
  EXPECT_NEAR(keep[1], std::sqrt(0.01 / 0.09) + 0.01 / 0.09, 1e-6);
  EXPECT_EQ(keep[3], 1.0F);
  std::vector<GlobalNode> kept;
  std::vector<std::size_t> counts(4);
  const std::vector<GlobalNode> path = {0, 1, 2, 3, 0, 1, 2, 3, 0};
  for (std::uint32_t walk = 0; walk < 20000; ++walk) {
    subsample_walk(path, {1, walk}, keep, 9, kept);
    for (const GlobalNode node : kept) ++counts[node];
  }
  EXPECT_NEAR(static_cast<double>(counts[0]) / 60000.0, keep[0], 0.01);
  EXPECT_NEAR(static_cast<double>(counts[1]) / 40000.0, keep[1], 0.01);
  EXPECT_EQ(counts[3], 40000U);
}

TEST(SkipGramTest, refuses_options_out_of_range) {
  const auto message = [](auto change) {
    SkipGramOptions options;
    change(options);
    try {
      const SkipGramTrainer trainer(options);
    } catch (const partition::InputError& error) {
      return std::string(error.what());
    }
    return std::string("no error");
  };
  EXPECT_EQ(message([](auto& o) { o.dim = 0; }), "dim is 0; expected 1 .. 65536");
  EXPECT_EQ(message([](auto& o) { o.window = 0; }), "window is 0; expected 1 .. 256");
  EXPECT_EQ(message([](auto& o) { o.negatives = 300; }), "negatives is 300; expected 0 .. 256");
  EXPECT_NE(message([](auto& o) { o.learning_rate = -1.0F; }).find("learning rate is -1"), std::string::npos);
  EXPECT_NE(message([](auto& o) { o.min_learning_rate = 1.0F; }).find("minimum learning rate"), std::string::npos);
  EXPECT_NE(message([](auto& o) { o.subsample = 2.0; }).find("subsample"), std::string::npos);
}

}  // namespace
}  // namespace knotwork::embeddings
