#include "worker/ppr.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <chrono>
#include <cmath>
#include <memory>
#include <string>

#include "worker/ordered_tasks.h"

namespace knotwork::worker {

using embeddings::PprResult;
using partition::GlobalNode;
using Clock = std::chrono::steady_clock;

namespace {

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

/// Durations in bins that grow by 2 %, from a microsecond on.
class Durations {
 public:
  void add(double seconds) { ++bins_[bin_of(seconds)]; }
  void merge(const Durations& other) {
    for (std::size_t i = 0; i < bins_.size(); ++i) bins_[i] += other.bins_[i];
  }
  void sum_over(cluster::Communicator& communicator) { communicator.allreduce(bins_, cluster::Reduction::kSum); }
  /// Milliseconds that a share of all durations does not pass.
  double percentile(double share) const {
    std::uint64_t all = 0;
    for (const std::uint64_t count : bins_) all += count;
    std::uint64_t seen = 0;
    for (std::size_t i = 0; i < bins_.size(); ++i) {
      seen += bins_[i];
      if (all > 0 && static_cast<double>(seen) >= share * static_cast<double>(all)) {
        return 1e3 * kFirst * std::pow(kGrowth, static_cast<double>(i));
      }
    }
    return 0;
  }

 private:
  static constexpr double kFirst = 1e-6;
  static constexpr double kGrowth = 1.02;
  static std::size_t bin_of(double seconds) {
    const double bin = std::ceil(std::log(std::max(seconds, kFirst) / kFirst) / std::log(kGrowth));
    return std::min<std::size_t>(static_cast<std::size_t>(bin), kBins - 1);
  }
  static constexpr std::size_t kBins = 1200;  // up to six hours
  std::array<std::uint64_t, kBins> bins_{};
};

/// One thread's solver and figures.
struct PprThread {
  std::unique_ptr<embeddings::PprPowerSolver> power;
  std::unique_ptr<embeddings::PprQuery> query;
  Durations durations;
  std::uint64_t lines = 0;
};

void append_score(float score, std::string& text) {
  std::array<char, 32> digits;
  const auto end = std::to_chars(digits.data(), digits.data() + digits.size(), score).ptr;
  text.append(digits.data(), end);
}

/// Makes the lines of batches of sources.
class PprWriter {
 public:
  PprWriter(const PprJob& job, const PprOptions& options)
      : job_(job), options_(options), threads_(options.threads), bounds_(job.sources.size(), 0.0) {}

  std::string lines_of(unsigned thread, std::uint64_t batch) {
    PprThread& own = threads_[thread];
    const std::size_t first = batch * embeddings::kPprLanes;
    const auto sources = job_.sources.subspan(first, std::min(embeddings::kPprLanes, job_.sources.size() - first));
    std::string text;
    const auto add = [&](std::size_t i, const PprResult& result) {
      bounds_[first + i] = result.l1_bound;
      own.lines += result.top.size();
      append(sources[i], result, text);
    };
    if (options_.method == PprMethod::kPower) {
      if (!own.power) own.power = std::make_unique<embeddings::PprPowerSolver>(job_.graph, options_.power);
      const auto start = Clock::now();
      const std::vector<PprResult> results = own.power->solve(sources);
      own.durations.add(seconds_since(start));
      for (std::size_t i = 0; i < sources.size(); ++i) add(i, results[i]);
      return text;
    }
    if (!own.query) own.query = std::make_unique<embeddings::PprQuery>(*job_.walker, job_.index, options_.query);
    for (std::size_t i = 0; i < sources.size(); ++i) {
      const auto start = Clock::now();
      const PprResult result = own.query->solve(sources[i]);
      own.durations.add(seconds_since(start));
      add(i, result);
    }
    return text;
  }

  /// Collective.
  PprReport report(cluster::Communicator& communicator, double seconds) const {
    PprReport report{.sources = job_.sources.size(), .seconds = seconds};
    Durations durations;
    std::array<std::uint64_t, 4> sums{};
    for (const PprThread& thread : threads_) {
      durations.merge(thread.durations);
      sums[0] += thread.lines;
      if (thread.power) sums[1] += thread.power->sweeps();
      if (thread.query) sums[2] += thread.query->counters().pushed_arcs;
      if (thread.query) sums[3] += thread.query->counters().walks;
    }
    durations.sum_over(communicator);
    communicator.allreduce(sums, cluster::Reduction::kSum);
    report.l1_bounds = bounds_;  // those of other ranks' sources are 0 here
    communicator.allreduce(report.l1_bounds, cluster::Reduction::kSum);
    for (const double bound : report.l1_bounds) {
      report.l1_bound_max = std::max(report.l1_bound_max, bound);
      report.l1_bound_mean += bound / static_cast<double>(report.sources);
    }
    report.lines = sums[0];
    report.sweeps = sums[1];
    report.pushed_arcs = sums[2];
    report.walks = sums[3];
    report.milliseconds_p50 = durations.percentile(0.5);
    report.milliseconds_p99 = durations.percentile(0.99);
    return report;
  }

 private:
  void append(GlobalNode source, const PprResult& result, std::string& text) const {
    std::string prefix;
    job_.names.append_name(job_.graph.out().original(source), prefix);
    prefix += '\t';
    for (const embeddings::ScoredNode& scored : result.top) {
      text += prefix;
      job_.names.append_name(scored.node, text);
      text += '\t';
      append_score(scored.score, text);
      text += '\n';
    }
  }

  const PprJob& job_;
  const PprOptions& options_;
  std::vector<PprThread> threads_;
  std::vector<double> bounds_;  // a thread writes those of its own sources
};

}  // namespace

PprReport run_ppr(cluster::Communicator& communicator, const PprJob& job, const PprOptions& options,
                  const std::function<void(std::string_view)>& take,
                  const std::function<void(std::uint64_t)>& progress) {
  const auto start = Clock::now();
  PprWriter writer(job, options);
  const std::uint64_t batches = (job.sources.size() + embeddings::kPprLanes - 1) / embeddings::kPprLanes;
  std::uint64_t written = 0;
  make_in_order(
      communicator, options.threads, batches,
      [&](unsigned thread, std::uint64_t batch) { return writer.lines_of(thread, batch); },
      [&](std::string_view lines) {
        take(lines);
        written = std::min<std::uint64_t>(written + embeddings::kPprLanes, job.sources.size());
        if (progress) progress(written);
      });
  communicator.barrier();
  return writer.report(communicator, seconds_since(start));
}

}  // namespace knotwork::worker
