// What of a skip-gram training goes into a snapshot, and how it goes on from one (worker/snapshot_keeper.h,
// docs/formats.md).
//
// Without --deterministic threads go on while rows are copied (Hogwild): the snapshot holds of each row what it was at
// some moment between the instant at which the last rank reached its position, of which positions and figures are, and
// the end of the writing; ranks that are there before go on meanwhile. Walks trained in between are made again after a
// resume, and may count twice in rows that were copied late. With --deterministic rows that change before they are
// written are set aside first (worker/frozen_rows.h).
#include <algorithm>
#include <cstring>
#include <memory>
#include <utility>

#include "partition/errors.h"
#include "worker/frozen_rows.h"
#include "worker/rank_arrays.h"
#include "worker/training_state.h"

namespace knotwork::worker {

using partition::GlobalNode;
using partition::OriginalNode;

namespace {

constexpr const char* kRounds = "rounds";
constexpr const char* kClock = "clock";
constexpr const char* kStars = "stars";
constexpr const char* kStarsLeft = "stars_left";
constexpr const char* kBatches = "batches";
constexpr const char* kBlock = "block";
constexpr const char* kUnits = "units";

template <typename T>
std::vector<std::byte> bytes_of(const T& value) {
  const auto bytes = std::as_bytes(std::span(&value, 1));
  return {bytes.begin(), bytes.end()};
}

template <typename T>
T value_of(const std::vector<std::byte>& bytes, const std::string& where) {
  T value{};
  if (bytes.size() != sizeof(T)) throw partition::InputError(where + " is damaged: an array of another size");
  std::memcpy(&value, bytes.data(), sizeof(T));
  return value;
}

/// LINE's stars of one rank, in the block at hand.
struct StarsDone {
  std::uint64_t done = 0;
  /// Numbers below it, counted from the rank's first, have been used.
  std::uint64_t offset = 0;
};

/// Of all ranks together.
TrainingClock::Reading sum_of(const std::vector<std::vector<std::byte>>& clocks, const std::string& where) {
  TrainingClock::Reading sum;
  for (const std::vector<std::byte>& bytes : clocks) {
    const auto one = value_of<TrainingClock::Reading>(bytes, where);
    sum.words += one.words;
    sum.pairs += one.pairs;
    sum.seconds = std::max(sum.seconds, one.seconds);
    for (std::size_t i = 0; i < sum.curve.size(); ++i) {
      sum.curve[i].sum += one.curve[i].sum;
      sum.curve[i].pairs += one.curve[i].pairs;
    }
  }
  return sum;
}

/// Items first .. last - 1 of all spans, one behind the other.
std::vector<StarSpan> part_of(const std::vector<StarSpan>& spans, std::uint64_t first, std::uint64_t last) {
  std::vector<StarSpan> part;
  std::uint64_t before = 0;
  for (const StarSpan& span : spans) {
    const std::uint64_t from = std::clamp(first, before, before + span.count) - before;
    const std::uint64_t to = std::clamp(last, before, before + span.count) - before;
    if (to > from) part.push_back({span.first + from, to - from});
    before += span.count;
  }
  return part;
}

std::uint64_t count_of(const std::vector<StarSpan>& spans) {
  std::uint64_t count = 0;
  for (const StarSpan& span : spans) count += span.count;
  return count;
}

}  // namespace

class Trainer::State::Breaks final : public TrainingBreaks {
 public:
  explicit Breaks(State& state) : state_(state) {}

  std::chrono::milliseconds every() const override { return state_.keeper->every(); }

  SnapshotKeeper::Vote vote(bool has_work) override {
    const SnapshotKeeper::Vote vote = state_.keeper->vote(has_work);
    state_.stopped = state_.stopped || vote.stop;
    return vote;
  }

  void take(const TrainingPosition& position, Clock::time_point resting_since,
            const std::function<void()>& go_on) override {
    SnapshotContent content = state_.content_at(position);
    const bool must_be_exact = state_.options.deterministic && go_on;
    frozen_.clear();
    for (std::size_t i = 0; must_be_exact && i < content.tables.size(); ++i) {
      content.tables[i].frozen = std::make_shared<FrozenRows>(*content.tables[i].rows);
      frozen_.emplace_back(content.tables[i].rows, content.tables[i].frozen);
    }
    if (go_on) go_on();
    content.pause_seconds = std::chrono::duration<double>(Clock::now() - resting_since).count();
    // Whoever copies rows now has in them what all ranks had done when they stood still.
    state_.communicator.barrier();
    state_.keeper->begin(std::move(content));
  }

  std::shared_ptr<FrozenRows> frozen(ps::TableIndex table) const override {
    for (const auto& [rows, frozen] : frozen_) {
      if (rows == &state_.shard.table(table)) return frozen.lock();
    }
    return nullptr;
  }

 private:
  State& state_;
  // Of the last snapshot, which keeps them as long as it is being written.
  std::vector<std::pair<const ps::Table*, std::weak_ptr<FrozenRows>>> frozen_;
};

std::unique_ptr<TrainingBreaks> Trainer::State::breaks() {
  return keeper == nullptr ? nullptr : std::make_unique<Breaks>(*this);
}

void Trainer::State::plan_work() {
  if (options.model == Model::kWalks && !options.deterministic) {
    if (resumed.is_resumed) {
      schedule.emplace(graph.slice, options.seed, rounds(), resumed.rounds_done, resumed.first_round);
    } else {
      schedule.emplace(graph.slice, options.seed, rounds());
    }
  }
  if (options.model == Model::kPprPairs) {
    const std::uint64_t first = first_ppr_star(communicator.rank());
    ppr_stars = resumed.is_resumed ? resumed.stars_left
                                   : std::vector<StarSpan>{{first, first_ppr_star(communicator.rank() + 1) - first}};
  }
}

SnapshotContent Trainer::State::content_at(const TrainingPosition& position) {
  SnapshotContent content{.nodes = graph.row_originals()};
  if (options.server_ranks > 0) content.array_nodes = graph.slice.arrays().original;
  const auto add = [&](ps::TableIndex index) { content.tables.push_back({.rows = &shard.table(index)}); };
  for (const TrainedBlock& block : blocks) {
    add(block.inputs);
    if (block.outputs != block.inputs) add(block.outputs);
  }
  content.rank_arrays.push_back(SnapshotArray::of(kClock, bytes_of(running_clock->reading())));
  content.marks[kBlock] = block_at_hand;
  content.marks[kBatches] = position.batches;
  content.marks[kUnits] = 0;
  if (options.deterministic) {
    content.marks[kUnits] = position.units;
  } else if (options.model == Model::kWalks) {
    content.row_arrays.push_back({.name = kRounds, .width = sizeof(std::uint32_t), .make = [this, at = position.walks] {
                                    const std::vector<std::uint32_t> done = schedule->done_at(at);
                                    return to_bytes(std::span<const std::uint32_t>(done));
                                  }});
  } else if (options.model == Model::kLine) {
    const bool goes_on = resumed.is_resumed && block_at_hand == resumed.block;
    content.marks[kUnits] = goes_on ? resumed.units : 0;
    const StarsDone stars{.done = position.units, .offset = position.units + (goes_on ? resumed.star_offset : 0)};
    content.rank_arrays.push_back(SnapshotArray::of(kStars, bytes_of(stars)));
  } else {
    const std::vector<StarSpan> left = part_of(ppr_stars, position.units, count_of(ppr_stars));
    content.rank_arrays.push_back(SnapshotArray::of(kStarsLeft, to_bytes(std::span(left))));
  }
  return content;
}

void Trainer::State::restore_positions(SnapshotReader& snapshot) {
  resumed.block = snapshot.mark(kBlock);
  resumed.batches = snapshot.mark(kBatches);
  resumed.units = snapshot.mark(kUnits);
  if (resumed.block >= blocks.size()) throw partition::InputError(snapshot.place() + " is damaged: no such block");
  if (options.deterministic) return;
  if (options.model == Model::kWalks) {
    resumed.rounds_done = from_bytes<std::uint32_t>(snapshot.read_row_array(kRounds, sizeof(std::uint32_t)));
    std::uint64_t most = 0;
    for (const std::uint32_t done : resumed.rounds_done) most = std::max<std::uint64_t>(most, done);
    most = communicator.allreduce(most, cluster::Reduction::kMax);
    if (most > rounds()) throw partition::InputError(snapshot.place() + " is damaged: more rounds than there are");
    resumed.first_round = static_cast<std::uint32_t>(most);
  } else if (options.model == Model::kLine) {
    for (const std::vector<std::byte>& bytes : snapshot.read_rank_array(kStars)) {
      const auto stars = value_of<StarsDone>(bytes, snapshot.place());
      resumed.units += stars.done;
      resumed.star_offset = std::max(resumed.star_offset, stars.offset);
    }
  } else {
    std::vector<StarSpan> left;
    for (const std::vector<std::byte>& bytes : snapshot.read_rank_array(kStarsLeft)) {
      for (const StarSpan& span : from_bytes<StarSpan>(bytes)) {
        const bool fits = span.first <= stars_of_job() && span.count <= stars_of_job() - span.first;
        if (!fits) throw partition::InputError(snapshot.place() + " is damaged: stars that there are not");
        left.push_back(span);
      }
    }
    const std::uint64_t count = count_of(left);
    const auto ranks = static_cast<std::uint64_t>(communicator.size());
    const auto rank = static_cast<std::uint64_t>(communicator.rank());
    resumed.stars_left = part_of(left, count / ranks * rank, rank + 1 == ranks ? count : count / ranks * (rank + 1));
  }
}

/// Collective: the rows that each rank keeps.
std::vector<GlobalNode> Trainer::State::row_bounds() {
  if (options.server_ranks == 0) return graph.rank_bounds;
  // Servers are the last ranks, in the order of their rows.
  const auto last = static_cast<GlobalNode>(graph.own_rows.last);
  std::vector<GlobalNode> bounds = concatenate(communicator, std::span(&last, 1));
  bounds.insert(bounds.begin(), 0);
  return bounds;
}

void Trainer::State::restore(SnapshotReader& snapshot) {
  snapshot.spread_over(graph.row_originals(), row_bounds());
  snapshot.spread_arrays_over(graph.rank_bounds);
  for (const TrainedBlock& block : blocks) {
    snapshot.read_table(shard.table(block.inputs));
    if (block.outputs != block.inputs) snapshot.read_table(shard.table(block.outputs));
  }
  resumed = {};
  const TrainingClock::Reading all = sum_of(snapshot.read_rank_array(kClock), snapshot.place());
  resumed.clock.seconds = all.seconds;
  if (communicator.is_root()) resumed.clock = all;
  restore_positions(snapshot);
  resumed.is_resumed = true;
  communicator.barrier();  // Nobody pulls rows that are still to come.
}

/// Collective, as work_of_rank.
std::uint64_t Trainer::State::work_before() {
  const std::uint64_t work = work_of_rank();
  if (options.deterministic) {
    const double units = options.model == Model::kLine
                             ? static_cast<double>(stars_of_job() * blocks.size())
                             : static_cast<double>(graph.slice.summary().node_count) * static_cast<double>(rounds());
    const std::uint64_t before = options.model == Model::kLine ? resumed.block * stars_of_job() : 0;
    return static_cast<std::uint64_t>(static_cast<double>(work) * static_cast<double>(before + resumed.units) / units);
  }
  if (options.model == Model::kWalks) return schedule->done_before();
  if (options.model == Model::kPprPairs) return work - std::min(work, count_of(ppr_stars));
  const std::uint64_t own_stars = stars_of_rank();
  return (resumed.block + 1) * own_stars - stars_left_of(resumed.block, own_stars).count;
}

void Trainer::restore(SnapshotReader& snapshot) {
  state_->restore(snapshot);
}

}  // namespace knotwork::worker
