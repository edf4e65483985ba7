// The parameter servers of all ranks: starts this rank's, tells the others where it listens, and connects clients.
//
// Ranks that share a loopback interface talk over it, the others over the network. Between hosts rows are encrypted:
// each server makes a key pair, rank 0 one for all clients of the job, and MPI carries what others need of them. No key
// is ever written anywhere.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <zmq.hpp>

#include "cluster/communicator.h"
#include "ps/client.h"
#include "ps/client_meter.h"
#include "ps/curve.h"
#include "ps/server.h"
#include "ps/shard.h"

namespace knotwork::worker {

/// Which connections are encrypted.
enum class Encryption : std::uint8_t {
  kAuto,    ///< those between hosts
  kAlways,  ///< those within a host, too
  kNever,
};

struct RowServerOptions {
  /// How long clients wait for a server that is silent.
  int timeout_ms = 30'000;
  /// Interface, address or network between hosts: see cluster::RendezvousOptions.
  std::string network;
  Encryption encryption = Encryption::kAuto;
  /// Within a host: Unix domain sockets instead of TCP on the loopback interface.
  bool ipc = false;
  /// How rows travel, but for `exact_tables`.
  ps::RowFormat row_format = ps::RowFormat::kFloat32;
  /// As bfloat16 all the same if ranks are on several hosts.
  bool rounds_between_hosts = false;
  std::vector<ps::TableIndex> exact_tables;
};

class RowServers {
 public:
  /// Collective. `shard` has all its tables, and must outlive this; server r is rank r's. Alone, nothing is opened.
  /// Throws cluster::ClusterError, std::runtime_error.
  RowServers(cluster::Communicator& communicator, ps::Shard& shard, RowServerOptions options);

  /// A client of all servers; the own one is served in place. One for each thread that needs one.
  std::unique_ptr<ps::Client> connect();

  /// What the clients of this rank count, all together. Any thread.
  const ps::ClientMeter& meter() const { return meter_; }

  /// Null if this rank is alone.
  const ps::Server* own() const { return server_.get(); }
  /// Where this rank reaches the others, by rank; empty for itself.
  const std::vector<std::string>& endpoints() const { return endpoints_; }
  /// Whether the connection to each server is encrypted.
  bool is_encrypted(ps::ServerIndex server) const { return !client_options_.server_keys.at(server).empty(); }

 private:
  struct Place;
  void start(cluster::Communicator& communicator);
  Place open_own(const std::vector<std::string>& hosts, std::uint64_t job_id, std::uint64_t configuration);
  ps::CurveKeyPair share_client_keys(cluster::Communicator& communicator);
  void meet_others(const std::vector<Place>& places);

  RowServerOptions options_;
  ps::Shard& shard_;
  ps::ServerIndex rank_;
  zmq::context_t context_;  // Outlives all sockets.
  std::optional<ps::CurveGate> gate_;
  std::unique_ptr<ps::Server> server_;
  std::vector<std::string> endpoints_;
  ps::ClientOptions client_options_;
  ps::ClientMeter meter_;
};

}  // namespace knotwork::worker
