// How a training fares, while it runs and at its end: Trainer's figures, of this rank and of the job.
#include <algorithm>
#include <atomic>
#include <mutex>
#include <optional>
#include <span>
#include <vector>

#include "worker/training_state.h"

namespace knotwork::worker {

namespace {

/// What rank 0's figures say besides its own.
std::optional<SlowestRank> slowest_in(std::span<const double> told) {
  const std::size_t own = numbers_of({}).size();
  if (told.size() < own + 3) return std::nullopt;
  return SlowestRank{
      .rank = static_cast<cluster::Rank>(told[own]), .batches = told[own + 1], .batches_of_fastest = told[own + 2]};
}

}  // namespace

RankFigures Trainer::State::figures() const {
  RankFigures out;
  const CourierMeter& courier = meter.courier;
  const auto number = [](const std::atomic<std::uint64_t>& count) {
    return static_cast<double>(count.load(std::memory_order_relaxed));
  };
  out.waited_seconds = meter.waited_seconds.load(std::memory_order_relaxed);
  out.batches = number(courier.batches);
  out.uses = number(courier.uses);
  out.remote_uses = number(courier.remote_uses);
  out.rows_pulled = number(courier.rows_pulled);
  out.rows_pushed = number(courier.rows_pushed);
  out.bytes_received = number(courier.bytes_received);
  out.bytes_sent = number(courier.bytes_sent);
  out.walker_bytes = number(meter.walker_bytes);
  out.replicas = number(courier.replicas);
  out.replicas_evicted = number(courier.replicas_evicted);
  out.staleness = number(courier.staleness);
  out.staleness_max = number(courier.staleness_max);
  out.threads = options.threads;
  const std::scoped_lock lock(clock_mutex);
  if (!running_clock) return out;
  const TrainingProgress done = running_clock->totals();
  out.work = static_cast<double>(std::min(running_clock->work(), running_clock->total_work()));
  out.work_in_all = serves_only() ? 0 : static_cast<double>(running_clock->total_work());
  out.seconds = trained_seconds.value_or(done.seconds);
  out.words = static_cast<double>(done.words);
  out.pairs = static_cast<double>(done.pairs);
  for (const TrainingClock::LossBin& bin : running_clock->loss_curve()) {
    out.loss_sum += bin.sum;
    out.loss_pairs += bin.pairs;
  }
  return out;
}

/// A twentieth of a small job may have been too short to take a loss from.
Trainer::State::Losses Trainer::State::losses_of_job(const TrainingClock& clock) {
  std::vector<double> sums;
  for (const TrainingClock::LossBin& bin : clock.loss_curve()) sums.insert(sums.end(), {bin.sum, bin.pairs});
  communicator.allreduce(sums, cluster::Reduction::kSum);
  Losses losses;
  for (std::size_t i = 0; i < sums.size(); i += 2) {
    if (sums[i + 1] == 0) continue;
    losses.last = sums[i] / sums[i + 1];
    if (losses.pairs == 0) losses.first = losses.last;
    losses.pairs += static_cast<std::uint64_t>(sums[i + 1]);
  }
  return losses;
}

TrainingReport Trainer::State::report(const TrainingClock& clock) {
  const TrainingProgress done = clock.totals();
  const RowTraffic& rows = costs.rows;
  std::vector<double> sums;
  for (const std::uint64_t figure :
       {done.words, done.pairs, rows.rows_pulled, rows.rows_pushed, rows.bytes_received, rows.bytes_sent, rows.uses,
        rows.remote_uses, costs.walkers.walkers_sent, costs.walkers.bytes_sent}) {
    sums.push_back(static_cast<double>(figure));
  }
  const std::size_t others = sums.size();
  const CourierMeter& courier = meter.courier;
  for (const CourierMeter::Count* count : {&courier.batches, &courier.replicas, &courier.replicas_evicted})
    sums.push_back(static_cast<double>(count->load()));
  sums.push_back(serves_only() ? 0 : costs.waited_seconds);
  sums.push_back(serves_only() ? 0 : done.seconds * options.threads);
  communicator.allreduce(sums, cluster::Reduction::kSum);
  const std::uint64_t staleness_max = communicator.allreduce(courier.staleness_max.load(), cluster::Reduction::kMax);
  const Losses losses = losses_of_job(clock);
  const auto share = [&](std::size_t part, std::size_t whole) {
    return sums[whole] > 0 ? sums[part] / sums[whole] : 0;
  };
  const auto total = [&](std::size_t i) { return static_cast<std::uint64_t>(sums[i]); };
  return {.words = total(0),
          .pairs = total(1),
          .seconds = done.seconds,
          .loss_pairs = losses.pairs,
          .loss_first = losses.first,
          .loss = losses.last,
          .rows_pulled = total(2),
          .rows_pushed = total(3),
          .bytes_received = total(4),
          .bytes_sent = total(5),
          .row_uses = total(6),
          .remote_share = share(7, 6),
          .wait_share = share(others + 3, others + 4),
          .walkers_sent = total(8),
          .walker_bytes = total(9),
          .batches = total(others),
          .replicas = total(others + 1),
          .replicas_evicted = total(others + 2),
          .staleness_max = staleness_max,
          .shares_memory = shares_rows};
}

RankFigures Trainer::figures() const {
  return state_->figures();
}

JobFigures Trainer::job_figures() const {
  const cluster::Communicator& communicator = state_->communicator;
  std::vector<std::optional<RankFigures>> ranks(static_cast<std::size_t>(communicator.size()));
  const auto own = static_cast<std::size_t>(communicator.rank());
  ranks[own] = figures();
  if (communicator.is_root()) {
    for (std::size_t rank = 1; rank < ranks.size(); ++rank) {
      ranks[rank] = worker::figures_of(communicator.figures_of(static_cast<cluster::Rank>(rank)));
    }
    return sum_of(ranks);
  }
  JobFigures job = sum_of(ranks);
  const std::vector<double> told = communicator.figures_of(0);
  if (const auto slowest = slowest_in(told)) job.slowest = *slowest;
  return job;
}

RowServiceFigures Trainer::row_service(std::size_t hot_rows) const {
  RowServiceFigures out;
  const ps::ClientMeter& meter = state_->servers->meter();
  out.pulls = meter.pulls.counts();
  out.pushes = meter.pushes.counts();
  out.client_bytes_sent = meter.bytes_sent;
  out.client_bytes_received = meter.bytes_received;
  out.resent = meter.resent;
  if (const ps::Server* server = state_->servers->own()) {
    out.server = server->counters();
    out.hot_rows = server->hottest_rows(hot_rows);
  }
  for (std::size_t t = 0; t < state_->shard.table_count(); ++t) {
    out.table_names.push_back(state_->shard.table(static_cast<ps::TableIndex>(t)).spec().name);
  }
  return out;
}

}  // namespace knotwork::worker
