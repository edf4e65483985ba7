#include "embeddings/lightgcn.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "embeddings/learning_rate.h"
#include "embeddings/row_table.h"
#include "partition/random.h"
#include "partition/worker_team.h"

namespace knotwork::embeddings {

using partition::GlobalNode;
using partition::RandomPurpose;

namespace {

/// Of layer 0 at the start, as in the authors' program; for the softmax, which looks at directions only, this says how
/// far a step of a given learning rate turns a row.
constexpr double kInitialDeviation = 0.1;
constexpr std::size_t kRowsAtOnce = 1024;
constexpr float kFirstDecay = 0.9F;
constexpr float kSecondDecay = 0.999F;
constexpr float kEpsilon = 1e-8F;

std::unique_ptr<RankingObjective> make_objective(const UserItemGraph& graph, std::size_t stride,
                                                 const LightGcnOptions& options, Crew& crew) {
  if (options.loss == RankingLoss::kBpr) {
    BprOptions bpr = options.bpr;
    bpr.batch = options.batch;
    bpr.seed = options.seed;
    return std::make_unique<BprObjective>(graph, stride, bpr, crew);
  }
  SoftmaxOptions softmax = options.softmax;
  softmax.batch = options.batch;
  softmax.seed = options.seed;
  return std::make_unique<SoftmaxObjective>(graph, stride, softmax, crew);
}

}  // namespace

LightGcn::LightGcn(const UserItemGraph& graph, const LightGcnOptions& options, Crew& crew)
    : graph_(graph),
      options_(options),
      crew_(crew),
      stride_(row_stride(options.dim)),
      mean_(graph.graph(), options.layers, options.weighted, stride_, crew),
      objective_(make_objective(graph, stride_, options, crew)) {
  const std::size_t values = graph.graph().row_count() * stride_;
  rows_ = crew.floats(values);
  first_moments_ = crew.floats(values);
  second_moments_ = crew.floats(values);
  final_ = crew.floats(values);
  gradient_ = crew.floats(values);
  initialise();
}

std::uint64_t LightGcn::least_memory(std::uint64_t users, std::uint64_t items, std::uint32_t dim) {
  constexpr std::uint64_t kTables = 6;
  return (users + items) * row_stride(dim) * kTables * sizeof(float);
}

/// Normal numbers (Box and Muller 1958), four a random block.
void LightGcn::initialise() {
  const Crew::Range own = crew_.share_of(graph_.graph().row_count());
  for (std::size_t node = own.first; node < own.last; ++node) {
    const partition::OriginalNode original = graph_.graph().original(static_cast<GlobalNode>(node));
    for (std::uint32_t column = 0; column < options_.dim; column += 4) {
      const auto random = partition::random_block(options_.seed, RandomPurpose::kInitialise, original, column, 0);
      for (std::uint32_t i = 0; i < 4 && column + i < options_.dim; ++i) {
        const double radius = std::sqrt(-2 * std::log(1 - partition::unit_double(random[i / 2 * 2], 0)));
        const double angle = 2 * std::numbers::pi * partition::unit_double(random[i / 2 * 2 + 1], 0);
        rows_[node * stride_ + column + i] =
            static_cast<float>(kInitialDeviation * radius * (i % 2 == 0 ? std::cos(angle) : std::sin(angle)));
      }
    }
  }
}

void LightGcn::begin_epoch() {
  objective_->begin_epoch(epoch_++);
  step_ = 0;
}

void LightGcn::go_on_at(std::uint32_t epochs, std::uint32_t steps) {
  epoch_ = epochs;
  steps_done_ = std::uint64_t{epochs} * this->steps() + steps;
  if (steps == 0) return;
  begin_epoch();
  step_ = steps;
}

StepLoss LightGcn::step() {
  mean_.apply(rows_, final_);
  const StepLoss loss = objective_->step(step_++, final_, gradient_);
  mean_.apply(gradient_, final_);
  const double all = static_cast<double>(objective_->steps()) * options_.epochs;
  const LearningRate rate(options_.learning_rate, options_.min_learning_rate);
  descend(rate.at(static_cast<double>(steps_done_++) / all));
  return loss;
}

/// Adam on own rows, with the penalty's gradient; the gradient is zero afterwards.
void LightGcn::descend(float learning_rate) {
  const auto steps = static_cast<double>(steps_done_);
  const auto first_scale = static_cast<float>(learning_rate / (1 - std::pow(kFirstDecay, steps)));
  const auto second_scale = static_cast<float>(1 / (1 - std::pow(kSecondDecay, steps)));
  const std::span<const float> penalties = objective_->penalties();
  const std::size_t nodes = graph_.graph().row_count();
  const Crew::Range own = crew_.share_of((nodes + kRowsAtOnce - 1) / kRowsAtOnce);
  partition::share_among_workers(crew_.threads(), own.last - own.first, [&](unsigned /*worker*/, std::size_t run) {
    const std::size_t first = (own.first + run) * kRowsAtOnce;
    for (std::size_t node = first; node < std::min(first + kRowsAtOnce, nodes); ++node) {
      const float penalty = penalties.empty() ? 0.0F : penalties[node];
      float* const row = &rows_[node * stride_];
      float* const mean = &first_moments_[node * stride_];
      float* const square = &second_moments_[node * stride_];
      const float* const gradient = &final_[node * stride_];
      for (std::size_t k = 0; k < stride_; ++k) {
        const float value = gradient[k] + penalty * row[k];
        mean[k] += (1 - kFirstDecay) * (value - mean[k]);
        square[k] += (1 - kSecondDecay) * (value * value - square[k]);
        row[k] -= first_scale * mean[k] / (std::sqrt(second_scale * square[k]) + kEpsilon);
      }
      std::fill_n(&gradient_[node * stride_], stride_, 0.0F);
    }
  });
}

LightGcnEpoch LightGcn::train_epoch() {
  begin_epoch();
  LightGcnEpoch epoch;
  for (std::uint32_t i = 0; i < steps(); ++i) {
    const StepLoss loss = step();
    epoch.loss += loss.sum;
    epoch.pairs += loss.pairs;
  }
  epoch.loss /= static_cast<double>(epoch.pairs);
  return epoch;
}

/// Own items of F from length l to l^item_lengths.
void LightGcn::scale_items() {
  const Crew::Range own = crew_.share_of(graph_.item_count());
  for (std::size_t item = own.first; item < own.last; ++item) {
    const auto row = final_.subspan(graph_.item(static_cast<partition::OriginalNode>(item)) * stride_, stride_);
    float square = 0;
    for (const float value : row) square += value * value;
    // A row of zeros keeps its length, which no power below zero can have.
    const float scale = square > 0 ? std::pow(square, (options_.softmax.item_lengths - 1) / 2) : 1.0F;
    for (float& value : row) value *= scale;
  }
  crew_.wait_for_all();
}

std::span<const float> LightGcn::ranking_rows() {
  mean_.apply(rows_, final_);
  if (options_.loss == RankingLoss::kSoftmax) scale_items();
  return final_;
}

}  // namespace knotwork::embeddings
