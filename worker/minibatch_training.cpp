#include "worker/minibatch_training.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <functional>
#include <future>
#include <string>
#include <utility>

#include "partition/errors.h"
#include "partition/random.h"
#include "worker/exact_loss.h"
#include "worker/minibatch_tables.h"
#include "worker/network_snapshots.h"
#include "worker/node_census.h"
#include "worker/prediction_counts.h"
#include "worker/rank_arrays.h"
#include "worker/row_gradients.h"
#include "worker/sampled_batches.h"
#include "worker/seed_batches.h"

namespace knotwork::worker {

namespace gnn = embeddings::gnn;
using cluster::Reduction;
using partition::GlobalNode;
using partition::Graph;
using partition::InputError;
using partition::OriginalNode;
using partition::RandomPurpose;

namespace {

using Clock = std::chrono::steady_clock;

/// Negatives are drawn in proportion to degree^0.75 (Hamilton et al., section 3.2, as word2vec).
constexpr double kNegativeExponent = 0.75;
/// Words of kLinkSample: who the partner of a seed is, and which negatives a batch has.
constexpr std::uint32_t kPartnerDraw = 0;
constexpr std::uint32_t kNegativeDraw = 1;

double since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

/// Batches of inference need no randomness; any epoch will do.
constexpr std::uint32_t kNoEpoch = 0;

gnn::RowLabels labels_of(const MinibatchData& data, const Graph& slice, std::span<const GlobalNode> nodes) {
  gnn::RowLabels labels;
  for (std::uint32_t row = 0; row < nodes.size(); ++row) {
    const std::size_t local = nodes[row] - slice.first_node();
    const std::size_t first = data.label_offsets[local];
    const std::size_t last = data.label_offsets[local + 1];
    labels.rows.push_back(row);
    labels.labels.insert(labels.labels.end(), data.labels.begin() + static_cast<std::ptrdiff_t>(first),
                         data.labels.begin() + static_cast<std::ptrdiff_t>(last));
    labels.offsets.push_back(labels.labels.size());
  }
  return labels;
}

std::vector<GlobalNode> nodes_with_neighbours(const Graph& slice) {
  std::vector<GlobalNode> nodes;
  for (GlobalNode node = slice.first_node(); node < slice.last_node(); ++node) {
    if (slice.degree(node) > 0) nodes.push_back(node);
  }
  return nodes;
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
    tables_.emplace(communicator, graph, data, options_, network.embedding_columns());
    training_.emplace(communicator, graph, directory_,
                      embeddings::NeighbourSampleOptions{
                          .fan_outs = options_.fan_outs, .seed = options_.seed, .threads = tables_->helpers()},
                      network.normalisation());
    inference_.emplace(
        communicator, graph, directory_,
        embeddings::NeighbourSampleOptions{
            .fan_outs = std::vector(options_.fan_outs.size(), embeddings::kAllNeighbours), .threads = options_.threads},
        network.normalisation());
  }

  MinibatchReport train(const MinibatchProgress& progress, SnapshotKeeper* keeper, SnapshotReader* from);
  MinibatchScores score(std::span<const GlobalNode> nodes);
  void export_rows(embeddings::EmbeddingWriter* embedding, embeddings::EmbeddingWriter* outputs);

  gnn::NetworkState& state() { return state_; }
  std::uint32_t embedding_columns() const { return network_.embedding_columns(); }

 private:
  bool learns_ids() const { return tables_->learns_ids(); }
  std::uint32_t input_columns() const { return tables_->input_columns(); }
  NodeRows& rows() { return tables_->rows(); }

  void choose_seeds(std::uint32_t batch_number, SampledBatch& batch);
  void add_pairs(std::uint32_t batch_number, SampledBatch& batch);
  void prepare(std::uint32_t batch_number, SampledBatch& batch);
  void train_batch(SampledBatch& batch, std::uint32_t size);
  double loss_of(const SampledBatch& batch, std::span<const float> outputs, std::span<float> by_outputs,
                 std::uint32_t size) const;
  void share_gradient();
  std::uint32_t go_on_from(NetworkPosition position, MinibatchReport& report);
  NetworkPosition position(std::uint32_t batches_done, const MinibatchReport& report) const;
  bool train_epoch(std::uint32_t first, const std::function<bool(std::uint32_t batches_done)>& look);
  void validate(MinibatchEpoch& epoch);
  bool train_epochs(NetworkSnapshots& snapshots, bool validates, const MinibatchProgress& progress,
                    MinibatchReport& report);
  template <typename Visit>
  void infer(std::span<const GlobalNode> nodes, Visit visit);
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
  std::optional<SampledBatches> inference_;
  std::optional<SeedBatches> seeds_;
  NodeCensus census_;                      // kLinks
  embeddings::NegativeSampler negatives_;  // kLinks

  std::uint32_t epoch_ = 0;
  double loss_sum_ = 0;  // This rank's, of an epoch's batches.
  BestNetwork best_;
  std::weak_ptr<FrozenRows> frozen_;  // Learnt rows that a snapshot is still to read, if there are any.
  NodeRowTraffic trained_;
  std::vector<float> by_weights_;
  std::vector<float> by_outputs_;
  std::vector<float> by_inputs_;
  std::vector<double> shared_;
  std::uint64_t arcs_ = 0;
  std::uint64_t gradient_bytes_ = 0;
  std::uint64_t weight_bytes_ = 0;
};

void MinibatchTrainer::Run::choose_seeds(std::uint32_t batch_number, SampledBatch& batch) {
  seeds_->own_seeds(epoch_, batch_number, batch.seeds);
  if (options_.goal == MinibatchGoal::kLinks) add_pairs(batch_number, batch);
}

/// The seeds' partners, then the negatives, which are the same on all ranks.
void MinibatchTrainer::Run::add_pairs(std::uint32_t batch_number, SampledBatch& batch) {
  const std::size_t heads = batch.seeds.size();
  if (heads == 0) return;
  for (std::size_t i = 0; i < heads; ++i) {
    const GlobalNode node = batch.seeds[i];
    const auto words = partition::random_block(options_.seed, RandomPurpose::kLinkSample, graph_.slice.original(node),
                                               epoch_, kPartnerDraw);
    const std::span<const GlobalNode> list = graph_.slice.neighbours(node);
    batch.seeds.push_back(list[partition::bounded(words[0], static_cast<std::uint32_t>(list.size()))]);
  }
  for (std::uint32_t i = 0; i < options_.negatives; ++i) {
    const auto words =
        partition::random_block(options_.seed, RandomPurpose::kLinkSample, batch_number, epoch_, kNegativeDraw, i);
    batch.seeds.push_back(census_.global[negatives_.sample(words[0], words[1])]);
  }
}

/// All that can be done while the batch before is trained. Collective where samples travel.
void MinibatchTrainer::Run::prepare(std::uint32_t batch_number, SampledBatch& batch) {
  choose_seeds(batch_number, batch);
  training_->make(epoch_, batch);
  if (!learns_ids()) rows().start(batch.nodes, batch.rows);
}

double MinibatchTrainer::Run::loss_of(const SampledBatch& batch, std::span<const float> outputs,
                                      std::span<float> by_outputs, std::uint32_t size) const {
  if (options_.goal == MinibatchGoal::kLabels) {
    const std::span<const GlobalNode> seeds(batch.nodes.data(), batch.output_rows);
    return gnn::label_loss(outputs, options_.output_columns, labels_of(data_, graph_.slice, seeds), options_.label_loss,
                           by_outputs, size);
  }
  const std::size_t heads = (batch.seeds.size() - options_.negatives) / 2;
  const auto rows = [&](std::size_t first, std::size_t count) {
    const auto begin = batch.seed_rows.begin() + static_cast<std::ptrdiff_t>(first);
    return std::vector<std::uint32_t>(begin, begin + static_cast<std::ptrdiff_t>(count));
  };
  const gnn::LinkSample sample{.heads = rows(0, heads),
                               .tails = rows(heads, heads),
                               .negatives = rows(2 * heads, options_.negatives),
                               .negative_weight = options_.negative_weight};
  return gnn::link_loss(outputs, options_.output_columns, sample, by_outputs, size);
}

/// Collective: the sum over ranks.
void MinibatchTrainer::Run::share_gradient() {
  if (communicator_.size() == 1) return;
  shared_.assign(by_weights_.begin(), by_weights_.end());
  communicator_.allreduce(shared_, Reduction::kSum);
  std::ranges::transform(shared_, by_weights_.begin(), [](double value) { return static_cast<float>(value); });
  weight_bytes_ += shared_.size() * sizeof(double);
}

/// Collective. `size`: seeds of all ranks.
void MinibatchTrainer::Run::train_batch(SampledBatch& batch, std::uint32_t size) {
  if (learns_ids()) rows().start(batch.nodes, batch.rows);
  rows().finish(batch.rows);
  by_weights_.assign(state_.weights.size(), 0);
  by_inputs_.clear();
  if (!batch.seeds.empty()) {
    const gnn::Batch view = batch.view(input_columns());
    const gnn::Rows found = network_.forward(
        state_.weights, view,
        {.training = true, .step = static_cast<std::uint32_t>(state_.steps), .derives_inputs = learns_ids()});
    by_outputs_.assign(found.outputs.size(), 0);
    // The mean over this rank's seeds or over all: the loss function divides by what it is told.
    // A snapshot may come between any two batches, and the job go on with other ranks.
    loss_sum_ += exact_loss(loss_of(batch, found.outputs, by_outputs_, size) * size);
    if (learns_ids()) by_inputs_.resize(batch.rows.values.size());
    network_.backward(by_outputs_, by_weights_, by_inputs_);
    arcs_ += batch.arc_count();
  }
  share_gradient();
  gnn::adam_step(network_.parameters(), by_weights_, options_.adam, state_);
  if (!learns_ids()) return;
  const std::span<const GlobalNode> nodes = by_inputs_.empty() ? std::span<const GlobalNode>() : batch.nodes;
  gradient_bytes_ += apply_row_gradients(communicator_, graph_.rank_bounds, tables_->inputs(), nodes, by_inputs_,
                                         static_cast<float>(options_.adam.learning_rate), frozen_.lock().get())
                         .bytes;
  communicator_.barrier();
}

/// Batches `first` and behind. `look` is called between two of them; false ends training, and so does this.
bool MinibatchTrainer::Run::train_epoch(std::uint32_t first, const std::function<bool(std::uint32_t)>& look) {
  SampledBatch batches[2];
  if (first == 0) loss_sum_ = 0;
  prepare(first, batches[first % 2]);
  std::future<void> next;
  for (std::uint32_t number = first; number < seeds_->count(); ++number) {
    SampledBatch& batch = batches[number % 2];
    SampledBatch& coming = batches[(number + 1) % 2];
    if (number + 1 < seeds_->count()) {
      // Where nobody needs to be asked, on a thread of its own; MPI is this thread's.
      if (training_->is_local() && !learns_ids()) {
        next = std::async(std::launch::async, [this, number, &coming] { prepare(number + 1, coming); });
      } else {
        prepare(number + 1, coming);
      }
    }
    train_batch(batch, seeds_->size_of(number));
    if (next.valid()) next.get();
    if (number + 1 < seeds_->count() && !look(number + 1)) {
      rows().cancel(coming.rows);
      return false;
    }
  }
  return true;
}

template <typename Visit>
void MinibatchTrainer::Run::infer(std::span<const GlobalNode> nodes, Visit visit) {
  const std::size_t size = options_.inference_batch;
  const std::uint64_t own = (nodes.size() + size - 1) / size;
  const std::uint64_t count = communicator_.allreduce(own, Reduction::kMax);
  SampledBatch batch;
  for (std::uint64_t number = 0; number < count; ++number) {
    const std::size_t first = std::min(number * size, nodes.size());
    const std::size_t last = std::min(first + size, nodes.size());
    batch.seeds.assign(nodes.begin() + static_cast<std::ptrdiff_t>(first),
                       nodes.begin() + static_cast<std::ptrdiff_t>(last));
    inference_->make(kNoEpoch, batch);
    if (batch.seeds.empty()) continue;
    rows().start(batch.nodes, batch.rows);
    rows().finish(batch.rows);
    const gnn::Rows found = network_.forward(state_.weights, batch.view(input_columns()), {});
    for (std::size_t row = 0; row < batch.output_rows; ++row) {
      visit(batch.nodes[row], found.outputs.subspan(row * options_.output_columns, options_.output_columns),
            found.embedding.subspan(row * embedding_columns(), embedding_columns()));
    }
  }
}

MinibatchScores MinibatchTrainer::Run::score(std::span<const GlobalNode> nodes) {
  PredictionCounts counts(options_.output_columns, options_.label_loss);
  double loss = 0;
  infer(nodes, [&](GlobalNode node, std::span<const float> outputs, std::span<const float> /*embedding*/) {
    const gnn::RowLabels labels = labels_of(data_, graph_.slice, std::span(&node, 1));
    counts.add(outputs, labels.of(0));
    loss += gnn::label_loss(outputs, outputs.size(), labels, options_.label_loss, {});
  });
  const auto all = static_cast<double>(communicator_.allreduce(std::uint64_t{nodes.size()}, Reduction::kSum));
  loss = communicator_.allreduce(loss, Reduction::kSum);
  return {.labels = counts.scores(communicator_), .loss = all > 0 ? loss / all : 0};
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
  if (epoch_ >= options_.epochs || position.batches_done >= seeds_->count()) {
    throw InputError("the snapshot is damaged: it has " + std::to_string(epoch_) + " epochs and " +
                     std::to_string(position.batches_done) + " batches behind it, of " +
                     std::to_string(options_.epochs) + " and " + std::to_string(seeds_->count()));
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
  const auto look = [&](std::uint32_t batches_done) {
    const bool goes_on = snapshots.look(true, [&] { return position(batches_done, report); });
    frozen_ = snapshots.frozen();
    return goes_on;
  };
  for (; epoch_ < options_.epochs; ++epoch_) {
    if (first == 0 && !look(0)) return false;
    const NodeRowTraffic at_start = rows().traffic();
    const auto start = Clock::now();
    if (!train_epoch(std::exchange(first, 0), look)) return false;
    MinibatchEpoch epoch{.epoch = epoch_, .seconds = communicator_.allreduce(since(start), Reduction::kMax)};
    epoch.loss = communicator_.allreduce(loss_sum_, Reduction::kSum) / seeds_->seed_count();
    trained_ += rows().traffic() - at_start;
    report.seconds += epoch.seconds;
    if (validates) validate(epoch);
    report.epochs.push_back(epoch);
    if (progress) progress(epoch);
    if (validates && options_.patience > 0 && epoch_ + 1 - best_.epoch >= options_.patience) break;
  }
  return true;
}

MinibatchReport MinibatchTrainer::Run::train(const MinibatchProgress& progress, SnapshotKeeper* keeper,
                                             SnapshotReader* from) {
  const bool has_labels = options_.goal == MinibatchGoal::kLabels;
  const std::vector<GlobalNode> seeds = has_labels ? data_.train : nodes_with_neighbours(graph_.slice);
  seeds_.emplace(communicator_, graph_.slice, seeds, options_.batch, options_.seed);
  if (seeds_->seed_count() == 0) throw InputError("nothing to train on: no node has a label of the training split");
  if (!has_labels) {
    census_ = take_census(communicator_, graph_.slice, false);
    negatives_ = census_.sampler(kNegativeExponent);
  }
  tables_->fill_cache(seeds);
  const bool validates =
      has_labels && communicator_.allreduce(std::uint64_t{data_.validation.size()}, Reduction::kSum) > 0;
  MinibatchReport report;
  best_ = {};
  trained_ = {};
  const NodeRowTraffic before = rows().traffic();
  NetworkSnapshots snapshots(communicator_, keeper, from,
                             {.nodes = graph_.slice.arrays().original, .bounds = graph_.rank_bounds});
  if (learns_ids()) snapshots.add_rows(tables_->inputs());
  report.stopped = !train_epochs(snapshots, validates, progress, report);
  report.last_snapshot_is_whole = snapshots.finish();
  if (validates && !report.stopped) {
    state_.weights = std::move(best_.weights);
    report.best_epoch = best_.epoch - 1;
  } else if (!report.epochs.empty()) {
    report.best_epoch = static_cast<std::uint32_t>(report.epochs.size()) - 1;
  }
  report.seeds = std::uint64_t{seeds_->seed_count()} * report.epochs.size();
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
  report.weight_bytes = weight_bytes_;
  std::uint64_t* const figures[] = {
      &report.arcs,       &report.input_rows,  &report.rows_cached,  &report.rows_pulled,    &report.row_bytes,
      &report.cache_rows, &report.cache_bytes, &report.sample_bytes, &report.gradient_bytes, &report.weight_bytes};
  std::vector<std::uint64_t> sums;
  for (const std::uint64_t* figure : figures) sums.push_back(*figure);
  communicator_.allreduce(sums, Reduction::kSum);
  for (std::size_t i = 0; i < sums.size(); ++i) *figures[i] = sums[i];
}

void MinibatchTrainer::Run::export_rows(embeddings::EmbeddingWriter* embedding, embeddings::EmbeddingWriter* outputs) {
  const Graph& slice = graph_.slice;
  std::vector<GlobalNode> own(slice.row_count());
  for (std::size_t i = 0; i < own.size(); ++i) own[i] = slice.first_node() + static_cast<GlobalNode>(i);
  tables_->export_results(
      directory_, [&](const auto& keep) { infer(own, keep); }, embedding, outputs);
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
