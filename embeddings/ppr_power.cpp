#include "embeddings/ppr_power.h"

#include <algorithm>
#include <stdexcept>
#include <string>

#include "partition/errors.h"

namespace knotwork::embeddings {

namespace {

// A sum of float scores can be off by about this much, so no smaller distance to the exact scores can be told.
constexpr double kRounding = 2e-6;

const PprPowerOptions& checked(const PprPowerOptions& options) {
  if (!(options.restart > 0 && options.restart < 1)) {
    throw partition::InputError("restart must be a probability above 0 and below 1, found " +
                                std::to_string(options.restart));
  }
  if (!(options.error >= 1e-5 && options.error < 1)) {
    throw partition::InputError("error must be from 1e-5 (scores are float32) to below 1, found " +
                                std::to_string(options.error));
  }
  return options;
}

}  // namespace

PprPowerSolver::PprPowerSolver(const TransitionGraph& graph, const PprPowerOptions& options)
    : graph_(graph),
      options_(checked(options)),
      values_(std::size_t{graph.node_count()} * kPprLanes),
      best_(options.top) {}

void PprPowerSolver::begin(std::span<const GlobalNode> sources) {
  if (sources.size() > kPprLanes) throw std::invalid_argument("a batch has at most 16 sources");
  sources_.assign(sources.begin(), sources.end());
  std::ranges::fill(values_, 0.0F);
  dangling_mass_.fill(0);
  injections_.clear();
  for (const GlobalNode source : sources) {
    const auto has = [&](const PprInjection& injection) { return injection.node == source; };
    if (std::ranges::none_of(injections_, has)) injections_.push_back({source, {}});
  }
  std::ranges::sort(injections_, {}, &PprInjection::node);
}

void PprPowerSolver::sweep() {
  for (PprInjection& injection : injections_) {
    for (std::size_t lane = 0; lane < sources_.size(); ++lane) {
      if (sources_[lane] != injection.node) continue;
      const double score = options_.restart + (1 - options_.restart) * dangling_mass_[lane];
      injection.scores[lane] = static_cast<float>(score);
    }
  }
  const Graph& in = graph_.in();
  const PprSweep arrays{.in_offsets = in.arrays().offsets.data(),
                        .in_sources = in.arrays().targets.data(),
                        .arc_count = in.arrays().targets.size(),
                        .in_weights = graph_.weighted() ? in.arrays().weights.data() : nullptr,
                        .inverse_strengths = graph_.inverse_strengths().data(),
                        .values = values_.data(),
                        .damping = static_cast<float>(1 - options_.restart)};
  mass_.fill(0);
  ppr_sweep_all(arrays, graph_.node_count(), injections_, mass_);
  sum_dangling();
  ++sweeps_;
}

void PprPowerSolver::sum_dangling() {
  dangling_mass_.fill(0);
  for (const GlobalNode node : graph_.dangling()) {
    const float* const row = values_.data() + std::size_t{node} * kPprLanes;
    for (std::size_t lane = 0; lane < kPprLanes; ++lane) dangling_mass_[lane] += row[lane];
  }
}

std::vector<PprResult> PprPowerSolver::solve(std::span<const GlobalNode> sources) {
  begin(sources);
  std::vector<PprResult> results(sources.size());
  std::array<bool, kPprLanes> done{};
  std::size_t left = sources.size();
  const auto finish = [&](std::size_t lane, double error) {
    results[lane].l1_bound = error;
    done[lane] = true;
    --left;
  };
  for (std::size_t lane = 0; lane < sources.size(); ++lane) {
    if (!graph_.is_dangling(sources[lane])) continue;
    results[lane].top = {{graph_.out().original(sources[lane]), 1.0F}};  // a walk never gets away
    if (options_.top == 0) results[lane].top.clear();
    finish(lane, 0);
  }
  while (left > 0) {
    sweep();
    for (std::size_t lane = 0; lane < sources.size(); ++lane) {
      const double error = std::max(0.0, 1 - mass_[lane]) + kRounding;
      if (done[lane] || error > options_.error) continue;
      results[lane].top = best_of(lane);
      finish(lane, error);
    }
  }
  return results;
}

std::vector<ScoredNode> PprPowerSolver::best_of(std::size_t lane) {
  for (GlobalNode node = 0; node < graph_.node_count(); ++node) {
    const auto value = static_cast<float>(score(lane, node));
    if (best_.wants(value)) best_.offer(graph_.out().original(node), value);
  }
  return best_.take();
}

double PprPowerSolver::score(std::size_t lane, GlobalNode node) const {
  return values_[std::size_t{node} * kPprLanes + lane] * graph_.strengths()[node];
}

}  // namespace knotwork::embeddings
