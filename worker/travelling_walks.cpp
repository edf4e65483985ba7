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

/// A message is: this header, the walkers, then stretches to its end. All ranks run the same build (a job's ranks check
/// that at the start), so structs travel as they are.
struct MessageHeader {
  std::uint64_t walkers;
  /// To all ranks together: who hears of none from anybody knows that all walks are finished.
  std::uint64_t walkers_of_sender;
};

template <typename T>
void append(cluster::Bytes& out, std::span<const T> values) {
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
    const std::vector<cluster::Bytes> incoming = communicator_.exchange(settle(visits, batch));
    ++counters_.rounds;
    visits = unpack(incoming, batch);
    if (visits.walkers_underway == 0) return;
  }
}

TravellingWalks::Visits TravellingWalks::begin(std::span<const WalkStart> starts) {
  Visits visits;
  make_room(starts.size());
  for (std::uint32_t slot = 0; slot < starts.size(); ++slot) {
    visits.add(engine_.start_walker(starts[slot], slot, static_cast<std::uint32_t>(communicator_.rank())), 0);
    paths_[std::size_t{slot} * engine_.options().length] = starts[slot].node;
  }
  return visits;
}

/// Never shrinks: paths are megabytes, and cleared memory is of no use.
void TravellingWalks::make_room(std::size_t walkers) {
  paths_.resize(std::max(paths_.size(), walkers * engine_.options().length));
}

void TravellingWalks::advance(Visits& visits) {
  const std::uint32_t stride = engine_.options().length;
  visits.states.resize(visits.walkers.size());
  make_room(visits.walkers.size());
  const std::size_t tasks = (visits.walkers.size() + kWalkersPerTask - 1) / kWalkersPerTask;
#pragma omp parallel for schedule(dynamic) num_threads(threads_)
  for (std::size_t task = 0; task < tasks; ++task) {
    const std::size_t first = task * kWalkersPerTask;
    const std::size_t count = std::min(kWalkersPerTask, visits.walkers.size() - first);
    engine_.advance(std::span(visits.walkers).subspan(first, count), std::span(visits.states).subspan(first, count),
                    paths_, stride);
  }
}

TravellingWalks::Outgoing TravellingWalks::settle(const Visits& visits, WalkBatch& batch) {
  std::vector<std::vector<Walker>> leaving(communicator_.size());
  Outgoing stretches(communicator_.size());
  for (std::size_t i = 0; i < visits.walkers.size(); ++i) {
    Walker walker = visits.walkers[i];
    walker.slot = visits.home_slots[i];
    const StretchHeader stretch{walker.slot, visits.first_steps[i], walker.step - visits.first_steps[i]};
    const GlobalNode* const nodes = paths_.data() + i * batch.stride + stretch.first_step;
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
  return pack(leaving, stretches);
}

TravellingWalks::Outgoing TravellingWalks::pack(std::span<const std::vector<Walker>> leaving,
                                                std::span<const cluster::Bytes> stretches) {
  MessageHeader header{};
  for (const auto& walkers : leaving) header.walkers_of_sender += walkers.size();
  counters_.walkers_sent += header.walkers_of_sender;
  Outgoing outgoing(leaving.size());
  for (std::size_t rank = 0; rank < outgoing.size(); ++rank) {
    header.walkers = leaving[rank].size();
    outgoing[rank].reserve(sizeof(header) + leaving[rank].size() * sizeof(Walker) + stretches[rank].size());
    append(outgoing[rank], std::span<const MessageHeader>(&header, 1));
    append(outgoing[rank], std::span<const Walker>(leaving[rank]));
    append(outgoing[rank], std::span<const std::byte>(stretches[rank]));
    if (static_cast<cluster::Rank>(rank) != communicator_.rank()) counters_.bytes_sent += outgoing[rank].size();
  }
  return outgoing;
}

TravellingWalks::Visits TravellingWalks::unpack(std::span<const cluster::Bytes> incoming, WalkBatch& batch) const {
  Visits visits;
  for (std::span<const std::byte> message : incoming) {
    const auto header = take<MessageHeader>(message);
    visits.walkers_underway += header.walkers_of_sender;
    for (std::uint64_t i = 0; i < header.walkers; ++i) {
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
