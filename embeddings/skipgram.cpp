#include "embeddings/skipgram.h"

#include <cmath>
#include <string>
#include <utility>

#include "partition/errors.h"

namespace knotwork::embeddings {

using partition::random_block;
using partition::RandomBlock;
using partition::RandomPurpose;

namespace {

constexpr std::uint32_t kMaxWindow = 256;
constexpr std::uint32_t kMaxNegatives = 256;
constexpr std::uint32_t kMaxWindowsPerDraw = 256;
constexpr std::uint32_t kMaxDim = 1U << 16;

void require(bool good, const std::string& option, const std::string& found, const std::string& expected) {
  if (!good) throw partition::InputError(option + " is " + found + "; expected " + expected);
}

const SkipGramOptions& checked(const SkipGramOptions& options) {
  check_options(options);
  return options;
}

}  // namespace

void check_options(const SkipGramOptions& options) {
  const auto in_range = [](const char* name, std::uint32_t value, std::uint32_t low, std::uint32_t high) {
    require(value >= low && value <= high, name, std::to_string(value),
            std::to_string(low) + " .. " + std::to_string(high));
  };
  in_range("dim", options.dim, 1, kMaxDim);
  in_range("window", options.window, 1, kMaxWindow);
  in_range("negatives", options.negatives, 0, kMaxNegatives);
  in_range("windows per draw", options.windows_per_draw, 1, kMaxWindowsPerDraw);
  require(options.subsample >= 0.0 && options.subsample < 1.0, "subsample", std::to_string(options.subsample),
          "a number from 0 up to 1");
  require(options.learning_rate > 0.0F && std::isfinite(options.learning_rate), "learning rate",
          std::to_string(options.learning_rate), "a positive number");
  require(options.min_learning_rate >= 0.0F && options.min_learning_rate <= options.learning_rate,
          "minimum learning rate", std::to_string(options.min_learning_rate),
          "a number from 0 to the learning rate " + std::to_string(options.learning_rate));
}

TrainingCounters& TrainingCounters::operator+=(const TrainingCounters& other) {
  words += other.words;
  pairs += other.pairs;
  loss_sum += other.loss_sum;
  loss_pairs += other.loss_pairs;
  return *this;
}

void negative_words(std::uint64_t seed, WalkKey key, std::uint32_t draw, std::span<std::uint32_t> words) {
  for (std::uint32_t i = 0; i < words.size(); i += 4) {
    const RandomBlock block = random_block(seed, RandomPurpose::kNegative, key.start, key.walk, draw, i / 4);
    std::copy(block.begin(), block.end(), words.begin() + i);
  }
}

SkipGramTrainer::SkipGramTrainer(const SkipGramOptions& options)
    : options_(checked(options)),
      adagrad_(options.optimizer == Optimizer::kAdagrad),
      row_lines_(row_stride(options.dim) / 16),
      scratch_(2 * std::size_t{options.window}, 1 + std::size_t{options.negatives}, options.dim, adagrad_),
      contexts_(2 * std::size_t{options.window}),
      context_accumulators_(adagrad_ ? contexts_.size() : 0),
      windows_to_loss_(options.loss_interval) {
  if (options.threads_on_rows >= SkipGramOptions::kCrowd) {
    copies_.emplace(2 * std::size_t{options.window} + 1, row_stride(options.dim), adagrad_);
  }
  for (Draw& draw : planned_) {
    draw.bits.resize((2 * std::size_t{options.negatives} + 3) / 4 * 4);
    draw.targets.resize(1 + std::size_t{options.negatives});
    draw.accumulators.resize(adagrad_ ? draw.targets.size() : 0);
  }
}

TrainingCounters SkipGramTrainer::take_counters() {
  return std::exchange(counters_, {});
}

void SkipGramTrainer::begin_stretch(const WalkRows& rows, const WalkStretch& stretch, WalkKey key) {
  stretch_ = stretch;
  // One block serves the windows of four positions.
  window_bits_.clear();
  for (std::uint32_t i = stretch.first_centre / 4; 4 * i < stretch.last_centre; ++i) {
    const RandomBlock block = random_block(options_.seed, RandomPurpose::kWindow, key.start, key.walk, i);
    window_bits_.insert(window_bits_.end(), block.begin(), block.end());
  }
  const std::size_t centre = stretch.first_centre - stretch.first_position;
  const std::size_t first = std::min<std::size_t>(rows.inputs.size(), centre + options_.window + std::size_t{2});
  for (std::size_t i = 0; i < first; ++i) prefetch_row(rows.inputs[i]);
  prefetch_row(rows.outputs[centre]);
  if (copies_) copies_->begin(centre - std::min<std::size_t>(centre, options_.window));
}

void SkipGramTrainer::count_from(std::uint64_t windows_before) {
  if (options_.loss_interval == 0) return;
  windows_to_loss_ = options_.loss_interval - static_cast<std::uint32_t>(windows_before % options_.loss_interval);
}

void SkipGramTrainer::prefetch_row(const float* row) const {
  for (std::size_t line = 0; line < row_lines_; ++line) __builtin_prefetch(row + 16 * line, 1);
}

/// Input rows from `window` before the centre to `window` behind it are copied.
void SkipGramTrainer::slide_to(const WalkRows& rows, std::uint32_t centre) {
  while (copies_->first() + options_.window < centre) copies_->leave();
  const std::size_t last = std::min(rows.inputs.size(), centre + std::size_t{options_.window} + 1);
  while (copies_->next() < last) {
    const std::size_t i = copies_->next();
    copies_->enter(rows.inputs[i], adagrad_ ? rows.input_accumulators[i] : nullptr);
  }
}

/// Contexts are the positions first .. last - 1 but for the centre; returns how many.
std::size_t SkipGramTrainer::take_contexts(const WalkRows& rows, std::uint32_t first, std::uint32_t centre,
                                           std::uint32_t last) {
  if (copies_) slide_to(rows, centre);
  std::size_t count = 0;
  for (std::uint32_t i = first; i < last; ++i) {
    if (i == centre) continue;
    if (adagrad_) context_accumulators_[count] = copies_ ? copies_->accumulator(i) : rows.input_accumulators[i];
    contexts_[count++] = copies_ ? copies_->row(i) : rows.inputs[i];
  }
  return count;
}

void SkipGramTrainer::train_window(const WalkRows& rows, std::uint32_t position, float learning_rate) {
  const auto length = static_cast<std::uint32_t>(rows.inputs.size());
  const std::uint32_t centre = position - stretch_.first_position;  // as index of `rows`
  if (position + 1 < stretch_.last_centre) upcoming_.push_back(rows.outputs[centre + 1]);
  // The row that enters the widest possible window two positions later.
  const std::uint32_t entering = centre + options_.window + 2;
  if (entering < length) upcoming_.push_back(rows.inputs[entering]);
  // The row that leaves it next: others may have changed it meanwhile.
  if (copies_ && centre >= options_.window) upcoming_.push_back(rows.inputs[centre - options_.window]);

  const std::uint32_t bits = window_bits_[position - stretch_.first_centre / 4 * 4];
  const std::uint32_t reach = 1 + partition::bounded(bits, options_.window);
  const std::uint32_t first = centre - std::min(centre, reach);
  const std::uint32_t last = std::min(length, centre + reach + 1);
  const std::size_t count = take_contexts(rows, first, centre, last);
  Draw& draw = planned(position / options_.windows_per_draw);
  draw.targets[0] = rows.outputs[centre];
  if (adagrad_) draw.accumulators[0] = rows.output_accumulators[centre];
  const WindowRows window_rows = {std::span(contexts_).first(count), draw.targets,
                                  std::span(context_accumulators_).first(adagrad_ ? count : 0), draw.accumulators,
                                  upcoming_};
  WindowLoss loss;
  WindowLoss* asked = nullptr;
  if (options_.loss_interval != 0 && --windows_to_loss_ == 0) {
    windows_to_loss_ = options_.loss_interval;
    asked = &loss;
  }
  step(window_rows, learning_rate, asked);
  counters_.words += 1;
  counters_.pairs += count;
  counters_.loss_sum += loss.sum;
  counters_.loss_pairs += loss.pairs;
}

void SkipGramTrainer::step(const WindowRows& window, float learning_rate, WindowLoss* loss) {
  if (adagrad_) {
    adagrad_window_step(window, learning_rate, scratch_, loss);
  } else {
    sgd_window_step(window, learning_rate, scratch_, loss);
  }
}

void train_walks(SkipGramTrainer& trainer, const WalkBatch& walks, std::span<const WalkKey> keys,
                 const LocalTables& tables, float learning_rate) {
  const SampledNegatives negatives(*tables.negatives, tables.outputs);
  const bool adagrad = trainer.options().optimizer == Optimizer::kAdagrad;
  std::vector<GlobalNode> kept;
  std::vector<float*> inputs;
  std::vector<float*> outputs;
  std::vector<float*> input_accumulators;
  std::vector<float*> output_accumulators;
  for (std::size_t i = 0; i < walks.size(); ++i) {
    std::span<const GlobalNode> path = walks.path(i);
    if (!tables.keep.empty()) {
      subsample_walk(path, keys[i], tables.keep, trainer.options().seed, kept);
      path = kept;
    }
    inputs.clear();
    outputs.clear();
    input_accumulators.clear();
    output_accumulators.clear();
    for (const GlobalNode node : path) {
      inputs.push_back(tables.inputs.row(node));
      outputs.push_back(tables.outputs.row(node));
      if (!adagrad) continue;
      input_accumulators.push_back(tables.inputs.accumulator(node));
      output_accumulators.push_back(tables.outputs.accumulator(node));
    }
    trainer.train_walk({inputs, outputs, input_accumulators, output_accumulators}, negatives, keys[i], learning_rate);
  }
}

std::vector<float> keep_probabilities(std::span<const double> strengths, double total, double threshold) {
  std::vector<float> keep(strengths.size(), 1.0F);
  if (threshold <= 0.0 || total <= 0.0) return keep;
  for (std::size_t i = 0; i < strengths.size(); ++i) {
    if (strengths[i] <= 0.0) continue;
    const double ratio = threshold * total / strengths[i];
    keep[i] = static_cast<float>(std::min(1.0, std::sqrt(ratio) + ratio));
  }
  return keep;
}

void subsample_walk(std::span<const GlobalNode> path, WalkKey key, std::span<const float> keep, std::uint64_t seed,
                    std::vector<GlobalNode>& kept) {
  kept.clear();
  RandomBlock block{};
  for (std::uint32_t i = 0; i < path.size(); ++i) {
    if (i % 4 == 0) block = random_block(seed, RandomPurpose::kSubsample, key.start, key.walk, i / 4);
    if (partition::unit_float(block[i % 4]) < keep[path[i]]) kept.push_back(path[i]);
  }
}

void initialise_rows(const DenseRows& rows, std::span<const OriginalNode> originals, std::uint64_t seed) {
  const auto scale = 1.0F / static_cast<float>(rows.dim);
#pragma omp parallel for
  for (std::size_t i = 0; i < originals.size(); ++i) {
    float* const row = rows.values + i * rows.stride;
    RandomBlock block{};
    for (std::uint32_t column = 0; column < rows.dim; ++column) {
      if (column % 4 == 0) block = random_block(seed, RandomPurpose::kInitialise, originals[i], 0, column / 4);
      row[column] = (partition::unit_float(block[column % 4]) - 0.5F) * scale;
    }
    std::fill(row + rows.dim, row + rows.stride, 0.0F);
  }
}

}  // namespace knotwork::embeddings
