#include "worker/rank_crew.h"

#include <optional>
#include <utility>

namespace knotwork::worker {

std::span<std::byte> RankCrew::allocate(std::size_t bytes) {
  if (size() == 1) return Crew::allocate(bytes);
  std::optional<cluster::SharedMemory> memory = cluster::share_memory(communicator_, bytes);
  if (!memory) throw cluster::ClusterError("the system has no more memory that processes can share");
  return shared_.emplace_back(std::move(*memory)).bytes().first(bytes);
}

}  // namespace knotwork::worker
