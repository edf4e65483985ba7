// Uniform and weighted first-order walks, with restart. Stages of a round: choose an arc (offsets row, prefetched by
// the step before) and prefetch its target; read the target, write the path, prefetch the next offsets row.
#include <algorithm>
#include <limits>

#include "embeddings/list_search.h"
#include "embeddings/walk_kernels.h"
#include "partition/random.h"

namespace knotwork::embeddings {

namespace {

using partition::ArcIndex;

// 64 lanes: measured best of 16 .. 128 on R-MAT scale 20.
constexpr std::uint32_t kLanes = 64;
constexpr ArcIndex kJumpBack = std::numeric_limits<ArcIndex>::max() - 1;
constexpr ArcIndex kNoArc = std::numeric_limits<ArcIndex>::max();
constexpr std::uint8_t kRunning = 0xff;

template <bool kWeighted, bool kRestarts>
class FirstOrderKernel {
 public:
  FirstOrderKernel(const WalkArrays& arrays, const WalkerBatch& batch) : arrays_(arrays), batch_(batch) {}

  void run() {
    while (load()) {
      while (!stopped_) {
        if (stale_) draw();
        choose_arcs();
        step();
      }
      unload();
    }
  }

 private:
  // Fills free lanes from the batch; false when none is in use.
  bool load() {
    while (active_ < kLanes && next_ < batch_.walkers.size()) {
      const Walker& walker = batch_.walkers[next_];
      if (walker.step >= arrays_.length) {
        batch_.states[next_++] = WalkerState::kFinished;
        continue;
      }
      const std::uint32_t lane = active_++;
      random_.node[lane] = walker.start_original;
      random_.walk[lane] = walker.walk;
      node_[lane] = walker.node;
      start_[lane] = walker.start;
      step_[lane] = walker.step;
      item_[lane] = static_cast<std::uint32_t>(next_++);
      slot_[lane] = batch_.paths.data() + static_cast<std::size_t>(walker.slot) * batch_.stride + walker.step;
      state_[lane] = kRunning;
      arrays_.prefetch_row(walker.node);
    }
    stale_ = true;
    stopped_ = false;
    return active_ > 0;
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

  void choose_arcs() {
    for (std::uint32_t i = 0; i < active_; ++i) {
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
    if constexpr (kWeighted) search_arcs();
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

  void step() {
    for (std::uint32_t i = 0; i < active_; ++i) {
      const ArcIndex arc = arc_[i];
      if (arc >= kJumpBack && arc == kNoArc) continue;
      const GlobalNode next = kRestarts && arc == kJumpBack ? start_[i] : arrays_.targets[arc];
      node_[i] = next;
      *slot_[i]++ = next;
      ++step_[i];
      stale_ |= step_[i] % 4 == 0;
      if (step_[i] == arrays_.length) {
        stop(i, WalkerState::kFinished);
      } else if (!arrays_.holds(next)) {
        stop(i, WalkerState::kLeft);
      }
      arrays_.prefetch_row(next);
    }
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
  std::size_t next_ = 0;
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

template <bool kWeighted>
void advance_first_order(const WalkArrays& arrays, const WalkerBatch& batch) {
  if (arrays.restart_share > 0) {
    FirstOrderKernel<kWeighted, true>(arrays, batch).run();
  } else {
    FirstOrderKernel<kWeighted, false>(arrays, batch).run();
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
