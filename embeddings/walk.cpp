#include "embeddings/walk.h"

#include <algorithm>
#include <cmath>
#include <sstream>
#include <stdexcept>
#include <utility>

#include "embeddings/arc_weights.h"
#include "embeddings/walk_kernels.h"
#include "partition/errors.h"

namespace knotwork::embeddings {

namespace {

// Beyond these a step would need millions of trials, and a Philox counter holds only 2^24 of them.
constexpr double kSmallestParameter = 1.0 / 1024.0;
constexpr double kLargestParameter = 1024.0;

void check_range(bool good, const char* name, double value, const char* expected) {
  if (good) return;
  std::ostringstream message;
  message << "walk option " << name << " is " << value << "; expected " << expected;
  throw partition::InputError(message.str());
}

void check_options(const WalkOptions& options, const partition::GraphSummary& graph) {
  const auto in_range = [](double value) { return value >= kSmallestParameter && value <= kLargestParameter; };
  check_range(options.length > 0, "length", options.length, "at least 1");
  check_range(in_range(options.p), "p", options.p, "a number from 1/1024 to 1024");
  check_range(in_range(options.q), "q", options.q, "a number from 1/1024 to 1024");
  check_range(options.restart >= 0.0 && options.restart < 1.0, "restart", options.restart,
              "a probability from 0 to less than 1");
  if (options.weighted && !graph.weighted) {
    throw partition::InputError("weighted walks need arc weights, and this graph has none; expected a third column");
  }
}

WalkArrays arrays_of(const Graph& graph, const WalkOptions& options, const WalkTables& tables) {
  const partition::GraphArrays& from = graph.arrays();
  return {from.offsets.data(),
          from.targets.data(),
          tables.cumulative.data(),
          from.degree_rank.empty() ? nullptr : from.degree_rank.data(),
          from.first_node,
          graph.row_count(),
          graph.summary().directed,
          options.length,
          options.seed,
          tables.restart_share,
          tables.rule};
}

}  // namespace

std::uint64_t share_of_words(double probability) {
  return static_cast<std::uint64_t>(std::llround(std::clamp(probability, 0.0, 1.0) * 0x1.0p32));
}

AcceptanceRule acceptance_rule(const WalkOptions& options, const partition::GraphSummary& graph) {
  const double go_back = 1.0 / options.p;
  const double go_out = 1.0 / options.q;
  AcceptanceRule rule;
  const double others = std::max(1.0, go_out);
  // A directed graph may lack the arc back, and weighted rows would need its weight: both keep the plain envelope.
  rule.folds_return = !graph.directed && !options.weighted && go_back > others;
  rule.envelope = rule.folds_return ? others : std::max(others, go_back);
  rule.surplus = rule.folds_return ? go_back - others : 0.0;
  rule.return_share = share_of_words(go_back / rule.envelope);
  rule.sure_share = share_of_words(std::min(1.0, go_out) / rule.envelope);
  rule.open_share = share_of_words(others / rule.envelope);
  rule.adjacent_accepts = go_out <= 1.0;
  return rule;
}

WalkEngine::WalkEngine(Graph graph, WalkOptions options) : graph_(std::move(graph)), options_(options) {
  check_options(options_, graph_.summary());
  auto tables = std::make_shared<WalkTables>();
  if (options_.weighted) tables->cumulative = cumulative_shares(graph_);
  tables->second_order = options_.p != 1.0 || options_.q != 1.0;
  tables->rule = acceptance_rule(options_, graph_.summary());
  tables->restart_share = share_of_words(options_.restart);
  tables_ = std::move(tables);
}

std::uint64_t WalkEngine::table_bytes() const {
  return tables_->cumulative.size() * sizeof(std::uint32_t);
}

Walker WalkEngine::start_walker(WalkStart start, std::uint32_t slot, std::uint32_t home_rank) const {
  return {.start_original = graph_.original(start.node),
          .start = start.node,
          .walk = start.walk,
          .step = 1,
          .node = start.node,
          .previous = partition::kInvalidNode,
          .candidate = partition::kInvalidNode,
          .trial = 0,
          .slot = slot,
          .home_rank = home_rank};
}

void WalkEngine::generate(std::span<const WalkStart> starts, WalkBatch& batch) const {
  batch.stride = options_.length;
  // Grows only: what lies behind a short walk is undefined anyway.
  batch.paths.resize(starts.size() * batch.stride);
  batch.lengths.resize(starts.size());
  batch.walkers.resize(starts.size());
  batch.states.resize(starts.size());
  for (std::size_t i = 0; i < starts.size(); ++i) {
    batch.walkers[i] = start_walker(starts[i], static_cast<std::uint32_t>(i), 0);
    batch.paths[i * batch.stride] = starts[i].node;
  }
  advance(batch.walkers, batch.states, batch.paths, batch.stride);
  for (std::size_t i = 0; i < starts.size(); ++i) batch.lengths[i] = batch.walkers[i].step;
}

void WalkEngine::advance(std::span<Walker> walkers, std::span<WalkerState> states, std::span<GlobalNode> paths,
                         std::uint32_t stride) const {
  if (states.size() < walkers.size()) throw std::invalid_argument("advance: fewer states than walkers");
  const WalkArrays arrays = arrays_of(graph_, options_, *tables_);
  const WalkerBatch batch{walkers, states, paths, stride};
  if (tables_->second_order) {
    options_.weighted ? advance_weighted_node2vec(arrays, batch) : advance_node2vec(arrays, batch);
  } else {
    options_.weighted ? advance_weighted(arrays, batch) : advance_uniform(arrays, batch);
  }
}

void WalkEngine::answer(Walker& walker) const {
  const bool adjacent = graph_.holds(walker.previous) ? graph_.has_arc(walker.previous, walker.candidate)
                                                      : graph_.has_arc(walker.candidate, walker.previous);
  if (adjacent == tables_->rule.adjacent_accepts) {
    walker.trial |= kCandidateAccepted;
  } else {
    walker.candidate = partition::kInvalidNode;
    ++walker.trial;
  }
}

}  // namespace knotwork::embeddings
