#include "embeddings/ppr_query.h"

#include <algorithm>
#include <cmath>
#include <string>

#include "partition/errors.h"

namespace knotwork::embeddings {

namespace {

/// sqrt(2 ln 100): with weights w, the sum of errors passes its mean by more than this times sqrt(sum of w^2) in at
/// most 1 % of draws; once for the sum itself, and once for the estimate of its mean.
constexpr double kMargin = 2 * 3.0349;
/// Reads from memory that are asked for ahead of their use.
constexpr std::size_t kAhead = 16;
/// Of float sums.
constexpr double kRounding = 1e-5;

}  // namespace

PprQuery::PprQuery(const FingerprintWalker& walker, const FingerprintIndex* index, const PprQueryOptions& options)
    : walker_(walker),
      index_(index),
      options_(options),
      walks_wanted_(walker.walks_per_arc() / options.threshold),
      cells_(walker.graph().node_count()),
      residuals_(walker.graph().node_count()),
      best_(options.top) {
  if (!(options.threshold > 0 && options.threshold < 1)) {
    throw partition::InputError("threshold must be above 0 and below 1, found " + std::to_string(options.threshold));
  }
  for (GlobalNode node = 0; node < walker.graph().node_count(); ++node) {
    residuals_[node].most = static_cast<float>(options.threshold * walker.graph().out().degree(node));
  }
}

PprResult PprQuery::solve(GlobalNode source) {
  reset();
  if (walker_.graph().is_dangling(source)) {
    touch(source);
    cells_[source].score = 1;
    return {.top = {{walker_.graph().out().original(source), 1.0F}}, .l1_bound = 0};
  }
  push(source);
  add_walks();
  return finish();
}

void PprQuery::reset() {
  for (const GlobalNode node : touched_cells_) cells_[node] = {};
  for (const GlobalNode node : touched_residuals_) residuals_[node].value = 0;
  touched_cells_.clear();
  touched_residuals_.clear();
  returned_ = 0;
  walk_squares_ = 0;
  scale_ = 1;
}

void PprQuery::touch(GlobalNode node) {
  if (cells_[node].score == 0) touched_cells_.push_back(node);
}

/// A queue in rounds: a node is in it once, from when its residual passes its threshold until it is pushed.
void PprQuery::push(GlobalNode source) {
  const auto restart = static_cast<float>(walker_.options().restart);
  residuals_[source].value = 1;
  touched_residuals_.push_back(source);
  queue_.assign(1, source);
  for (std::size_t next = 0; next < queue_.size(); ++next) {
    const GlobalNode node = queue_[next];
    const float residual = residuals_[node].value;
    residuals_[node].value = 0;
    touch(node);
    cells_[node].score += restart * residual;
    spread(node, residual - restart * residual);
  }
}

void PprQuery::spread(GlobalNode node, float residual) {
  const TransitionGraph& graph = walker_.graph();
  if (graph.is_dangling(node)) {
    returned_ += residual;
    return;
  }
  const std::span<const GlobalNode> targets = graph.out().neighbours(node);
  const std::span<const float> weights = graph.weighted() ? graph.out().weights(node) : std::span<const float>();
  const float share = residual * graph.inverse_strengths()[node];
  for (std::size_t i = 0; i < targets.size(); ++i) {
    __builtin_prefetch(&residuals_[targets[std::min(i + kAhead, targets.size() - 1)]], 1);
    Residual& to = residuals_[targets[i]];
    const float before = to.value;
    to.value += weights.empty() ? share : share * weights[i];
    if (before == 0) touched_residuals_.push_back(targets[i]);
    if (to.value > to.most && before <= to.most) queue_.push_back(targets[i]);
  }
  counters_.pushed_arcs += targets.size();
}

void PprQuery::add_walks() {
  for (std::size_t place = 0; place < touched_residuals_.size(); ++place) {
    if (index_ != nullptr) prefetch_walks(place);
    const GlobalNode node = touched_residuals_[place];
    const float residual = residuals_[node].value;
    if (residual == 0) continue;
    residuals_[node].value = 0;  // a node may have been touched again after a push
    const auto wanted = static_cast<std::size_t>(std::ceil(residual * walks_wanted_));
    if (index_ != nullptr) {
      const std::span<const GlobalNode> ends = index_->ends(node);
      const std::size_t count = std::min(ends.size(), wanted);
      add_ends(ends.first(count), residual / static_cast<float>(count));
      continue;
    }
    const auto count = static_cast<std::uint32_t>(std::min<std::size_t>(walker_.count(node), wanted));
    walks_.clear();
    for (std::uint32_t number = 0; number < count; ++number) walks_.push_back({node, number});
    ends_.resize(count);
    walker_.run(walks_, ends_);
    add_ends(ends_, residual / static_cast<float>(count));
  }
}

/// Every node costs three reads from anywhere in memory, each of which says where the next one is.
void PprQuery::prefetch_walks(std::size_t place) const {
  const auto ahead = [&](std::size_t distance) {
    return touched_residuals_[std::min(place + distance, touched_residuals_.size() - 1)];
  };
  __builtin_prefetch(&residuals_[ahead(2 * kAhead)]);
  index_->prefetch_bounds(ahead(2 * kAhead));
  index_->prefetch_ends(ahead(kAhead));
}

void PprQuery::add_ends(std::span<const GlobalNode> ends, float weight) {
  const float square = weight * weight;
  for (std::size_t i = 0; i < ends.size(); ++i) {
    const GlobalNode node = ends[i];
    const GlobalNode ahead = ends[std::min(i + kAhead, ends.size() - 1)];
    if (ahead != kReturned) __builtin_prefetch(&cells_[ahead], 1);
    if (node == kReturned) {
      returned_ += weight;
      continue;
    }
    touch(node);
    Cell& cell = cells_[node];
    cell.score += weight;
    cell.squares = cell.squares == 0 ? -square : std::abs(cell.squares) + square;
  }
  counters_.walks += ends.size();
  walk_squares_ += static_cast<double>(ends.size()) * square;
}

PprResult PprQuery::finish() {
  double kept = 0;
  double error = 0;
  const Graph& graph = walker_.graph().out();
  for (const GlobalNode node : touched_cells_) {
    const Cell& cell = cells_[node];
    kept += cell.score;
    error += cell.squares < 0 ? 2 * std::sqrt(-cell.squares) : std::sqrt(cell.squares);
    if (best_.wants(cell.score)) best_.offer(graph.original(node), cell.score);
  }
  error += kMargin * std::sqrt(walk_squares_);
  PprResult result{.top = best_.take(), .l1_bound = error + kRounding};
  if (returned_ > 0) {
    // What returned is one more place where walks end, and everything is scaled: twice the error at most.
    scale_ = 1 / kept;
    result.l1_bound = 2 * (result.l1_bound + std::sqrt(walk_squares_)) * scale_;
    for (ScoredNode& scored : result.top) scored.score *= static_cast<float>(scale_);
  }
  result.l1_bound = std::min(result.l1_bound, 2.0);
  return result;
}

}  // namespace knotwork::embeddings
