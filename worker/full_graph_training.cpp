#include "worker/full_graph_training.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <iterator>
#include <optional>
#include <string>
#include <utility>

#include "embeddings/negative_sampler.h"
#include "partition/errors.h"
#include "partition/random.h"

namespace knotwork::worker {
namespace {

namespace gnn = embeddings::gnn;
using partition::GlobalNode;
using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

void require_number(double loss, std::uint32_t epoch) {
  if (!std::isfinite(loss))
    throw partition::InputError("training diverged: the loss of epoch " + std::to_string(epoch) +
                                " is no number, and nothing was written; try a lower --lr");
}

/// One step of Adam from the derivative of a loss by the outputs.
void step(gnn::Network& network, std::span<const float> by_outputs, const gnn::AdamOptions& adam,
          std::vector<float>& gradient, gnn::NetworkState& state) {
  gradient.resize(state.weights.size());
  network.backward(by_outputs, gradient, {});
  gnn::adam_step(network.parameters(), gradient, adam, state);
}

/// An epoch as snapshots have it.
NetworkPoint saved(const EpochFigures& figures) {
  return {.epoch = figures.epoch,
          .is_validated = false,
          .is_best = false,
          .loss = figures.loss,
          .seconds = 0,
          .valid_loss = figures.valid_loss,
          .valid = {.accuracy = figures.valid_accuracy}};
}

/// A training's loop over epochs, from the snapshot's on if there is one.
class Epochs {
 public:
  Epochs(const FullGraphOptions& options, gnn::NetworkState& state, NetworkSnapshots* snapshots)
      : options_(options), state_(state), snapshots_(snapshots) {
    std::optional<NetworkPosition> before =
        snapshots == nullptr ? std::nullopt : snapshots->resume(state.weights.size());
    if (!before) return;
    state_ = std::move(before->state);
    best = std::move(before->best);
    seconds_before_ = before->seconds;
    for (const NetworkPoint& point : before->curve) {
      report.curve.push_back({.epoch = point.epoch,
                              .loss = point.loss,
                              .valid_loss = point.valid_loss,
                              .valid_accuracy = point.valid.accuracy});
    }
  }

  /// Whether another epoch comes, which is `number()` then. Between two of them a snapshot may be taken.
  bool next() {
    const auto done = static_cast<std::uint32_t>(report.curve.size());
    if (done >= options_.epochs || is_over) return false;
    if (snapshots_ == nullptr) return true;
    return snapshots_->look(true, [&] {
      NetworkPosition position{.epochs_done = done, .seconds = seconds(), .state = state_, .best = best, .curve = {}};
      std::ranges::transform(report.curve, std::back_inserter(position.curve), saved);
      return position;
    });
  }
  std::uint32_t number() const { return static_cast<std::uint32_t>(report.curve.size()) + 1; }
  double seconds() const { return seconds_before_ + seconds_since(start_); }

  /// Waits for the last snapshot. Returns whether training has come to its end.
  bool finish() {
    if (snapshots_ != nullptr) {
      report.stopped = snapshots_->stopped();
      report.last_snapshot_is_whole = snapshots_->finish();
    }
    report.seconds = seconds();
    return !report.stopped;
  }

  FullGraphReport report;
  BestNetwork best;
  bool is_over = false;

 private:
  const FullGraphOptions& options_;
  gnn::NetworkState& state_;
  NetworkSnapshots* snapshots_;
  Clock::time_point start_ = Clock::now();
  double seconds_before_ = 0;
};

/// A neighbour of `row` drawn evenly; `row` itself if it has none.
std::uint32_t draw_neighbour(const gnn::MessageBlock& block, std::uint32_t row, std::uint32_t random) {
  const std::uint64_t first = block.offsets[row];
  const auto degree = static_cast<std::uint32_t>(block.offsets[row + 1] - first);
  return degree == 0 ? row : block.neighbours[first + partition::bounded(random, degree)];
}

gnn::LinkSample draw_links(const FullGraph& graph, const LinkTask& task, const embeddings::NegativeSampler& sampler,
                           std::uint64_t seed, std::uint32_t epoch) {
  gnn::LinkSample sample;
  sample.negative_weight = task.negative_weight;
  for (std::uint32_t row = 0; row < graph.block.targets; ++row) {
    if (graph.block.offsets[row] == graph.block.offsets[row + 1]) continue;
    for (std::uint32_t positive = 0; positive < task.positives; ++positive) {
      std::uint32_t at = row;
      for (std::uint32_t hop = 0; hop < task.walk_length; ++hop) {
        const auto random = partition::random_block(seed, partition::RandomPurpose::kLinkSample, graph.nodes[row],
                                                    epoch, positive, hop);
        at = draw_neighbour(graph.block, at, random[0]);
        if (at == row) continue;
        sample.heads.push_back(row);
        sample.tails.push_back(at);
      }
    }
  }
  for (std::uint32_t i = 0; i < task.shared_negatives; ++i) {
    const auto random = partition::random_block(seed, partition::RandomPurpose::kNegative, i, epoch, 0);
    sample.negatives.push_back(sampler.sample(random[0], random[1]));
  }
  return sample;
}

}  // namespace

FullGraph full_graph(const partition::Graph& whole, gnn::Normalisation normalisation, bool weighted) {
  const partition::SymmetricView view = partition::symmetric_view(whole);
  const GlobalNode count = view.node_count;
  FullGraph graph;
  graph.nodes.resize(count);
  graph.row_of.resize(count);
  std::vector<GlobalNode> global_of(count);
  for (GlobalNode node = 0; node < count; ++node) global_of[whole.degree_rank(node)] = node;
  gnn::BlockArcs arcs{.targets = count, .sources = count};
  arcs.neighbours.reserve(view.targets.size());
  const bool weighs = weighted && !view.weights.empty();
  for (std::uint32_t row = 0; row < count; ++row) {
    const GlobalNode node = global_of[row];
    graph.nodes[row] = whole.original(node);
    graph.row_of[whole.original(node)] = row;
    for (partition::ArcIndex arc = view.offsets[node]; arc < view.offsets[node + 1]; ++arc) {
      arcs.neighbours.push_back(whole.degree_rank(view.targets[arc]));
      if (weighs) arcs.weights.push_back(view.weights[arc]);
    }
    arcs.offsets.push_back(arcs.neighbours.size());
  }
  graph.block = gnn::make_block(std::move(arcs), normalisation);
  return graph;
}

FullGraphReport train_labels(gnn::Network& network, const gnn::Batch& batch, const LabelTask& task,
                             const FullGraphOptions& options, gnn::NetworkState& state, const EpochProgress& progress,
                             NetworkSnapshots* snapshots) {
  Epochs epochs(options, state, snapshots);
  std::vector<float> by_outputs;
  std::vector<float> gradient;
  const bool validates = !task.valid.rows.empty();
  std::size_t columns = 0;
  while (epochs.next()) {
    EpochFigures figures{.epoch = epochs.number()};
    const auto number = static_cast<std::uint32_t>(state.steps);
    const gnn::Rows trained = network.forward(state.weights, batch, {.training = true, .step = number});
    columns = trained.outputs.size() / batch.blocks.back()->targets;
    by_outputs.assign(trained.outputs.size(), 0);
    figures.loss = gnn::label_loss(trained.outputs, columns, task.train, task.loss, by_outputs);
    require_number(figures.loss, figures.epoch);
    step(network, by_outputs, options.adam, gradient, state);
    if (validates) {
      const gnn::Rows judged = network.forward(state.weights, batch, {});
      figures.valid_loss = gnn::label_loss(judged.outputs, columns, task.valid, task.loss, {});
      figures.valid_accuracy = gnn::label_scores(judged.outputs, columns, task.valid, task.loss).accuracy;
      epochs.best.offer(figures.epoch, figures.valid_loss, state.weights);
    } else {
      epochs.best.offer(figures.epoch, -static_cast<double>(figures.epoch), state.weights);
    }
    epochs.report.curve.push_back(figures);
    epochs.is_over = (progress && !progress(figures)) ||
                     (options.patience > 0 && validates && figures.epoch - epochs.best.epoch >= options.patience);
  }
  if (!epochs.finish()) return std::move(epochs.report);
  if (epochs.best.epoch > 0) state.weights = epochs.best.weights;
  FullGraphReport& report = epochs.report;
  report.best_epoch = epochs.best.epoch;
  const gnn::Rows final_rows = network.forward(state.weights, batch, {});
  columns = final_rows.outputs.size() / batch.blocks.back()->targets;
  report.valid = gnn::label_scores(final_rows.outputs, columns, task.valid, task.loss);
  report.test = gnn::label_scores(final_rows.outputs, columns, task.test, task.loss);
  report.seconds = epochs.seconds();
  return std::move(report);
}

FullGraphReport train_links(gnn::Network& network, const gnn::Batch& batch, const FullGraph& graph,
                            const LinkTask& task, const FullGraphOptions& options, gnn::NetworkState& state,
                            const EpochProgress& progress, NetworkSnapshots* snapshots) {
  std::vector<double> masses(graph.block.targets);
  for (std::uint32_t row = 0; row < graph.block.targets; ++row)
    masses[row] = std::pow(static_cast<double>(graph.block.offsets[row + 1] - graph.block.offsets[row]), 0.75);
  const embeddings::NegativeSampler sampler(masses);
  Epochs epochs(options, state, snapshots);
  std::vector<float> by_outputs;
  std::vector<float> gradient;
  while (epochs.next()) {
    const auto number = static_cast<std::uint32_t>(state.steps);
    const gnn::LinkSample sample = draw_links(graph, task, sampler, options.seed, number);
    const gnn::Rows rows = network.forward(state.weights, batch, {.training = true, .step = number});
    by_outputs.assign(rows.outputs.size(), 0);
    const EpochFigures figures{
        .epoch = epochs.number(),
        .loss = gnn::link_loss(rows.outputs, rows.outputs.size() / graph.block.targets, sample, by_outputs)};
    require_number(figures.loss, figures.epoch);
    step(network, by_outputs, options.adam, gradient, state);
    epochs.report.curve.push_back(figures);
    epochs.report.best_epoch = figures.epoch;
    epochs.is_over = progress && !progress(figures);
  }
  epochs.finish();
  return std::move(epochs.report);
}

}  // namespace knotwork::worker
