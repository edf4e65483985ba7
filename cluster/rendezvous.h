// How the processes of a job find each other's servers: MPI carries the endpoints, so there is no port to choose, no
// shared disk and no directory service.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "cluster/communicator.h"

namespace knotwork::cluster {

struct RendezvousOptions {
  /// Interface (eth0), address, or network (10.0.0.0/8) for traffic between hosts; empty: the address that the host
  /// name resolves to, or the first that is no loopback.
  std::string network;
  /// Between ranks of one host: Unix domain sockets (ipc://) rather than TCP on 127.0.0.1.
  bool ipc = false;
};

/// What a server of this rank should bind ("tcp://10.77.0.1:*"; '*': the system chooses a port). If all ranks share a
/// loopback interface the server listens on nothing else. Collective. Throws ClusterError.
std::string bind_endpoint(Communicator& communicator, const RendezvousOptions& options = {});

/// Every rank's endpoint, by rank, from each rank's own (as its server reports it once it is bound). Collective.
std::vector<std::string> exchange_endpoints(Communicator& communicator, const std::string& own);

/// Every rank's host name, by rank. Collective.
std::vector<std::string> host_names(Communicator& communicator);

/// A number for this job, drawn by rank 0 from the system's entropy, never 0. Collective.
std::uint64_t draw_job_id(Communicator& communicator);

}  // namespace knotwork::cluster
