#include "worker/lightgcn_snapshots.h"

#include <algorithm>
#include <chrono>
#include <cstring>
#include <string>
#include <utility>

#include "embeddings/row_table.h"
#include "partition/errors.h"
#include "partition/worker_team.h"
#include "worker/rank_arrays.h"

namespace knotwork::worker {

using partition::GlobalNode;
using partition::InputError;
using partition::OriginalNode;

namespace {

using Clock = std::chrono::steady_clock;

constexpr const char* kEpochs = "epochs";
constexpr const char* kSteps = "steps";
constexpr const char* kBestEpoch = "best_epoch";
constexpr const char* kWithoutGain = "without_gain";
constexpr const char* kPairs = "pairs";
constexpr const char* kPairsBefore = "pairs_before";
constexpr const char* kCurve = "curve";
constexpr const char* kFigures = "figures";
/// Rows that a thread copies at a time.
constexpr std::size_t kRowsAtOnce = 4096;

/// A RankingPoint as docs/formats.md has it.
struct SavedPoint {
  std::uint32_t epoch;
  std::uint32_t is_judged;
  double loss;
  double seconds;
  double recall;
  double ndcg;
  std::uint64_t users;
};

struct SavedFigures {
  double loss;
  double seconds;
  double judge_seconds;
  double best_recall;
};

SavedPoint saved(const RankingPoint& point) {
  const embeddings::RankingScores scores = point.scores.value_or(embeddings::RankingScores{});
  return {.epoch = point.epoch,
          .is_judged = point.scores.has_value() ? 1U : 0U,
          .loss = point.loss,
          .seconds = point.seconds,
          .recall = scores.recall,
          .ndcg = scores.ndcg,
          .users = scores.users};
}

RankingPoint point_of(const SavedPoint& saved) {
  RankingPoint point{.epoch = saved.epoch, .loss = saved.loss, .seconds = saved.seconds, .scores = {}};
  if (saved.is_judged != 0) point.scores = {.recall = saved.recall, .ndcg = saved.ndcg, .users = saved.users};
  return point;
}

/// Collective. Throws partition::InputError unless there are `count` values.
template <typename T>
std::vector<T> read_array(SnapshotReader& snapshot, const char* name, std::size_t count) {
  const std::vector<std::byte> bytes = snapshot.read_job_array(name);
  if (bytes.size() == count * sizeof(T)) return from_bytes<T>(bytes);
  throw InputError(snapshot.place() + " is damaged: " + std::to_string(bytes.size()) + " bytes of " + name +
                   ", expected " + std::to_string(count * sizeof(T)));
}

}  // namespace

LightGcnSnapshots::LightGcnSnapshots(cluster::Communicator& communicator, const LightGcnSaves& saves,
                                     const embeddings::UserItemGraph& graph, std::uint32_t dim,
                                     embeddings::LightGcn& model, std::span<float> best, embeddings::Crew& crew)
    : communicator_(communicator),
      saves_(saves),
      graph_(graph),
      dim_(dim),
      model_(model),
      crew_(crew),
      own_(crew.share_of(graph.graph().row_count())) {
  if (saves_.keeper == nullptr && saves_.from == nullptr) return;
  add("layer 0", model.layer_zero());
  add("first moments", model.first_moments());
  add("second moments", model.second_moments());
  if (!best.empty()) add("best", best);
}

LightGcnSnapshots::~LightGcnSnapshots() {
  if (saves_.keeper != nullptr) saves_.keeper->rest();
}

void LightGcnSnapshots::add(const char* name, std::span<float> rows) {
  const ps::TableSpec spec{.name = name, .row_count = graph_.graph().row_count(), .dim = dim_};
  tables_.push_back(std::make_unique<Copied>(Copied{rows, ps::Table(spec, {own_.first, own_.last})}));
}

std::uint64_t LightGcnSnapshots::least_memory(std::uint64_t nodes, std::uint32_t dim, bool keeps_best) {
  // With a best epoch: its copy, and the rows themselves in memory that ranks share.
  const std::uint64_t tables = keeps_best ? 5 : 3;
  return tables * nodes * embeddings::row_stride(dim) * sizeof(float);
}

/// Calls copy(model's floats, the copy's floats, how many) for runs of own rows of all tables, by all threads.
template <typename Copy>
void LightGcnSnapshots::for_own_rows(const Copy& copy) {
  const std::size_t stride = model_.stride();
  const std::size_t runs = (own_.last - own_.first + kRowsAtOnce - 1) / kRowsAtOnce;
  partition::share_among_workers(crew_.threads(), runs * tables_.size(), [&](unsigned /*worker*/, std::size_t task) {
    Copied& table = *tables_[task / runs];
    const std::size_t first = own_.first + task % runs * kRowsAtOnce;
    const std::size_t last = std::min(first + kRowsAtOnce, own_.last);
    copy(&table.rows[first * stride], table.copy.row(first), (last - first) * stride);
  });
}

std::optional<LightGcnPosition> LightGcnSnapshots::resume() {
  if (saves_.from == nullptr) return std::nullopt;
  SnapshotReader& snapshot = *saves_.from;
  LightGcnPosition position;
  position.epochs_done = static_cast<std::uint32_t>(snapshot.mark(kEpochs));
  position.steps_done = static_cast<std::uint32_t>(snapshot.mark(kSteps));
  position.best_epoch = static_cast<std::uint32_t>(snapshot.mark(kBestEpoch));
  position.without_gain = static_cast<std::uint32_t>(snapshot.mark(kWithoutGain));
  position.pairs = snapshot.mark(kPairs);
  position.pairs_before = snapshot.mark(kPairsBefore);
  const SavedFigures figures = read_array<SavedFigures>(snapshot, kFigures, 1).front();
  position.loss = figures.loss;
  position.seconds = figures.seconds;
  position.judge_seconds = figures.judge_seconds;
  position.best_recall = figures.best_recall;
  for (const SavedPoint& saved : read_array<SavedPoint>(snapshot, kCurve, position.epochs_done)) {
    position.curve.push_back(point_of(saved));
  }
  if (position.steps_done >= model_.steps() || position.best_epoch > position.epochs_done) {
    throw InputError(snapshot.place() + " is damaged: it has steps or epochs that there are not");
  }
  std::vector<GlobalNode> bounds;
  for (unsigned rank = 0; rank <= crew_.size(); ++rank) {
    bounds.push_back(static_cast<GlobalNode>(graph_.graph().row_count() * std::uint64_t{rank} / crew_.size()));
  }
  const std::span<const OriginalNode> original = graph_.graph().arrays().original;
  snapshot.spread_over(original.subspan(own_.first, own_.last - own_.first), bounds);
  for (const std::unique_ptr<Copied>& table : tables_) snapshot.read_table(table->copy);
  for_own_rows([](float* rows, const float* copy, std::size_t count) { std::copy_n(copy, count, rows); });
  model_.go_on_at(position.epochs_done, position.steps_done);
  crew_.wait_for_all();
  return position;
}

bool LightGcnSnapshots::look(bool has_work, const std::function<LightGcnPosition()>& position) {
  if (saves_.keeper == nullptr) return true;
  const SnapshotKeeper::Vote vote = saves_.keeper->vote(has_work);
  if (vote.snapshot) take(position());
  stopped_ = stopped_ || vote.stop;
  return !vote.stop;
}

void LightGcnSnapshots::take(const LightGcnPosition& position) {
  saves_.keeper->rest();  // The copies may still be on their way to the disk.
  const auto start = Clock::now();
  const std::span<const OriginalNode> original = graph_.graph().arrays().original;
  SnapshotContent content{.nodes = original.subspan(own_.first, own_.last - own_.first)};
  for_own_rows([](const float* rows, float* copy, std::size_t count) { std::copy_n(rows, count, copy); });
  for (const std::unique_ptr<Copied>& table : tables_) content.tables.push_back({.rows = &table->copy});
  if (communicator_.is_root()) {
    std::vector<SavedPoint> curve;
    std::ranges::transform(position.curve, std::back_inserter(curve), saved);
    const SavedFigures figures{.loss = position.loss,
                               .seconds = position.seconds,
                               .judge_seconds = position.judge_seconds,
                               .best_recall = position.best_recall};
    content.job_arrays = {SnapshotArray::of(kCurve, to_bytes(std::span<const SavedPoint>(curve))),
                          SnapshotArray::of(kFigures, to_bytes(std::span(&figures, 1)))};
    content.marks = {{kEpochs, position.epochs_done},   {kSteps, position.steps_done},
                     {kBestEpoch, position.best_epoch}, {kWithoutGain, position.without_gain},
                     {kPairs, position.pairs},          {kPairsBefore, position.pairs_before}};
  }
  crew_.wait_for_all();  // Whoever goes on changes rows that others copy.
  content.pause_seconds = std::chrono::duration<double>(Clock::now() - start).count();
  saves_.keeper->begin(std::move(content));
}

}  // namespace knotwork::worker
