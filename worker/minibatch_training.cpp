#include "worker/minibatch_training.h"

#include <algorithm>
#include <chrono>
#include <functional>
#include <future>
#include <string>
#include <utility>

#include "partition/errors.h"
#include "worker/dense_weights.h"
#include "worker/exact_loss.h"
#include "worker/minibatch_objective.h"
#include "worker/minibatch_tables.h"
#include "worker/network_snapshots.h"
#include "worker/node_inference.h"
#include "worker/row_gradients.h"
#include "worker/sampled_batches.h"
#include "worker/served_weights.h"

namespace knotwork::worker {

namespace gnn = embeddings::gnn;
using cluster::Reduction;
using partition::GlobalNode;
using partition::Graph;
using partition::InputError;

namespace {

using Clock = std::chrono::steady_clock;

double since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

}  // namespace

class MinibatchTrainer::Run {
 public:
  Run(cluster::Communicator& communicator, const DistributedGraph& graph, gnn::Network& network,
      const MinibatchData& data, MinibatchOptions options)
      : communicator_(communicator),
        graph_(graph),
        network_(network),
        data_(data),
        options_(std::move(options)),
        directory_(gather_directory(communicator, graph.slice)),
        state_(gnn::initial_state(network.parameters(), options_.seed)) {
    if (options_.fan_outs.size() != network.depth()) {
      throw InputError("fan-out of " + std::to_string(options_.fan_outs.size()) + " layers, expected " +
                       std::to_string(network.depth()) + ": one for each layer");
    }
    tables_.emplace(communicator, graph, data, options_, network.embedding_columns(), state_.weights.size());
    training_.emplace(communicator, graph, directory_,
                      embeddings::NeighbourSampleOptions{
                          .fan_outs = options_.fan_outs, .seed = options_.seed, .threads = tables_->helpers()},
                      network.normalisation());
    inference_.emplace(communicator, graph, directory_, network, data, options_, *tables_);
    weights_ = share_weights();
  }

  MinibatchReport train(const MinibatchProgress& progress, SnapshotKeeper* keeper, SnapshotReader* from);
  MinibatchScores score(std::span<const GlobalNode> nodes) { return inference_->score(state_.weights, nodes); }
  void export_rows(embeddings::EmbeddingWriter* embedding, embeddings::EmbeddingWriter* outputs);

  gnn::NetworkState& state() { return state_; }

 private:
  bool learns_ids() const { return tables_->learns_ids(); }
  bool is_bulk_synchronous() const { return options_.consistency.is_bulk_synchronous(); }
  NodeRows& rows() { return tables_->rows(); }

  std::unique_ptr<DenseWeights> share_weights();
  void prepare(std::uint32_t batch_number, SampledBatch& batch);
  std::future<void> begin_preparing(std::uint32_t batch_number, SampledBatch& before, SampledBatch& batch);
  void pass(SampledBatch& batch, std::uint32_t number);
  void train_batch(SampledBatch& batch, std::uint32_t number);
  void share_row_gradients(const SampledBatch& batch);
  void meet();
  std::uint32_t go_on_from(NetworkPosition position, MinibatchReport& report);
  NetworkPosition position(std::uint32_t batches_done, const MinibatchReport& report) const;
  bool train_epoch(std::uint32_t first, const std::function<bool(std::uint32_t batches_done)>& look);
  void validate(MinibatchEpoch& epoch);
  bool train_epochs(NetworkSnapshots& snapshots, bool validates, const MinibatchProgress& progress,
                    MinibatchReport& report);
  void report_traffic(MinibatchReport& report);

  cluster::Communicator& communicator_;
  const DistributedGraph& graph_;
  gnn::Network& network_;
  const MinibatchData& data_;
  MinibatchOptions options_;
  NodeDirectory directory_;
  gnn::NetworkState state_;
  std::optional<MinibatchTables> tables_;
  std::optional<SampledBatches> training_;
  std::optional<NodeInference> inference_;
  std::unique_ptr<DenseWeights> weights_;
  std::optional<MinibatchObjective> objective_;  // Of train().

  std::uint32_t epoch_ = 0;
  double loss_sum_ = 0;  // This rank's, of an epoch's batches.
  BestNetwork best_;
  std::weak_ptr<FrozenRows> frozen_;  // Learnt rows that a snapshot is still to read, if there are any.
  NodeRowTraffic trained_;
  std::vector<float> by_weights_;
  std::vector<float> by_outputs_;
  std::vector<float> by_inputs_;
  double seconds_ = 0;  // Of training, in this process: resumed ones have more.
  std::uint64_t arcs_ = 0;
  std::uint64_t gradient_bytes_ = 0;
};

std::unique_ptr<DenseWeights> MinibatchTrainer::Run::share_weights() {
  if (!tables_->weights()) {
    return std::make_unique<AllReducedWeights>(communicator_, network_.parameters(), options_.adam, state_);
  }
  return std::make_unique<ServedWeights>(communicator_, tables_->connect(), *tables_->weight_rows(),
                                         *tables_->weights(), network_.parameters(), options_.adam,
                                         options_.consistency, state_);
}

/// All that can be done while the batch before is trained. Collective where samples travel.
void MinibatchTrainer::Run::prepare(std::uint32_t batch_number, SampledBatch& batch) {
  objective_->choose_seeds(epoch_, batch_number, batch.seeds);
  training_->make(epoch_, batch);
  if (!learns_ids()) rows().start(batch.nodes, batch.rows);
}

/// Where nobody needs to be asked for neighbours, on a thread of its own; MPI is this thread's.
std::future<void> MinibatchTrainer::Run::begin_preparing(std::uint32_t batch_number, SampledBatch& before,
                                                         SampledBatch& batch) {
  if (!training_->is_local() || learns_ids()) {
    prepare(batch_number, batch);
    return {};
  }
  rows().finish(before.rows);  // Their client is the other thread's from here on.
  return std::async(std::launch::async, [this, batch_number, &batch] { prepare(batch_number, batch); });
}

/// Forwards and back with this rank's seeds, if it has any: gradients are zero, or absent for rows, without.
void MinibatchTrainer::Run::pass(SampledBatch& batch, std::uint32_t number) {
  rows().finish(batch.rows);
  by_weights_.assign(state_.weights.size(), 0);
  by_inputs_.clear();
  if (batch.seeds.empty()) return;
  const std::uint32_t size = objective_->batches().size_of(number);
  const gnn::Batch view = batch.view(tables_->input_columns());
  const gnn::Rows found = network_.forward(
      state_.weights, view,
      {.training = true, .step = epoch_ * objective_->batches().count() + number, .derives_inputs = learns_ids()});
  by_outputs_.assign(found.outputs.size(), 0);
  // The mean over this rank's seeds or over all: the loss function divides by what it is told.
  // A snapshot may come between any two batches, and the job go on with other ranks.
  loss_sum_ += exact_loss(objective_->loss(batch, found.outputs, by_outputs_, size) * size);
  if (learns_ids()) by_inputs_.resize(batch.rows.values.size());
  network_.backward(by_outputs_, by_weights_, by_inputs_);
  arcs_ += batch.arc_count();
}

/// Collective with bsp.
void MinibatchTrainer::Run::train_batch(SampledBatch& batch, std::uint32_t number) {
  weights_->take();
  pass(batch, number);
  weights_->step(by_weights_);
  if (learns_ids()) share_row_gradients(batch);
}

/// Collective with bsp.
void MinibatchTrainer::Run::share_row_gradients(const SampledBatch& batch) {
  const std::span<const GlobalNode> nodes = by_inputs_.empty() ? std::span<const GlobalNode>() : batch.nodes;
  const auto rate = static_cast<float>(options_.adam.learning_rate);
  if (!is_bulk_synchronous()) {
    gradient_bytes_ += tables_->push_gradients(nodes, by_inputs_, rate);
    return;
  }
  gradient_bytes_ += apply_row_gradients(communicator_, graph_.rank_bounds, tables_->inputs(), nodes, by_inputs_, rate,
                                         frozen_.lock().get())
                         .bytes;
  communicator_.barrier();
}

/// Collective: what ranks have pushed is in its tables, and all have the same weights.
void MinibatchTrainer::Run::meet() {
  tables_->flush();
  weights_->meet();
}

/// Batches `first` and behind. `look` is called between two of them; false ends training, and so does this.
bool MinibatchTrainer::Run::train_epoch(std::uint32_t first, const std::function<bool(std::uint32_t)>& look) {
  const std::uint32_t count = objective_->batches().count();
  SampledBatch batches[2];
  if (first == 0) loss_sum_ = 0;
  prepare(first, batches[first % 2]);
  for (std::uint32_t number = first; number < count; ++number) {
    SampledBatch& batch = batches[number % 2];
    SampledBatch& coming = batches[(number + 1) % 2];
    if (learns_ids()) rows().start(batch.nodes, batch.rows);
    std::future<void> next;
    if (number + 1 < count) next = begin_preparing(number + 1, batch, coming);
    train_batch(batch, number);
    if (next.valid()) next.get();
    if (number + 1 < count && !look(number + 1)) {
      rows().cancel(coming.rows);
      return false;
    }
  }
  meet();
  return true;
}

/// Returns the number of the batch to begin with, of epoch_.
std::uint32_t MinibatchTrainer::Run::go_on_from(NetworkPosition position, MinibatchReport& report) {
  epoch_ = position.epochs_done;
  loss_sum_ = position.loss_sum;
  state_ = std::move(position.state);
  best_ = std::move(position.best);
  report.seconds = position.seconds;
  for (const NetworkPoint& point : position.curve) {
    MinibatchEpoch epoch{.epoch = point.epoch - 1, .loss = point.loss, .seconds = point.seconds};
    if (point.is_validated) epoch.validation = {.labels = point.valid, .loss = point.valid_loss};
    epoch.is_best = point.is_best;
    report.epochs.push_back(epoch);
  }
  if (epoch_ >= options_.epochs || position.batches_done >= objective_->batches().count()) {
    throw InputError("the snapshot is damaged: it has " + std::to_string(epoch_) + " epochs and " +
                     std::to_string(position.batches_done) + " batches behind it, of " +
                     std::to_string(options_.epochs) + " and " + std::to_string(objective_->batches().count()));
  }
  return position.batches_done;
}

NetworkPosition MinibatchTrainer::Run::position(std::uint32_t batches_done, const MinibatchReport& report) const {
  NetworkPosition position{.epochs_done = epoch_,
                           .batches_done = batches_done,
                           .loss_sum = batches_done > 0 ? loss_sum_ : 0,
                           .seconds = report.seconds,
                           .state = state_,
                           .best = best_,
                           .curve = {}};
  for (const MinibatchEpoch& epoch : report.epochs) {
    NetworkPoint point{.epoch = epoch.epoch + 1,
                       .is_validated = epoch.validation.has_value(),
                       .is_best = epoch.is_best,
                       .loss = epoch.loss,
                       .seconds = epoch.seconds,
                       .valid = {}};
    if (epoch.validation) {
      point.valid_loss = epoch.validation->loss;
      point.valid = epoch.validation->labels;
    }
    position.curve.push_back(point);
  }
  return position;
}

void MinibatchTrainer::Run::validate(MinibatchEpoch& epoch) {
  epoch.validation = score(data_.validation);
  epoch.is_best = best_.offer(epoch.epoch + 1, epoch.validation->loss, state_.weights);
}

/// Returns whether training has come to its end; else it was stopped.
bool MinibatchTrainer::Run::train_epochs(NetworkSnapshots& snapshots, bool validates, const MinibatchProgress& progress,
                                         MinibatchReport& report) {
  std::uint32_t first = 0;
  epoch_ = 0;
  if (std::optional<NetworkPosition> before = snapshots.resume(state_.weights.size())) {
    first = go_on_from(std::move(*before), report);
  }
  weights_->begin();
  const auto look = [&](std::uint32_t batches_done) {
    const bool goes_on = snapshots.look(true, [&] {
      meet();
      return position(batches_done, report);
    });
    frozen_ = snapshots.frozen();
    return goes_on;
  };
  for (; epoch_ < options_.epochs; ++epoch_) {
    if (first == 0 && !look(0)) return false;
    const NodeRowTraffic at_start = rows().traffic();
    const auto start = Clock::now();
    if (!train_epoch(std::exchange(first, 0), look)) return false;
    MinibatchEpoch epoch{.epoch = epoch_, .seconds = communicator_.allreduce(since(start), Reduction::kMax)};
    epoch.loss = communicator_.allreduce(loss_sum_, Reduction::kSum) / objective_->batches().seed_count();
    trained_ += rows().traffic() - at_start;
    report.seconds += epoch.seconds;
    seconds_ += epoch.seconds;
    if (validates) validate(epoch);
    report.epochs.push_back(epoch);
    if (progress) progress(epoch);
    if (validates && options_.patience > 0 && epoch_ + 1 - best_.epoch >= options_.patience) break;
  }
  return true;
}

MinibatchReport MinibatchTrainer::Run::train(const MinibatchProgress& progress, SnapshotKeeper* keeper,
                                             SnapshotReader* from) {
  objective_.emplace(communicator_, graph_, data_, options_);
  tables_->fill_cache(objective_->own_seeds());
  const bool validates = options_.goal == MinibatchGoal::kLabels &&
                         communicator_.allreduce(std::uint64_t{data_.validation.size()}, Reduction::kSum) > 0;
  MinibatchReport report;
  best_ = {};
  trained_ = {};
  const NodeRowTraffic before = rows().traffic();
  NetworkSnapshots snapshots(communicator_, keeper, from,
                             {.nodes = graph_.slice.arrays().original, .bounds = graph_.rank_bounds});
  if (!is_bulk_synchronous()) snapshots.vote_seldom();
  if (learns_ids()) snapshots.add_rows(tables_->inputs(), is_bulk_synchronous());
  report.stopped = !train_epochs(snapshots, validates, progress, report);
  report.last_snapshot_is_whole = snapshots.finish();
  if (validates && !report.stopped) {
    state_.weights = std::move(best_.weights);
    report.best_epoch = best_.epoch - 1;
  } else if (!report.epochs.empty()) {
    report.best_epoch = static_cast<std::uint32_t>(report.epochs.size()) - 1;
  }
  report.seeds = std::uint64_t{objective_->batches().seed_count()} * report.epochs.size();
  report.cache_rows = rows().cached_rows();
  report.cache_bytes = before.bytes;
  report.input_rows = trained_.rows;
  report.rows_cached = trained_.cached;
  report.rows_pulled = trained_.pulled;
  report.row_bytes = trained_.bytes;
  report_traffic(report);
  return report;
}

/// Collective: sums over ranks.
void MinibatchTrainer::Run::report_traffic(MinibatchReport& report) {
  report.arcs = arcs_;
  report.sample_bytes = training_->traffic().bytes_sent;
  report.gradient_bytes = gradient_bytes_;
  report.weight_bytes = weights_->traffic().bytes;
  std::uint64_t* const figures[] = {
      &report.arcs,       &report.input_rows,  &report.rows_cached,  &report.rows_pulled,    &report.row_bytes,
      &report.cache_rows, &report.cache_bytes, &report.sample_bytes, &report.gradient_bytes, &report.weight_bytes};
  std::vector<std::uint64_t> sums;
  for (const std::uint64_t* figure : figures) sums.push_back(*figure);
  communicator_.allreduce(sums, Reduction::kSum);
  for (std::size_t i = 0; i < sums.size(); ++i) *figures[i] = sums[i];
  const double waited = communicator_.allreduce(weights_->traffic().seconds_waited, Reduction::kSum);
  if (seconds_ > 0) report.wait_share = waited / (seconds_ * communicator_.size());
}

void MinibatchTrainer::Run::export_rows(embeddings::EmbeddingWriter* embedding, embeddings::EmbeddingWriter* outputs) {
  const Graph& slice = graph_.slice;
  std::vector<GlobalNode> own(slice.row_count());
  for (std::size_t i = 0; i < own.size(); ++i) own[i] = slice.first_node() + static_cast<GlobalNode>(i);
  tables_->export_results(
      directory_, [&](const auto& keep) { inference_->visit(state_.weights, own, keep); }, embedding, outputs);
}

MinibatchTrainer::MinibatchTrainer(cluster::Communicator& communicator, const DistributedGraph& graph,
                                   gnn::Network& network, const MinibatchData& data, MinibatchOptions options)
    : run_(std::make_unique<Run>(communicator, graph, network, data, std::move(options))) {}

MinibatchTrainer::~MinibatchTrainer() = default;

MinibatchReport MinibatchTrainer::train(const MinibatchProgress& progress, SnapshotKeeper* keeper,
                                        SnapshotReader* from) {
  return run_->train(progress, keeper, from);
}

const gnn::NetworkState& MinibatchTrainer::state() const {
  return run_->state();
}

void MinibatchTrainer::set_state(gnn::NetworkState state) {
  run_->state() = std::move(state);
}

MinibatchScores MinibatchTrainer::score(std::span<const GlobalNode> nodes) {
  return run_->score(nodes);
}

void MinibatchTrainer::export_rows(embeddings::EmbeddingWriter* embedding, embeddings::EmbeddingWriter* outputs) {
  run_->export_rows(embedding, outputs);
}

}  // namespace knotwork::worker
