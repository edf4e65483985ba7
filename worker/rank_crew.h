// A crew of ranks (embeddings/crew.h): all tables lie in memory that the ranks of one host share.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "cluster/communicator.h"
#include "cluster/shared_memory.h"
#include "embeddings/crew.h"

namespace knotwork::worker {

class RankCrew final : public embeddings::Crew {
 public:
  /// `communicator` must outlive this. One rank alone takes its own memory.
  RankCrew(cluster::Communicator& communicator, unsigned threads) : Crew(threads), communicator_(communicator) {}

  unsigned rank() const override { return static_cast<unsigned>(communicator_.rank()); }
  unsigned size() const override { return static_cast<unsigned>(communicator_.size()); }
  void wait_for_all() override {
    if (size() > 1) communicator_.barrier();
  }
  /// Throws ClusterError if the ranks can't share (more) memory.
  std::span<std::byte> allocate(std::size_t bytes) override;

 private:
  cluster::Communicator& communicator_;
  std::vector<cluster::SharedMemory> shared_;
};

}  // namespace knotwork::worker
