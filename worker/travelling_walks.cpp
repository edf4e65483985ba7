#include "worker/travelling_walks.h"

#include <algorithm>
#include <cstring>

#include "partition/ids.h"

namespace knotwork::worker {

using embeddings::WalkBatch;
using embeddings::Walker;
using embeddings::WalkerState;
using embeddings::WalkStart;
using partition::GlobalNode;

namespace {

/// Walkers that one thread advances at a time: enough to hide memory latency, few enough to share out evenly.
constexpr std::size_t kWalkersPerTask = 256;

/// A stretch of a path on its way home; `count` global nodes follow it.
struct StretchHeader {
  std::uint32_t slot;
  std::uint32_t first_step;
  std::uint32_t count;
};

/// A message is: the number of walkers (8 bytes), the walkers, then stretches to its end. All ranks run the same build
/// (a job's ranks check that at the start), so structs travel as they are.
template <typename T>
void append(std::vector<std::byte>& out, std::span<const T> values) {
  const auto bytes = std::as_bytes(values);
  out.insert(out.end(), bytes.begin(), bytes.end());
}

template <typename T>
T take(std::span<const std::byte>& in) {
  T value;
  std::memcpy(&value, in.data(), sizeof(T));
  in = in.subspan(sizeof(T));
  return value;
}

void write_stretch(WalkBatch& batch, const StretchHeader& stretch, const void* nodes) {
  const std::size_t position = std::size_t{stretch.slot} * batch.stride + stretch.first_step;
  std::memcpy(batch.paths.data() + position, nodes, stretch.count * sizeof(GlobalNode));
  batch.lengths[stretch.slot] = std::max(batch.lengths[stretch.slot], stretch.first_step + stretch.count);
}

}  // namespace

TravellingWalks::TravellingWalks(cluster::Communicator& communicator, const DistributedGraph& graph,
                                 const embeddings::WalkEngine& engine, unsigned threads)
    : communicator_(communicator), graph_(graph), engine_(engine), threads_(threads) {}

void TravellingWalks::Visits::add(Walker walker, std::uint32_t first_step) {
  home_slots.push_back(walker.slot);
  first_steps.push_back(first_step);
  walker.slot = static_cast<std::uint32_t>(walkers.size());
  walkers.push_back(walker);
}

void TravellingWalks::generate(std::span<const WalkStart> starts, WalkBatch& batch) {
  batch.stride = engine_.options().length;
  batch.paths.resize(starts.size() * batch.stride);
  batch.lengths.assign(starts.size(), 0);
  Visits visits = begin(starts);
  while (true) {
    advance(visits);
    const Outgoing outgoing = settle(visits, batch);
    std::uint64_t travelling = 0;
    for (const auto& message : outgoing) travelling += message.size();
    counters_.bytes_sent += travelling;
    if (communicator_.allreduce(travelling, cluster::Reduction::kSum) == 0) return;
    ++counters_.rounds;
    visits = unpack(communicator_.exchange(outgoing), batch);
  }
}

TravellingWalks::Visits TravellingWalks::begin(std::span<const WalkStart> starts) const {
  Visits visits;
  visits.paths.resize(starts.size() * engine_.options().length);
  for (std::uint32_t slot = 0; slot < starts.size(); ++slot) {
    visits.add(engine_.start_walker(starts[slot], slot, static_cast<std::uint32_t>(communicator_.rank())), 0);
    visits.paths[std::size_t{slot} * engine_.options().length] = starts[slot].node;
  }
  return visits;
}

void TravellingWalks::advance(Visits& visits) const {
  const std::uint32_t stride = engine_.options().length;
  visits.states.resize(visits.walkers.size());
  visits.paths.resize(visits.walkers.size() * stride);
  const std::size_t tasks = (visits.walkers.size() + kWalkersPerTask - 1) / kWalkersPerTask;
#pragma omp parallel for schedule(dynamic) num_threads(threads_)
  for (std::size_t task = 0; task < tasks; ++task) {
    const std::size_t first = task * kWalkersPerTask;
    const std::size_t count = std::min(kWalkersPerTask, visits.walkers.size() - first);
    engine_.advance(std::span(visits.walkers).subspan(first, count), std::span(visits.states).subspan(first, count),
                    visits.paths, stride);
  }
}

TravellingWalks::Outgoing TravellingWalks::settle(const Visits& visits, WalkBatch& batch) {
  std::vector<std::vector<Walker>> leaving(communicator_.size());
  Outgoing stretches(communicator_.size());
  for (std::size_t i = 0; i < visits.walkers.size(); ++i) {
    Walker walker = visits.walkers[i];
    walker.slot = visits.home_slots[i];
    const StretchHeader stretch{walker.slot, visits.first_steps[i], walker.step - visits.first_steps[i]};
    const GlobalNode* const nodes = visits.paths.data() + i * batch.stride + stretch.first_step;
    if (walker.home_rank == static_cast<std::uint32_t>(communicator_.rank())) {
      write_stretch(batch, stretch, nodes);
    } else if (stretch.count > 0) {
      append(stretches[walker.home_rank], std::span(&stretch, 1));
      append(stretches[walker.home_rank], std::span(nodes, stretch.count));
    }
    if (visits.states[i] == WalkerState::kLeft) leaving[owner_of(walker.node)].push_back(walker);
    if (visits.states[i] == WalkerState::kAskAdjacency) leaving[owner_of(walker.previous)].push_back(walker);
  }
  for (const Walker& walker : visits.answered) leaving[owner_of(walker.node)].push_back(walker);
  Outgoing outgoing(communicator_.size());
  for (int rank = 0; rank < communicator_.size(); ++rank) {
    if (leaving[rank].empty() && stretches[rank].empty()) continue;
    const std::uint64_t walker_count = leaving[rank].size();
    counters_.walkers_sent += walker_count;
    append(outgoing[rank], std::span(&walker_count, 1));
    append(outgoing[rank], std::span<const Walker>(leaving[rank]));
    append(outgoing[rank], std::span<const std::byte>(stretches[rank]));
  }
  return outgoing;
}

TravellingWalks::Visits TravellingWalks::unpack(std::span<const std::vector<std::byte>> incoming,
                                                WalkBatch& batch) const {
  Visits visits;
  for (std::span<const std::byte> message : incoming) {
    if (message.empty()) continue;
    for (auto count = take<std::uint64_t>(message); count > 0; --count) {
      auto walker = take<Walker>(message);
      if (graph_.slice.holds(walker.node)) {
        visits.add(walker, walker.step);
      } else {  // it came with a question about `previous`
        engine_.answer(walker);
        visits.answered.push_back(walker);
      }
    }
    while (!message.empty()) {
      const auto stretch = take<StretchHeader>(message);
      write_stretch(batch, stretch, message.data());
      message = message.subspan(stretch.count * sizeof(GlobalNode));
    }
  }
  return visits;
}

int TravellingWalks::owner_of(GlobalNode node) const {
  const auto& bounds = graph_.rank_bounds;
  return static_cast<int>(std::upper_bound(bounds.begin(), bounds.end(), node) - bounds.begin()) - 1;
}

}  // namespace knotwork::worker
