// Node2vec walks (Grover and Leskovec, KDD 2016) by rejection sampling (Yang et al., KnightKing, SOSP 2019, section 4),
// uniform or weighted, with restart. A round is one trial of every lane, in stages: draw an arc and prefetch its
// target; decide, where the random word alone does, and else prefetch the candidate's row; search the shorter of the
// two lists for the arc (previous, candidate), all lanes' searches interleaved; settle.
#include <algorithm>

#include "embeddings/list_search.h"
#include "embeddings/walk_kernels.h"
#include "partition/random.h"

namespace knotwork::embeddings {

namespace {

using partition::ArcIndex;
using partition::kInvalidNode;

constexpr std::uint32_t kLanes = 128;
static_assert(kLanes <= kMaxLanes);
constexpr std::uint8_t kRunning = 0xff;

template <bool kWeighted, bool kIdentity>
class SecondOrderKernel {
 public:
  SecondOrderKernel(const WalkArrays& arrays, const WalkerBatch& batch) : arrays_(arrays), batch_(batch) {}

  void run() {
    while (load()) {
      while (!stopped_) {
        fill_random_lanes(arrays_.seed, random_, active_);
        read_rows();
        propose();
        decide();
        if (ask_count_ > 0) settle_questions();
        move();
      }
      unload();
    }
  }

 private:
  struct Row {
    ArcIndex begin = 0;
    std::uint32_t degree = 0;  ///< 0: not held by this slice (or nothing there)
  };

  /// What becomes of a lane's proposal. Bit 0: accepted; from kRestart on: rare.
  enum Verdict : std::uint8_t { kReject = 0, kAccept = 1, kRestart = 2, kHold = 4 };

  std::uint32_t rank(GlobalNode node) const {
    if constexpr (kIdentity) return node;
    return arrays_.degree_rank[node];
  }

  Row row_of(GlobalNode node) const {
    if (!arrays_.holds(node)) return {};
    const ArcIndex* const offset = arrays_.offsets + (node - arrays_.first_node);
    return {offset[0], static_cast<std::uint32_t>(offset[1] - offset[0])};
  }

  bool load() {
    while (active_ < kLanes && next_ < batch_.walkers.size()) {
      Walker& walker = batch_.walkers[next_];
      if (walker.candidate != kInvalidNode && (walker.trial & kCandidateAccepted) != 0) take_candidate(walker);
      if (walker.step >= arrays_.length || !arrays_.holds(walker.node)) {
        batch_.states[next_++] = walker.step >= arrays_.length ? WalkerState::kFinished : WalkerState::kLeft;
        continue;
      }
      load_lane(active_++, walker);
      ++next_;
    }
    stopped_ = false;
    return active_ > 0;
  }

  // The step that another slice's answer allowed.
  void take_candidate(Walker& walker) const {
    batch_.paths[static_cast<std::size_t>(walker.slot) * batch_.stride + walker.step] = walker.candidate;
    ++walker.step;
    walker.previous = walker.node;
    walker.node = walker.candidate;
    walker.candidate = kInvalidNode;
    walker.trial = 0;
  }

  void load_lane(std::uint32_t lane, const Walker& walker) {
    random_.node[lane] = walker.start_original;
    random_.walk[lane] = walker.walk;
    random_.counter[lane] = walker.step;
    random_.trial[lane] = walker.trial;
    node_[lane] = walker.node;
    start_[lane] = walker.start;
    previous_[lane] = walker.previous;
    previous_row_[lane] = walker.previous == kInvalidNode ? Row{} : row_of(walker.previous);
    candidate_[lane] = kInvalidNode;
    item_[lane] = static_cast<std::uint32_t>(next_);
    slot_[lane] = batch_.paths.data() + static_cast<std::size_t>(walker.slot) * batch_.stride + walker.step;
    state_[lane] = kRunning;
    arrays_.prefetch_row(walker.node);
  }

  void read_rows() {
    for (std::uint32_t i = 0; i < active_; ++i) {
      const ArcIndex* const offset = arrays_.offsets + (node_[i] - arrays_.first_node);
      row_[i] = {offset[0], static_cast<std::uint32_t>(offset[1] - offset[0])};
    }
  }

  // Draws an arc for every lane that does not end, jump or return at once.
  void propose() {
    proposal_count_ = 0;
    const AcceptanceRule& rule = arrays_.rule;
    for (std::uint32_t i = 0; i < active_; ++i) {
      const Row row = row_[i];
      if (row.degree == 0) {
        verdict_[i] = kHold;
        stop(i, WalkerState::kFinished);
      } else if ((random_.trial[i] == 0) & (random_.words[2][i] < arrays_.restart_share)) {
        verdict_[i] = kRestart;
      } else if (rule.folds_return && previous_[i] != kInvalidNode &&
                 random_.words[3][i] * (row.degree * rule.envelope + rule.surplus) < rule.surplus * 0x1.0p32) {
        candidate_[i] = previous_[i];
        verdict_[i] = kAccept;
      } else if constexpr (kWeighted) {
        proposer_[proposal_count_++] = i;
        searches_.add(arrays_.cumulative, row.begin, row.degree, random_.words[0][i]);
      } else {
        proposer_[proposal_count_++] = i;
        arc_[i] = row.begin + partition::bounded(random_.words[0][i], row.degree);
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
      arc_[proposer_[k]] = found + (arrays_.cumulative[found] < searches_.wanted[k] ? 1 : 0);
      __builtin_prefetch(arrays_.targets + arc_[proposer_[k]]);
    }
    searches_.count = 0;
  }

  // Free of branches that depend on random numbers: they would be mispredicted half of the time.
  void decide() {
    ask_count_ = 0;
    const AcceptanceRule& rule = arrays_.rule;
    for (std::uint32_t k = 0; k < proposal_count_; ++k) {
      const std::uint32_t i = proposer_[k];
      const GlobalNode candidate = arrays_.targets[arc_[i]];
      const std::uint64_t word = random_.words[1][i];
      candidate_[i] = candidate;
      arrays_.prefetch_row(candidate);
      const bool forced = previous_[i] == kInvalidNode || row_[i].degree == 1;
      const bool returns = candidate == previous_[i];
      const std::uint64_t sure = returns ? rule.return_share : rule.sure_share;
      const bool accepted = forced | (word < sure);
      const bool asks = !accepted & !returns & (word < rule.open_share);
      verdict_[i] = accepted ? kAccept : kReject;
      asker_[ask_count_] = i;
      ask_count_ += asks ? 1 : 0;
    }
  }

  void settle_questions() {
    searches_.count = 0;
    std::uint32_t searching = 0;
    for (std::uint32_t k = 0; k < ask_count_; ++k) {
      const std::uint32_t i = asker_[k];
      const Row of_previous = previous_row_[i];
      const Row of_candidate = arrays_.directed ? Row{} : row_of(candidate_[i]);
      if (of_previous.degree == 0 && of_candidate.degree == 0) {
        verdict_[i] = kHold;
        stop(i, WalkerState::kAskAdjacency);
        continue;
      }
      const bool in_candidate =
          of_previous.degree == 0 || (of_candidate.degree != 0 && of_candidate.degree < of_previous.degree);
      const Row list = in_candidate ? of_candidate : of_previous;
      asker_[searching++] = i;
      searches_.add(arrays_.targets, list.begin, list.degree, rank(in_candidate ? previous_[i] : candidate_[i]));
    }
    const auto key_at = [this](ArcIndex position) { return rank(arrays_.targets[position]); };
    searches_.run(arrays_.targets, key_at);
    for (std::uint32_t k = 0; k < searching; ++k) {
      const bool adjacent = key_at(searches_.base[k]) == searches_.wanted[k];
      verdict_[asker_[k]] = adjacent == arrays_.rule.adjacent_accepts ? kAccept : kReject;
    }
    searches_.count = 0;
  }

  // Accepting and rejecting are one path of selects; the slot behind the path's end may be written to freely.
  void move() {
    const std::uint32_t active = active_;
    const std::uint32_t length = arrays_.length;
    bool rare = false;
    for (std::uint32_t i = 0; i < active; ++i) {
      const std::uint32_t accepted = verdict_[i] & 1U;
      const bool accept = accepted != 0;
      rare |= verdict_[i] >= kRestart;
      *slot_[i] = candidate_[i];
      slot_[i] += accepted;
      random_.counter[i] += accepted;
      random_.trial[i] = accept ? 0 : random_.trial[i] + 1;
      previous_[i] = accept ? node_[i] : previous_[i];
      previous_row_[i].begin = accept ? row_[i].begin : previous_row_[i].begin;
      previous_row_[i].degree = accept ? row_[i].degree : previous_row_[i].degree;
      node_[i] = accept ? candidate_[i] : node_[i];
      rare |= (random_.counter[i] == length) | !arrays_.holds(node_[i]);
    }
    if (rare) move_rare();
  }

  // Restarts, ends, and walkers that left.
  void move_rare() {
    for (std::uint32_t i = 0; i < active_; ++i) {
      if (verdict_[i] == kHold) {
        --random_.trial[i];
        continue;
      }
      if (verdict_[i] == kRestart) restart(i);
      if (random_.counter[i] == arrays_.length) {
        stop(i, WalkerState::kFinished);
      } else if (!arrays_.holds(node_[i])) {
        stop(i, WalkerState::kLeft);
      }
    }
  }

  void restart(std::uint32_t lane) {
    node_[lane] = start_[lane];
    previous_[lane] = kInvalidNode;
    previous_row_[lane] = {};
    *slot_[lane]++ = start_[lane];
    ++random_.counter[lane];
    random_.trial[lane] = 0;
    arrays_.prefetch_row(start_[lane]);
  }

  void stop(std::uint32_t lane, WalkerState state) {
    state_[lane] = static_cast<std::uint8_t>(state);
    stopped_ = true;
  }

  void unload() {
    for (std::uint32_t i = active_; i-- > 0;) {
      if (state_[i] == kRunning) continue;
      const auto state = static_cast<WalkerState>(state_[i]);
      Walker& walker = batch_.walkers[item_[i]];
      walker.node = node_[i];
      walker.previous = previous_[i];
      walker.step = random_.counter[i];
      walker.trial = random_.trial[i];
      walker.candidate = state == WalkerState::kAskAdjacency ? candidate_[i] : kInvalidNode;
      batch_.states[item_[i]] = state;
      move_lane(--active_, i);
    }
  }

  void move_lane(std::uint32_t from, std::uint32_t to) {
    random_.node[to] = random_.node[from];
    random_.walk[to] = random_.walk[from];
    random_.counter[to] = random_.counter[from];
    random_.trial[to] = random_.trial[from];
    node_[to] = node_[from];
    start_[to] = start_[from];
    previous_[to] = previous_[from];
    previous_row_[to] = previous_row_[from];
    item_[to] = item_[from];
    slot_[to] = slot_[from];
    state_[to] = state_[from];
  }

  const WalkArrays arrays_;
  const WalkerBatch batch_;
  std::size_t next_ = 0;
  std::uint32_t active_ = 0;
  std::uint32_t proposal_count_ = 0;
  std::uint32_t ask_count_ = 0;
  bool stopped_ = false;
  /// counter: the step; trial: the trial.
  RandomLanes random_;
  GlobalNode node_[kLanes];
  GlobalNode start_[kLanes];
  GlobalNode previous_[kLanes];
  GlobalNode candidate_[kLanes];
  Row row_[kLanes];
  Row previous_row_[kLanes];
  ArcIndex arc_[kLanes];
  GlobalNode* slot_[kLanes];
  std::uint32_t item_[kLanes];
  std::uint32_t proposer_[kLanes];
  std::uint32_t asker_[kLanes];
  Verdict verdict_[kLanes];
  std::uint8_t state_[kLanes];
  ListSearches searches_;
};

template <bool kWeighted>
void advance_second_order(const WalkArrays& arrays, const WalkerBatch& batch) {
  if (arrays.degree_rank == nullptr) {
    SecondOrderKernel<kWeighted, true>(arrays, batch).run();
  } else {
    SecondOrderKernel<kWeighted, false>(arrays, batch).run();
  }
}

}  // namespace

void advance_node2vec(const WalkArrays& arrays, const WalkerBatch& batch) {
  advance_second_order<false>(arrays, batch);
}

void advance_weighted_node2vec(const WalkArrays& arrays, const WalkerBatch& batch) {
  advance_second_order<true>(arrays, batch);
}

}  // namespace knotwork::embeddings
