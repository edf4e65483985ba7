// Uniform and weighted first-order walks, with restart. A walker has two stages: choose an arc (its offsets row was
// prefetched by the step before) and prefetch the target; step: read the target, write the path, prefetch the next
// offsets row. Two groups of lanes take turns: while one steps, lane by lane, the other chooses, so that the memory
// always has reads of both kinds to serve.
#include <algorithm>
#include <limits>

#include "embeddings/list_search.h"
#include "embeddings/walk_kernels.h"
#include "partition/random.h"

namespace knotwork::embeddings {

namespace {

using partition::ArcIndex;

/// Lanes of a group. A group's turn takes some 300 ns, enough for a read from memory to arrive.
constexpr std::uint32_t kLanes = 48;
static_assert(kLanes <= kMaxLanes);
constexpr ArcIndex kJumpBack = std::numeric_limits<ArcIndex>::max() - 1;
constexpr ArcIndex kNoArc = std::numeric_limits<ArcIndex>::max();
constexpr std::uint8_t kRunning = 0xff;

template <bool kWeighted, bool kRestarts>
class LaneGroup {
 public:
  LaneGroup(const WalkArrays& arrays, const WalkerBatch& batch) : arrays_(arrays), batch_(batch) {}

  std::uint32_t active() const { return active_; }

  /// Makes all lanes ready to choose: stopped walkers are handed back, free lanes filled from walker `next` on.
  void prepare(std::size_t& next) {
    if (stopped_) unload();
    if (active_ < kLanes && next < batch_.walkers.size()) load(next);
    if (stale_) draw();
  }

  void choose(std::uint32_t i) {
    const partition::LocalNode row = node_[i] - arrays_.first_node;
    const ArcIndex begin = arrays_.offsets[row];
    const auto degree = static_cast<std::uint32_t>(arrays_.offsets[row + 1] - begin);
    const std::uint32_t word = random_.words[step_[i] % 4][i];
    if (degree == 0) {
      stop(i, WalkerState::kFinished);
      arc_[i] = kNoArc;
    } else if (kRestarts && restart_words_[step_[i] % 4][i] < arrays_.restart_share) {
      arc_[i] = kJumpBack;
    } else if constexpr (kWeighted) {
      searcher_[searches_.count] = i;
      searches_.add(arrays_.cumulative, begin, degree, word);
    } else {
      arc_[i] = begin + partition::bounded(word, degree);
      __builtin_prefetch(arrays_.targets + arc_[i]);
    }
  }

  /// After all lanes have chosen: runs the searches that weighted choices need.
  void finish_choosing() {
    if constexpr (kWeighted) search_arcs();
  }

  /// Returns whether the lane needs a fresh block of random numbers.
  bool step(std::uint32_t i) {
    const ArcIndex arc = arc_[i];
    if (arc == kNoArc) return false;
    const GlobalNode next = kRestarts && arc == kJumpBack ? start_[i] : arrays_.targets[arc];
    arrays_.prefetch_row(next);
    const std::uint32_t reached = step_[i] + 1;
    node_[i] = next;
    *slot_[i]++ = next;
    step_[i] = reached;
    if (reached == arrays_.length) {
      stop(i, WalkerState::kFinished);
    } else if (!arrays_.holds(next)) {
      stop(i, WalkerState::kLeft);
    }
    return reached % 4 == 0;
  }

  void mark_stale(bool stale) { stale_ |= stale; }

 private:
  void load(std::size_t& next) {
    while (active_ < kLanes && next < batch_.walkers.size()) {
      const Walker& walker = batch_.walkers[next];
      if (walker.step >= arrays_.length) {
        batch_.states[next++] = WalkerState::kFinished;
        continue;
      }
      const std::uint32_t lane = active_++;
      random_.node[lane] = walker.start_original;
      random_.walk[lane] = walker.walk;
      node_[lane] = walker.node;
      start_[lane] = walker.start;
      step_[lane] = walker.step;
      item_[lane] = static_cast<std::uint32_t>(next++);
      slot_[lane] = batch_.paths.data() + static_cast<std::size_t>(walker.slot) * batch_.stride + walker.step;
      state_[lane] = kRunning;
      arrays_.prefetch_row(walker.node);
    }
    stale_ = true;
  }

  // One block serves four steps; lanes that are at different steps modulo 4 make it be computed more often.
  void draw() {
    for (std::uint32_t i = 0; i < active_; ++i) random_.counter[i] = step_[i] / 4;
    if constexpr (kRestarts) {
      std::fill_n(random_.trial, active_, 1);
      fill_random_lanes(arrays_.seed, random_, active_);
      for (int w = 0; w < 4; ++w) std::copy_n(random_.words[w], active_, restart_words_[w]);
      std::fill_n(random_.trial, active_, 0);
    }
    fill_random_lanes(arrays_.seed, random_, active_);
    stale_ = false;
  }

  void search_arcs() {
    const auto key_at = [keys = arrays_.cumulative](ArcIndex position) { return keys[position]; };
    searches_.run(arrays_.cumulative, key_at);
    for (std::size_t k = 0; k < searches_.count; ++k) {
      const ArcIndex found = searches_.base[k];
      arc_[searcher_[k]] = found + (arrays_.cumulative[found] < searches_.wanted[k] ? 1 : 0);
      __builtin_prefetch(arrays_.targets + arc_[searcher_[k]]);
    }
    searches_.count = 0;
  }

  void stop(std::uint32_t lane, WalkerState state) {
    state_[lane] = static_cast<std::uint8_t>(state);
    stopped_ = true;
  }

  // Hands stopped walkers back and closes the gaps they leave.
  void unload() {
    for (std::uint32_t i = active_; i-- > 0;) {
      if (state_[i] == kRunning) continue;
      Walker& walker = batch_.walkers[item_[i]];
      walker.node = node_[i];
      walker.step = step_[i];
      batch_.states[item_[i]] = static_cast<WalkerState>(state_[i]);
      move_lane(--active_, i);
    }
    stopped_ = false;
    stale_ = true;
  }

  void move_lane(std::uint32_t from, std::uint32_t to) {
    random_.node[to] = random_.node[from];
    random_.walk[to] = random_.walk[from];
    node_[to] = node_[from];
    start_[to] = start_[from];
    step_[to] = step_[from];
    item_[to] = item_[from];
    slot_[to] = slot_[from];
    state_[to] = state_[from];
  }

  const WalkArrays arrays_;
  const WalkerBatch batch_;
  std::uint32_t active_ = 0;
  bool stale_ = true;
  bool stopped_ = false;
  RandomLanes random_;
  std::uint32_t restart_words_[4][kLanes];
  GlobalNode node_[kLanes];
  GlobalNode start_[kLanes];
  std::uint32_t step_[kLanes];
  std::uint32_t item_[kLanes];
  GlobalNode* slot_[kLanes];
  ArcIndex arc_[kLanes];
  std::uint8_t state_[kLanes];
  ListSearches searches_;
  std::uint32_t searcher_[kLanes];
};

template <class Group>
void step_and_choose(Group& stepping, Group& choosing) {
  const std::uint32_t to_step = stepping.active();
  const std::uint32_t to_choose = choosing.active();
  const std::uint32_t both = std::min(to_step, to_choose);
  bool stale = false;
  for (std::uint32_t i = 0; i < both; ++i) {
    stale |= stepping.step(i);
    choosing.choose(i);
  }
  for (std::uint32_t i = both; i < to_step; ++i) stale |= stepping.step(i);
  for (std::uint32_t i = both; i < to_choose; ++i) choosing.choose(i);
  choosing.finish_choosing();
  stepping.mark_stale(stale);
}

template <class Group>
void advance_groups(const WalkArrays& arrays, const WalkerBatch& batch) {
  Group first(arrays, batch);
  Group second(arrays, batch);
  std::size_t next = 0;
  first.prepare(next);
  step_and_choose(second, first);  // `second` is empty: `first` chooses
  while (first.active() > 0 || second.active() > 0) {
    second.prepare(next);
    step_and_choose(first, second);
    first.prepare(next);
    step_and_choose(second, first);
  }
}

template <bool kWeighted>
void advance_first_order(const WalkArrays& arrays, const WalkerBatch& batch) {
  if (arrays.restart_share > 0) {
    advance_groups<LaneGroup<kWeighted, true>>(arrays, batch);
  } else {
    advance_groups<LaneGroup<kWeighted, false>>(arrays, batch);
  }
}

}  // namespace

void advance_uniform(const WalkArrays& arrays, const WalkerBatch& batch) {
  advance_first_order<false>(arrays, batch);
}

void advance_weighted(const WalkArrays& arrays, const WalkerBatch& batch) {
  advance_first_order<true>(arrays, batch);
}

}  // namespace knotwork::embeddings
