// Walks over a graph whose parts lie on several ranks: a walker that leaves its rank's slice travels by MPI to the next
// owner, and each stretch of path it makes there is sent home, where the walk began and will be trained.
//
// Rounds are collective: every rank advances the walkers it has, then all exchange walkers and path stretches, until
// nobody moves any more. The random numbers are keyed by start node, walk and step (embeddings/walk.h), so the walks
// are those of one rank that holds the whole graph.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "cluster/communicator.h"
#include "embeddings/walk.h"
#include "worker/graph_distribution.h"

namespace knotwork::worker {

/// What crossing parts cost, summed over this rank's calls.
struct TravelCounters {
  std::uint64_t rounds = 0;
  std::uint64_t walkers_sent = 0;
  std::uint64_t bytes_sent = 0;

  TravelCounters& operator+=(const TravelCounters& other) {
    rounds += other.rounds;
    walkers_sent += other.walkers_sent;
    bytes_sent += other.bytes_sent;
    return *this;
  }
};

class TravellingWalks {
 public:
  /// Arguments must outlive the object. `threads` advance this rank's walkers.
  TravellingWalks(cluster::Communicator& communicator, const DistributedGraph& graph,
                  const embeddings::WalkEngine& engine, unsigned threads);

  /// Collective: every rank calls it as often, with its own starts (or none). Fills `batch` with the walks of `starts`.
  void generate(std::span<const embeddings::WalkStart> starts, embeddings::WalkBatch& batch);

  const TravelCounters& counters() const { return counters_; }

 private:
  /// Walkers at hand in this round; the stretch of path that walker i makes here is row i of paths_.
  struct Visits {
    std::vector<embeddings::Walker> walkers;
    std::vector<std::uint32_t> home_slots;
    std::vector<std::uint32_t> first_steps;
    std::vector<embeddings::WalkerState> states;
    /// Walkers that only came to ask about an arc held here; they go back with the answer.
    std::vector<embeddings::Walker> answered;
    /// Of all ranks, to any rank.
    std::uint64_t walkers_underway = 0;
    void add(embeddings::Walker walker, std::uint32_t first_step);
  };
  using Outgoing = std::vector<cluster::Bytes>;  // by rank

  Visits begin(std::span<const embeddings::WalkStart> starts);
  void advance(Visits& visits);
  void make_room(std::size_t walkers);
  /// Writes the stretches of walks that began here; packs the others, and the walkers that go on, for their ranks.
  Outgoing settle(const Visits& visits, embeddings::WalkBatch& batch);
  Outgoing pack(std::span<const std::vector<embeddings::Walker>> leaving, std::span<const cluster::Bytes> stretches);
  Visits unpack(std::span<const cluster::Bytes> incoming, embeddings::WalkBatch& batch) const;
  int owner_of(partition::GlobalNode node) const;

  cluster::Communicator& communicator_;
  const DistributedGraph& graph_;
  const embeddings::WalkEngine& engine_;
  unsigned threads_;
  /// Of the round at hand, walkers * stride of the batch or more; what lies before a walker's first step here is old.
  std::vector<partition::GlobalNode> paths_;
  TravelCounters counters_;
};

}  // namespace knotwork::worker
