// Which address of this machine other machines should use (getifaddrs(3)). IPv4 for now.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace knotwork::cluster {

/// An address of an interface that is up.
struct HostAddress {
  std::string interface;
  std::string address;  // Dotted.
  bool loopback = false;
  bool has_carrier = true;  // False: the link is down, though the interface is up.
};

/// The machine's addresses in the kernel's order. Throws ClusterError.
std::vector<HostAddress> host_addresses();

/// Whether `address` lies in `network`, written as 10.77.0.0/24. Throws ClusterError if either can't be read.
bool in_network(std::string_view address, std::string_view network);

/// Chooses among `candidates`. `wanted` is an interface name (eth0), an address, or a network (10.0.0.0/8); the first
/// that matches is taken. If `wanted` is empty: `resolved` (what the host name resolves to; may be empty) if it is one
/// of the candidates and no loopback, otherwise the first that is no loopback. Throws ClusterError that lists what
/// there is.
std::string choose_address(const std::vector<HostAddress>& candidates, std::string_view wanted,
                           std::string_view resolved);

/// The IPv4 address that a host name resolves to; empty if none.
std::string resolve(const std::string& host);

/// The interface that has this address of the machine; "?" if none has.
std::string interface_of(const std::string& address);

/// This machine's name.
std::string host_name();

/// Equal for processes that share a loopback interface: the host's name and its network namespace (so two containers or
/// namespaces of one machine differ).
std::string loopback_identity();

}  // namespace knotwork::cluster
