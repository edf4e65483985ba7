#include "cluster/rendezvous.h"

#include <algorithm>
#include <random>

#include "cluster/host_address.h"

namespace knotwork::cluster {

std::string bind_endpoint(Communicator& communicator, const RendezvousOptions& options) {
  const std::vector<std::string> identities = communicator.all_gather(loopback_identity());
  const bool one_host = std::all_of(identities.begin(), identities.end(),
                                    [&](const std::string& identity) { return identity == identities[0]; });
  if (one_host && options.ipc) return "ipc://*";
  if (one_host && options.network.empty()) return "tcp://127.0.0.1:*";
  const std::string address = choose_address(host_addresses(), options.network, resolve(host_name()));
  return "tcp://" + address + ":*";
}

std::vector<std::string> exchange_endpoints(Communicator& communicator, const std::string& own) {
  return communicator.all_gather(own);
}

std::vector<std::string> host_names(Communicator& communicator) {
  return communicator.all_gather(host_name());
}

std::uint64_t draw_job_id(Communicator& communicator) {
  std::uint64_t id = 0;
  if (communicator.is_root()) {
    std::random_device device;
    while (id == 0) id = (std::uint64_t{device()} << 32) | device();
  }
  // The others contribute 0: the maximum is the root's number.
  return communicator.allreduce(id, Reduction::kMax);
}

}  // namespace knotwork::cluster
