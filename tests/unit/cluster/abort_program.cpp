// Rank 1 throws while the others wait in a barrier: the whole job must end, with rank 1's message and code.
#include <stdexcept>

#include "cluster/communicator.h"

int main() {
  namespace cluster = knotwork::cluster;
  const auto communicator = cluster::connect();
  return cluster::run_or_abort(
      *communicator,
      [&] {
        if (communicator->rank() == 1) throw std::runtime_error("rank one has had enough");
        communicator->barrier();
        return 0;
      },
      [](const std::exception&) { return 42; });
}
