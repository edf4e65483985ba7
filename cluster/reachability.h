// Whether processes can reach each other by TCP: each listens and answers with its own name, and connects to all others
// at once with one deadline for all. Nothing here knows MPI. POSIX sockets, IPv4.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

namespace knotwork::cluster {

/// What a listener says to whoever connects: proof that the right process answers, not somebody else's service (or the
/// same private address on another host).
struct Identity {
  std::uint64_t job_id = 0;
  std::int32_t rank = 0;
  bool operator==(const Identity&) const = default;
};

/// A TCP port that answers every connection with an Identity, from a thread of its own, until it is destroyed.
class Listener {
 public:
  /// Binds `address` (dotted) at `port`; 0: the system chooses. Throws ClusterError.
  Listener(const std::string& address, std::uint16_t port, Identity identity);
  ~Listener();
  Listener(const Listener&) = delete;
  Listener& operator=(const Listener&) = delete;

  std::uint16_t port() const { return port_; }

 private:
  struct State;
  std::unique_ptr<State> state_;
  std::uint16_t port_ = 0;
};

/// A listener to be reached.
struct Destination {
  std::string address;
  std::uint16_t port = 0;
  Identity expected;
};

/// Connections that are open at a time: far below the usual limit of 1,024 descriptors.
inline constexpr std::size_t kMostConnectionsAtOnce = 512;

/// Connects to all destinations in parallel, reads who answers, and returns one text for each: empty if the right one
/// answered, otherwise why not ("no answer within 5 s"). Returns within about `timeout` for each 512 destinations: so
/// many connections are open at a time.
std::vector<std::string> connect_to_all(std::span<const Destination> destinations, std::chrono::milliseconds timeout);

}  // namespace knotwork::cluster
