#include "embeddings/line.h"

#include <algorithm>
#include <utility>

#include "partition/errors.h"
#include "partition/random.h"

namespace knotwork::embeddings {

using partition::random_block;
using partition::RandomBlock;
using partition::RandomPurpose;

namespace {

// Stars are numbered with 64 bits; the two halves stand where walks have start node and walk number.
RandomBlock star_block(std::uint64_t seed, RandomPurpose purpose, std::uint64_t star, std::uint32_t step) {
  return random_block(seed, purpose, static_cast<std::uint32_t>(star), static_cast<std::uint32_t>(star >> 32), step);
}

std::vector<std::uint32_t> cumulative_weights(const partition::Graph& graph) {
  std::vector<std::uint32_t> cumulative(graph.arrays().targets.size());
#pragma omp parallel for schedule(dynamic, 1024)
  for (partition::LocalNode row = 0; row < graph.row_count(); ++row) {
    const std::span<const float> weights = graph.weights(graph.first_node() + row);
    double total = 0.0;
    for (const float weight : weights) total += weight;
    double sum = 0.0;
    std::uint32_t* const out = cumulative.data() + graph.arrays().offsets[row];
    for (std::size_t i = 0; i < weights.size(); ++i) {
      sum += weights[i];
      out[i] = static_cast<std::uint32_t>(std::min(sum / total * 0x1.0p32, 0x1.0p32 - 1.0));
    }
    if (!weights.empty()) out[weights.size() - 1] = 0xffffffffU;
  }
  return cumulative;
}

const SkipGramOptions& checked(const SkipGramOptions& options) {
  check_options(options);
  return options;
}

}  // namespace

std::array<std::uint32_t, 2> star_centre_words(std::uint64_t seed, std::uint64_t star) {
  const RandomBlock block = star_block(seed, RandomPurpose::kEdgeSample, star, 0);
  return {block[0], block[1]};
}

void star_negative_words(std::uint64_t seed, std::uint64_t star, std::span<std::uint32_t> words) {
  for (std::uint32_t i = 0; i < words.size(); i += 4) {
    const RandomBlock block = star_block(seed, RandomPurpose::kNegative, star, i / 4);
    std::copy(block.begin(), block.end(), words.begin() + i);
  }
}

StarSampler::StarSampler(partition::Graph graph, bool weighted) : graph_(std::move(graph)) {
  if (weighted && !graph_.summary().weighted) {
    throw partition::InputError("weighted sampling of edges was asked for, but the graph has no weights");
  }
  centres_ = NegativeSampler::or_none(node_masses(graph_, 1.0, weighted), graph_.first_node());
  if (weighted) cumulative_ = cumulative_weights(graph_);
}

std::uint32_t StarSampler::draw_arc(GlobalNode centre, std::uint32_t bits) const {
  const std::uint32_t degree = graph_.degree(centre);
  if (cumulative_.empty()) return partition::bounded(bits, degree);
  const auto first =
      cumulative_.begin() + static_cast<std::ptrdiff_t>(graph_.arrays().offsets[centre - graph_.first_node()]);
  // The first arc whose cumulative weight exceeds the bits; all-ones belongs to the last arc.
  const auto found = std::upper_bound(first, first + degree - 1, bits);
  return static_cast<std::uint32_t>(found - first);
}

GlobalNode StarSampler::draw(std::uint64_t seed, std::uint64_t star, std::span<GlobalNode> neighbours) const {
  const auto [slot_bits, coin] = star_centre_words(seed, star);
  const GlobalNode centre = centres_.sample(slot_bits, coin);
  draw_neighbours(seed, star, centre, neighbours);
  return centre;
}

void StarSampler::draw_neighbours(std::uint64_t seed, std::uint64_t star, GlobalNode centre,
                                  std::span<GlobalNode> neighbours) const {
  const std::span<const GlobalNode> list = graph_.neighbours(centre);
  RandomBlock block{};
  for (std::uint32_t i = 0; i < neighbours.size(); ++i) {
    if (i % 4 == 0) block = star_block(seed, RandomPurpose::kEdgeSample, star, 1 + i / 4);
    neighbours[i] = list[draw_arc(centre, block[i % 4])];
  }
}

LineTrainer::LineTrainer(const SkipGramOptions& options)
    : options_(checked(options)),
      adagrad_(options.optimizer == Optimizer::kAdagrad),
      scratch_(options.window, 1 + std::size_t{options.negatives}, options.dim, adagrad_),
      neighbours_(options.window),
      bits_((2 * std::size_t{options.negatives} + 3) / 4 * 4),
      contexts_(options.window),
      targets_(1 + std::size_t{options.negatives}),
      context_accumulators_(adagrad_ ? contexts_.size() : 0),
      target_accumulators_(adagrad_ ? targets_.size() : 0),
      stars_to_loss_(options.loss_interval) {}

TrainingCounters LineTrainer::take_counters() {
  return std::exchange(counters_, {});
}

void LineTrainer::count_from(std::uint64_t stars_before) {
  if (options_.loss_interval == 0) return;
  stars_to_loss_ = options_.loss_interval - static_cast<std::uint32_t>(stars_before % options_.loss_interval);
}

void LineTrainer::begin_star(std::span<const RowPointer> contexts, RowPointer centre, std::uint64_t star) {
  for (std::size_t i = 0; i < contexts.size(); ++i) {
    contexts_[i] = contexts[i].values;
    if (adagrad_) context_accumulators_[i] = contexts[i].accumulator;
  }
  targets_[0] = centre.values;
  if (adagrad_) target_accumulators_[0] = centre.accumulator;
  star_negative_words(options_.seed, star, bits_);
}

void LineTrainer::step(std::size_t context_count, float learning_rate) {
  const WindowRows rows = {.contexts = std::span(contexts_).first(context_count),
                           .targets = targets_,
                           .context_accumulators = std::span(context_accumulators_).first(adagrad_ ? context_count : 0),
                           .target_accumulators = target_accumulators_,
                           .at_once = true};
  WindowLoss loss;
  WindowLoss* asked = nullptr;
  if (options_.loss_interval != 0 && --stars_to_loss_ == 0) {
    stars_to_loss_ = options_.loss_interval;
    asked = &loss;
  }
  if (adagrad_) {
    adagrad_window_step(rows, learning_rate, scratch_, asked);
  } else {
    sgd_window_step(rows, learning_rate, scratch_, asked);
  }
  counters_.words += 1;
  counters_.pairs += context_count;
  counters_.loss_sum += loss.sum;
  counters_.loss_pairs += loss.pairs;
}

void train_stars(LineTrainer& trainer, const StarSampler& stars, std::uint64_t first_star, std::uint64_t count,
                 const LocalTables& tables, float learning_rate) {
  const SampledNegatives negatives(*tables.negatives, tables.outputs);
  const auto pointer = [](const DenseRows& rows, GlobalNode node) {
    return RowPointer{rows.row(node), rows.accumulators == nullptr ? nullptr : rows.accumulator(node)};
  };
  std::vector<RowPointer> contexts(trainer.neighbours().size());
  for (std::uint64_t star = first_star; star < first_star + count; ++star) {
    const std::span<GlobalNode> neighbours = trainer.neighbours();
    const GlobalNode centre = stars.draw(trainer.options().seed, star, neighbours);
    for (std::size_t i = 0; i < neighbours.size(); ++i) contexts[i] = pointer(tables.inputs, neighbours[i]);
    trainer.train_star(contexts, pointer(tables.outputs, centre), negatives, star, learning_rate);
  }
}

}  // namespace knotwork::embeddings
