#include "worker/network_snapshots.h"

#include <algorithm>
#include <chrono>
#include <string>
#include <utility>

#include "partition/errors.h"
#include "worker/rank_arrays.h"

namespace knotwork::worker {

using cluster::Reduction;
using partition::InputError;

namespace {

using Clock = std::chrono::steady_clock;

constexpr const char* kEpochs = "epochs";
constexpr const char* kBatches = "batches";
constexpr const char* kSteps = "steps";
constexpr const char* kBestEpoch = "best_epoch";
constexpr const char* kWeights = "weights";
constexpr const char* kFirstMoments = "first_moments";
constexpr const char* kSecondMoments = "second_moments";
constexpr const char* kBestWeights = "best_weights";
constexpr const char* kCurve = "curve";
constexpr const char* kFigures = "figures";
constexpr const char* kLoss = "loss";

/// A NetworkPoint as docs/formats.md has it.
struct SavedPoint {
  std::uint32_t epoch;
  std::uint32_t flags;
  double loss;
  double seconds;
  double valid_loss;
  double accuracy;
  double micro_f1;
  double macro_f1;
};
constexpr std::uint32_t kIsValidated = 1;
constexpr std::uint32_t kIsBest = 2;

struct SavedFigures {
  double best_loss;
  double seconds;
};

SavedPoint saved(const NetworkPoint& point) {
  return {.epoch = point.epoch,
          .flags = (point.is_validated ? kIsValidated : 0) | (point.is_best ? kIsBest : 0),
          .loss = point.loss,
          .seconds = point.seconds,
          .valid_loss = point.valid_loss,
          .accuracy = point.valid.accuracy,
          .micro_f1 = point.valid.micro_f1,
          .macro_f1 = point.valid.macro_f1};
}

NetworkPoint point_of(const SavedPoint& saved) {
  return {.epoch = saved.epoch,
          .is_validated = (saved.flags & kIsValidated) != 0,
          .is_best = (saved.flags & kIsBest) != 0,
          .loss = saved.loss,
          .seconds = saved.seconds,
          .valid_loss = saved.valid_loss,
          .valid = {.accuracy = saved.accuracy, .micro_f1 = saved.micro_f1, .macro_f1 = saved.macro_f1}};
}

template <typename T>
SnapshotArray array_of(const char* name, const std::vector<T>& values) {
  return SnapshotArray::of(name, to_bytes(std::span<const T>(values)));
}

/// Collective. Throws partition::InputError unless there are `count` values.
template <typename T>
std::vector<T> read_array(SnapshotReader& snapshot, const char* name, std::size_t count) {
  const std::vector<std::byte> bytes = snapshot.read_job_array(name);
  if (bytes.size() == count * sizeof(T)) return from_bytes<T>(bytes);
  throw InputError(snapshot.place() + " is damaged: " + std::to_string(bytes.size()) + " bytes of " + name +
                   ", expected " + std::to_string(count * sizeof(T)));
}

/// Collective: weights, moments and the best model.
void read_model(SnapshotReader& snapshot, std::size_t weights, NetworkPosition& position) {
  const auto found = snapshot.manifest().job_arrays.find(kWeights);
  if (found != snapshot.manifest().job_arrays.end() && found->second != weights * sizeof(float)) {
    throw InputError("the network has " + std::to_string(weights) + " weights, but that of " + snapshot.place() +
                     " has " + std::to_string(found->second / sizeof(float)) +
                     "; without features, one process that takes the whole graph at once learns nodes' rows as "
                     "weights, batches and several processes don't: resume on as many processes as before");
  }
  position.state.weights = read_array<float>(snapshot, kWeights, weights);
  position.state.first_moments = read_array<float>(snapshot, kFirstMoments, weights);
  position.state.second_moments = read_array<float>(snapshot, kSecondMoments, weights);
  position.state.steps = snapshot.mark(kSteps);
  position.best.epoch = static_cast<std::uint32_t>(snapshot.mark(kBestEpoch));
  position.best.weights = read_array<float>(snapshot, kBestWeights, position.best.epoch > 0 ? weights : 0);
}

}  // namespace

bool BestNetwork::offer(std::uint32_t of_epoch, double valid_loss, const std::vector<float>& model) {
  if (!(valid_loss < loss)) return false;
  loss = valid_loss;
  epoch = of_epoch;
  weights = model;
  return true;
}

NetworkSnapshots::~NetworkSnapshots() {
  if (keeper_ != nullptr) keeper_->rest();
}

std::optional<NetworkPosition> NetworkSnapshots::resume(std::size_t weights) {
  if (from_ == nullptr) return std::nullopt;
  NetworkPosition position;
  read_model(*from_, weights, position);
  position.epochs_done = static_cast<std::uint32_t>(from_->mark(kEpochs));
  position.batches_done = static_cast<std::uint32_t>(from_->mark(kBatches));
  const SavedFigures figures = read_array<SavedFigures>(*from_, kFigures, 1).front();
  position.best.loss = figures.best_loss;
  position.seconds = figures.seconds;
  for (const SavedPoint& saved : read_array<SavedPoint>(*from_, kCurve, position.epochs_done)) {
    position.curve.push_back(point_of(saved));
  }
  if (position.best.epoch > position.epochs_done) {
    throw InputError(from_->place() + " is damaged: its best epoch is still to come");
  }
  for (const std::vector<std::byte>& loss : from_->read_rank_array(kLoss)) {
    for (const double sum : from_bytes<double>(loss)) position.loss_sum += communicator_.is_root() ? sum : 0;
  }
  if (rows_ != nullptr) {
    from_->spread_over(place_.nodes, place_.bounds);
    from_->read_table(*rows_);
  }
  communicator_.barrier();  // Nobody pulls rows that are still to come.
  return position;
}

bool NetworkSnapshots::look(bool has_work, const std::function<NetworkPosition()>& position) {
  if (keeper_ == nullptr || ++looks_ < looks_to_a_vote_) return true;
  const SnapshotKeeper::Vote vote = keeper_->vote(has_work);
  if (least_looks_ > 1) plan_next_vote();
  looks_ = 0;
  if (vote.snapshot) take(position(), vote.stop);
  stopped_ = stopped_ || vote.stop;
  return !vote.stop;
}

/// The slowest rank says how many looks there are to be.
void NetworkSnapshots::plan_next_vote() {
  const double elapsed = std::chrono::duration<double>(Clock::now() - last_vote_).count();
  const double seconds_a_look = communicator_.allreduce(elapsed / static_cast<double>(looks_), Reduction::kMax);
  const double between_snapshots = std::chrono::duration<double>(keeper_->every()).count();
  const double looks = std::min(kVoteSeconds, between_snapshots / 4) / std::max(seconds_a_look, 1e-9);
  // What was measured on few looks says little: no more than ten times as many.
  const auto least = static_cast<double>(least_looks_);
  looks_to_a_vote_ = static_cast<std::uint64_t>(std::clamp(looks, least, 10 * static_cast<double>(looks_)));
  last_vote_ = Clock::now();
}

void NetworkSnapshots::take(const NetworkPosition& position, bool is_end) {
  const auto start = Clock::now();
  SnapshotContent content{.nodes = place_.nodes};
  content.marks = {{kEpochs, position.epochs_done},
                   {kBatches, position.batches_done},
                   {kSteps, position.state.steps},
                   {kBestEpoch, position.best.epoch}};
  content.rank_arrays.push_back(array_of(kLoss, std::vector{position.loss_sum}));
  if (communicator_.is_root()) {
    std::vector<SavedPoint> curve;
    std::ranges::transform(position.curve, std::back_inserter(curve), saved);
    content.job_arrays = {
        array_of(kWeights, position.state.weights),
        array_of(kFirstMoments, position.state.first_moments),
        array_of(kSecondMoments, position.state.second_moments),
        array_of(kBestWeights, position.best.weights),
        array_of(kCurve, curve),
        array_of(kFigures, std::vector{SavedFigures{.best_loss = position.best.loss, .seconds = position.seconds}})};
  }
  if (rows_ != nullptr) {
    content.tables.push_back({.rows = rows_});
    // At the end nobody changes them any more.
    if (!is_end && changes_are_told_) content.tables.back().frozen = std::make_shared<FrozenRows>(*rows_);
    frozen_ = content.tables.back().frozen;
  }
  content.pause_seconds = std::chrono::duration<double>(Clock::now() - start).count();
  keeper_->begin(std::move(content));
}

}  // namespace knotwork::worker
