#include "cluster/host_address.h"

#include <algorithm>
#include <arpa/inet.h>
#include <array>
#include <cerrno>
#include <charconv>
#include <cstdint>
#include <cstring>
#include <ifaddrs.h>
#include <memory>
#include <net/if.h>
#include <netdb.h>
#include <netinet/in.h>
#include <unistd.h>

#include "cluster/communicator.h"

namespace knotwork::cluster {

namespace {

constexpr int kAddressBits = 32;

std::string dotted(const sockaddr* address) {
  std::array<char, INET_ADDRSTRLEN> text{};
  const auto* ipv4 = reinterpret_cast<const sockaddr_in*>(address);
  inet_ntop(AF_INET, &ipv4->sin_addr, text.data(), text.size());
  return text.data();
}

std::uint32_t bits_of(std::string_view address) {
  in_addr parsed{};
  if (inet_pton(AF_INET, std::string(address).c_str(), &parsed) != 1) {
    throw ClusterError("'" + std::string(address) + "' is no IPv4 address");
  }
  return ntohl(parsed.s_addr);
}

}  // namespace

std::vector<HostAddress> host_addresses() {
  ifaddrs* first = nullptr;
  if (getifaddrs(&first) != 0) throw ClusterError(std::string("getifaddrs: ") + std::strerror(errno));
  const std::unique_ptr<ifaddrs, decltype(&freeifaddrs)> list(first, &freeifaddrs);
  std::vector<HostAddress> found;
  for (const ifaddrs* at = first; at != nullptr; at = at->ifa_next) {
    if (at->ifa_addr == nullptr || at->ifa_addr->sa_family != AF_INET || (at->ifa_flags & IFF_UP) == 0) continue;
    found.push_back(
        {at->ifa_name, dotted(at->ifa_addr), (at->ifa_flags & IFF_LOOPBACK) != 0, (at->ifa_flags & IFF_RUNNING) != 0});
  }
  return found;
}

bool in_network(std::string_view address, std::string_view network) {
  const std::size_t slash = network.find('/');
  const std::string_view length = slash == std::string_view::npos ? "" : network.substr(slash + 1);
  int bits = -1;
  const auto [end, error] = std::from_chars(length.data(), length.data() + length.size(), bits);
  if (error != std::errc() || end != length.data() + length.size() || bits < 0 || bits > kAddressBits) {
    throw ClusterError("'" + std::string(network) + "' is no network such as 10.77.0.0/24");
  }
  // Shifted as 64 bits: a shift of 32 by 32 places is undefined.
  const auto mask = static_cast<std::uint32_t>(~std::uint64_t{0} << (kAddressBits - bits));
  return (bits_of(address) & mask) == (bits_of(network.substr(0, slash)) & mask);
}

std::string choose_address(const std::vector<HostAddress>& candidates, std::string_view wanted,
                           std::string_view resolved) {
  const bool network = wanted.find('/') != std::string_view::npos;
  const auto fits = [&](const HostAddress& candidate) {
    if (wanted.empty()) return !candidate.loopback;
    if (network) return in_network(candidate.address, wanted);
    return candidate.interface == wanted || candidate.address == wanted;
  };
  if (wanted.empty() && !resolved.empty()) {
    for (const HostAddress& candidate : candidates) {
      if (candidate.address == resolved && !candidate.loopback) return candidate.address;
    }
  }
  const auto found = std::find_if(candidates.begin(), candidates.end(), fits);
  if (found != candidates.end()) return found->address;
  std::string message = wanted.empty() ? std::string("no address that other hosts could reach")
                                       : "no address on '" + std::string(wanted) + "'";
  message += "; this host has";
  for (const HostAddress& candidate : candidates) message += " " + candidate.interface + "=" + candidate.address;
  if (candidates.empty()) message += " none";
  throw ClusterError(message);
}

std::string resolve(const std::string& host) {
  addrinfo hints{};
  hints.ai_family = AF_INET;
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* first = nullptr;
  if (getaddrinfo(host.c_str(), nullptr, &hints, &first) != 0) return {};
  const std::unique_ptr<addrinfo, decltype(&freeaddrinfo)> list(first, &freeaddrinfo);
  return first == nullptr ? std::string() : dotted(first->ai_addr);
}

std::string interface_of(const std::string& address) {
  for (const HostAddress& own : host_addresses()) {
    if (own.address == address) return own.interface;
  }
  return "?";
}

std::string host_name() {
  std::array<char, 256> name{};
  if (gethostname(name.data(), name.size() - 1) != 0) {
    throw ClusterError(std::string("gethostname: ") + std::strerror(errno));
  }
  return name.data();
}

std::string loopback_identity() {
  std::array<char, 128> target{};
  // Without /proc the name alone must do.
  const ssize_t length = readlink("/proc/self/ns/net", target.data(), target.size() - 1);
  return host_name() + "/" + std::string(target.data(), length > 0 ? static_cast<std::size_t>(length) : 0);
}

}  // namespace knotwork::cluster
