#include "worker/served_weights.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <numeric>
#include <utility>

#include "cluster/polite_wait.h"
#include "worker/model_tables.h"

namespace knotwork::worker {

namespace gnn = embeddings::gnn;

namespace {

std::uint64_t row_count(std::size_t weights) {
  return (weights + kWeightColumns - 1) / kWeightColumns;
}

}  // namespace

double served_learning_rate(double of_batches, int ranks) {
  return of_batches / std::sqrt(ranks);
}

WeightTables add_weight_tables(ps::Shard& shard, std::size_t count, const gnn::AdamOptions& adam, int rank, int ranks) {
  const std::uint64_t rows = row_count(count);
  const auto bound = [&](int of) { return rows * static_cast<std::uint64_t>(of) / static_cast<std::uint64_t>(ranks); };
  const ps::TableIndex weights = shard.add_table({.name = "weights",
                                                  .row_count = rows,
                                                  .dim = kWeightColumns,
                                                  .optimizer = {.kind = ps::OptimizerKind::kAdam,
                                                                .epsilon = static_cast<float>(adam.epsilon),
                                                                .beta1 = static_cast<float>(adam.beta1),
                                                                .beta2 = static_cast<float>(adam.beta2)}},
                                                 {bound(rank), bound(rank + 1)});
  return {.weights = weights,
          .clocks = {.table = add_clock_table(shard, "clocks", rank, ranks),
                     .rank = static_cast<std::uint32_t>(rank),
                     .ranks = static_cast<std::uint32_t>(ranks)}};
}

ServedWeights::ServedWeights(cluster::Communicator& communicator, std::unique_ptr<ps::Client> client, ps::Table& own,
                             const WeightTables& tables, std::span<const gnn::Parameter> parameters,
                             const gnn::AdamOptions& adam, const Consistency& consistency, gnn::NetworkState& state)
    : DenseWeights(state),
      communicator_(communicator),
      client_(std::move(client)),
      own_(own),
      tables_(tables),
      parameters_(parameters),
      adam_(adam),
      learning_rate_(static_cast<float>(served_learning_rate(adam.learning_rate, communicator.size()))),
      consistency_(consistency),
      clocks_(*client_, tables.clocks),
      rows_(own.spec().row_count),
      gradients_(rows_.size() * kWeightColumns),
      arrived_(gradients_.size()) {
  std::iota(rows_.begin(), rows_.end(), ps::RowIndex{0});
}

ServedWeights::~ServedWeights() {
  if (is_under_way_) client_->cancel(ticket_);
}

/// A row's steps are those of all ranks, the state's are batches: so a training may go on with other ranks, or with
/// bsp.
void ServedWeights::begin() {
  const auto steps = static_cast<float>(state_.steps * static_cast<std::uint64_t>(communicator_.size()));
  const auto copy = [](const std::vector<float>& from, std::size_t first, float* to) {
    const std::size_t count = std::min<std::size_t>(kWeightColumns, from.size() - first);
    std::copy_n(from.begin() + static_cast<std::ptrdiff_t>(first), count, to);
  };
  for (ps::RowIndex row = own_.range().first; row < own_.range().last; ++row) {
    const std::size_t first = row * kWeightColumns;
    float* const moments = own_.state() + (row - own_.range().first) * own_.state_width();
    copy(state_.weights, first, own_.row(row));
    copy(state_.first_moments, first, moments);
    copy(state_.second_moments, first, moments + kWeightColumns);
    moments[2 * kWeightColumns] = steps;
  }
  communicator_.barrier();
}

void ServedWeights::take() {
  const auto start = std::chrono::steady_clock::now();
  finish_pull();
  if (wait_for_slower_ranks()) pull_weights();
  take_arrived();
  traffic_.seconds_waited += std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

/// The answer to a push says that it is in its table: the clock may tell.
void ServedWeights::finish_pull() {
  if (!std::exchange(is_under_way_, false)) return;
  client_->wait(ticket_);
  has_new_weights_ = true;
  clocks_.publish(batches_);
}

/// Returns whether clocks were asked: weights that came before don't have all that the clocks speak of.
bool ServedWeights::wait_for_slower_ranks() {
  const auto is_near_enough = [&] { return batches_ <= clocks_.least() + *consistency_.staleness; };
  if (!consistency_.bounded || is_near_enough()) return false;
  cluster::PoliteWait wait;
  for (clocks_.ask(); !is_near_enough(); clocks_.ask()) wait.pause();
  return true;
}

void ServedWeights::pull_weights() {
  client_->pull(tables_.weights, rows_, arrived_);
  traffic_.bytes += bytes_of_rows(false);
  has_new_weights_ = true;
}

void ServedWeights::take_arrived() {
  if (!std::exchange(has_new_weights_, false)) return;
  std::copy_n(arrived_.begin(), state_.weights.size(), state_.weights.begin());
}

void ServedWeights::step(std::span<float> gradient) {
  // As if this rank's seeds were the whole batch: the mean over ranks is the batch's gradient.
  for (float& value : gradient) value *= static_cast<float>(communicator_.size());
  gnn::add_weight_decay(parameters_, state_.weights, adam_, gradient);
  std::ranges::copy(gradient, gradients_.begin());  // What fills the last row stays zero.
  ticket_ =
      client_->start_push_pull(tables_.weights, rows_, gradients_, arrived_, ps::PushKind::kGradient, learning_rate_);
  is_under_way_ = true;
  ++batches_;
  traffic_.bytes += bytes_of_rows(true);
}

void ServedWeights::meet() {
  finish_pull();
  has_new_weights_ = false;
  communicator_.barrier();
  const std::size_t width = client_->wire_width(tables_.weights, true);
  std::vector<float> rows(rows_.size() * width);
  client_->pull(tables_.weights, rows_, rows, true);
  const std::uint64_t remote = rows_.size() - own_.range().size();
  traffic_.bytes += remote * (sizeof(ps::RowIndex) + client_->row_bytes(tables_.weights, true));
  for (std::size_t row = 0; row < rows_.size(); ++row) {
    const std::size_t first = row * kWeightColumns;
    const std::size_t count = std::min<std::size_t>(kWeightColumns, state_.weights.size() - first);
    const float* from = rows.data() + row * width;
    for (std::vector<float>* part : {&state_.weights, &state_.first_moments, &state_.second_moments}) {
      std::copy_n(from, count, part->begin() + static_cast<std::ptrdiff_t>(first));
      from += kWeightColumns;
    }
    state_.steps = static_cast<std::uint64_t>(std::lround(*from / static_cast<float>(communicator_.size())));
  }
  communicator_.barrier();  // Nobody steps on while others still pull.
}

/// Of all rows that lie with other ranks: numbers, and values there or both ways.
std::uint64_t ServedWeights::bytes_of_rows(bool both_ways) const {
  const std::uint64_t remote = rows_.size() - own_.range().size();
  return remote * (sizeof(ps::RowIndex) + client_->row_bytes(tables_.weights) * (both_ways ? 2 : 1));
}

}  // namespace knotwork::worker
