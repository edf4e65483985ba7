#include "worker/lightgcn.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <optional>
#include <span>
#include <string>
#include <utility>

#include "cluster/memory_check.h"
#include "embeddings/row_table.h"
#include "partition/errors.h"
#include "worker/lightgcn_snapshots.h"
#include "worker/rank_crew.h"

namespace knotwork::worker {

using embeddings::RankingScores;
using partition::OriginalNode;

namespace {

/// Products of larger values are no numbers.
constexpr float kLargestValue = 1e15F;

[[noreturn]] void refuse_divergence() {
  throw partition::InputError(
      "training diverged: loss or vectors are enormous or no numbers, and nothing was written; try a lower --lr");
}

using Clock = std::chrono::steady_clock;

double since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

class LightGcnLoop {
 public:
  LightGcnLoop(cluster::Communicator& communicator, const partition::Graph& graph, OriginalNode user_count,
               const LightGcnTraining& options, const embeddings::RankingLists* judged,
               const LightGcnProgress& progress, const LightGcnSaves& saves)
      : communicator_(communicator),
        options_(options),
        judged_(judged),
        progress_(progress),
        judges_(communicator.allreduce(std::uint64_t{judged != nullptr}, cluster::Reduction::kMax) != 0),
        view_(graph, user_count),
        crew_(communicator, options.threads),
        model_(view_, options.model, crew_),
        best_(has_any(saves) && options.keeps_best ? crew_.floats(model_.layer_zero().size()) : std::span<float>()),
        snapshots_(communicator, saves, view_, options.model.dim, model_, best_, crew_) {}

  LightGcnReport run();

 private:
  static bool has_any(const LightGcnSaves& saves) { return saves.keeper != nullptr || saves.from != nullptr; }
  LightGcnPosition position(std::uint32_t epochs, std::uint32_t steps) const;
  void go_on_from(LightGcnPosition position);
  bool train_epoch(std::uint32_t epoch, std::uint32_t first_step);
  void count_epoch(std::uint32_t epoch);
  RankingScores judge(std::span<const float> rows) const;
  bool judge_epoch(RankingPoint& point);
  void keep(std::span<const float> rows);
  void copy_out(std::span<const float> rows);

  cluster::Communicator& communicator_;
  const LightGcnTraining& options_;
  const embeddings::RankingLists* judged_;
  const LightGcnProgress& progress_;
  bool judges_;
  embeddings::UserItemGraph view_;
  RankCrew crew_;
  embeddings::LightGcn model_;
  std::span<float> best_;  // The best epoch's rows where snapshots need them by global node; else in report_.
  LightGcnSnapshots snapshots_;
  Clock::time_point start_ = Clock::now();
  double seconds_before_ = 0;
  LightGcnReport report_;
  double best_recall_ = -1;
  std::uint32_t without_gain_ = 0;
  double loss_ = 0;  // Of the epoch at hand.
  std::uint64_t pairs_ = 0;
};

RankingScores LightGcnLoop::judge(std::span<const float> rows) const {
  const std::size_t stride = model_.stride();
  const auto row = [&](OriginalNode original) { return rows.subspan(view_.global(original) * stride, stride); };
  const std::vector<float> users = embeddings::padded_rows(judged_->users, stride, stride, row);
  const std::vector<float> items = embeddings::padded_rows(judged_->items, stride, stride, row);
  return embeddings::rank_items({.dim = stride,
                                 .users = users,
                                 .items = items,
                                 .known = &judged_->known,
                                 .hidden = &judged_->hidden,
                                 .unreachable = judged_->unreachable,
                                 .k = options_.k},
                                options_.threads);
}

void LightGcnLoop::keep(std::span<const float> rows) {
  copy_out(rows);
  if (!best_.empty()) std::ranges::copy(rows, best_.begin());
}

/// On the root: the result, in the order of original nodes.
void LightGcnLoop::copy_out(std::span<const float> rows) {
  const std::size_t dim = options_.model.dim;
  const std::size_t nodes = view_.graph().row_count();
  if (report_.rows.empty()) report_.rows = partition::HugeArray<float>(nodes * dim);
  for (OriginalNode original = 0; original < nodes; ++original) {
    const float* const row = &rows[view_.global(original) * model_.stride()];
    // Written so that what is no number has diverged, too.
    if (!std::all_of(row, row + dim, [](float value) { return std::abs(value) <= kLargestValue; })) refuse_divergence();
    std::copy(row, row + dim, &report_.rows[original * dim]);
  }
}

/// Judges on the root, keeps what shall be kept there, and says on all whether training goes on.
bool LightGcnLoop::judge_epoch(RankingPoint& point) {
  const bool is_last = point.epoch == options_.model.epochs;
  const bool is_due = judges_ && point.epoch % options_.evaluate_every == 0;
  if (!is_due && !is_last) return true;
  const std::span<const float> rows = model_.ranking_rows();
  bool goes_on = !is_last;
  if (communicator_.is_root()) {
    const auto start = Clock::now();
    if (judged_ != nullptr) point.scores = judge(rows);
    const double recall = point.scores ? point.scores->recall : 0;
    const bool is_better = recall > best_recall_;
    if (options_.keeps_best ? is_better : is_last) {
      keep(rows);
      report_.epoch = point.epoch;
    }
    if (is_better) best_recall_ = recall;
    without_gain_ = is_better ? 0 : without_gain_ + 1;
    if (options_.keeps_best && options_.patience > 0 && without_gain_ >= options_.patience) goes_on = false;
    report_.judge_seconds += since(start);
    if (progress_ && point.scores) progress_(static_cast<double>(point.epoch) / options_.model.epochs, point);
  }
  // Also keeps the others from changing rows that the root still reads.
  return communicator_.broadcast(goes_on ? "on" : "end", 0) == "on";
}

LightGcnPosition LightGcnLoop::position(std::uint32_t epochs, std::uint32_t steps) const {
  return {.epochs_done = epochs,
          .steps_done = steps,
          .loss = loss_,
          .pairs = pairs_,
          .pairs_before = report_.pairs,
          .seconds = seconds_before_ + since(start_),
          .judge_seconds = report_.judge_seconds,
          .best_recall = best_recall_,
          .best_epoch = report_.epoch,
          .without_gain = without_gain_,
          .curve = report_.curve};
}

void LightGcnLoop::go_on_from(LightGcnPosition position) {
  if (position.epochs_done >= options_.model.epochs) {
    throw partition::InputError("the snapshot is damaged: it has " + std::to_string(position.epochs_done) + " of " +
                                std::to_string(options_.model.epochs) + " epochs behind it");
  }
  loss_ = position.loss;
  pairs_ = position.pairs;
  seconds_before_ = position.seconds;
  best_recall_ = position.best_recall;
  without_gain_ = position.without_gain;
  report_.pairs = position.pairs_before;
  report_.judge_seconds = position.judge_seconds;
  report_.epoch = position.best_epoch;
  report_.curve = std::move(position.curve);
  if (communicator_.is_root() && !best_.empty() && report_.epoch > 0) copy_out(best_);
}

/// Steps `first_step` and behind. Returns whether training is to go on.
bool LightGcnLoop::train_epoch(std::uint32_t epoch, std::uint32_t first_step) {
  if (first_step == 0) {
    loss_ = 0;
    pairs_ = 0;
  }
  for (std::uint32_t i = first_step; i < model_.steps(); ++i) {
    if (!snapshots_.look(true, [&] { return position(epoch - 1, i); })) return false;
    if (i == 0) model_.begin_epoch();
    const embeddings::StepLoss step = model_.step();
    loss_ += step.sum;
    pairs_ += step.pairs;
    if (!progress_ || !communicator_.is_root()) continue;
    const double done = epoch - 1 + (i + 1.0) / model_.steps();
    progress_(done / options_.model.epochs,
              {.epoch = epoch, .loss = loss_ / static_cast<double>(pairs_), .seconds = 0, .scores = {}});
  }
  return true;
}

void LightGcnLoop::count_epoch(std::uint32_t epoch) {
  report_.pairs += pairs_;
  report_.curve.push_back({.epoch = epoch,
                           .loss = loss_ / static_cast<double>(pairs_),
                           .seconds = seconds_before_ + since(start_),
                           .scores = {}});
}

LightGcnReport LightGcnLoop::run() {
  std::uint32_t first_epoch = 1;
  std::uint32_t first_step = 0;
  if (std::optional<LightGcnPosition> before = snapshots_.resume()) {
    first_epoch = before->epochs_done + 1;
    first_step = before->steps_done;
    go_on_from(std::move(*before));
  }
  for (std::uint32_t epoch = first_epoch; epoch <= options_.model.epochs; ++epoch) {
    if (!train_epoch(epoch, std::exchange(first_step, 0))) break;
    count_epoch(epoch);
    RankingPoint& point = report_.curve.back();
    // BPR's sums are known to the root only; it judges for all.
    const double loss = communicator_.is_root() ? point.loss : 0;
    if (!std::isfinite(communicator_.allreduce(loss, cluster::Reduction::kSum))) {
      refuse_divergence();
    }
    if (!judge_epoch(point)) break;
  }
  report_.seconds = seconds_before_ + since(start_);
  report_.stopped = snapshots_.stopped();
  report_.last_snapshot_is_whole = snapshots_.finish();
  return std::move(report_);
}

}  // namespace

LightGcnReport train_lightgcn(cluster::Communicator& communicator, const partition::Graph& graph,
                              OriginalNode user_count, const LightGcnTraining& options,
                              const embeddings::RankingLists* judged, const LightGcnProgress& progress,
                              const LightGcnSaves& saves) {
  const std::uint64_t nodes = graph.row_count();
  std::uint64_t bytes = embeddings::LightGcn::least_memory(user_count, nodes - user_count, options.model.dim);
  if (saves.keeper != nullptr) {
    bytes += LightGcnSnapshots::least_memory(nodes, options.model.dim, options.keeps_best);
  }
  cluster::require_memory(communicator, bytes / static_cast<std::uint64_t>(communicator.size()));
  return LightGcnLoop(communicator, graph, user_count, options, judged, progress, saves).run();
}

}  // namespace knotwork::worker
