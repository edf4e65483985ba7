#include "cluster/tcp_link.h"

#include <algorithm>
#include <arpa/inet.h>
#include <array>
#include <cerrno>
#include <cstring>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "cluster/communicator.h"

namespace knotwork::cluster {

namespace {

constexpr std::size_t kHeaderBytes = 1 + sizeof(std::uint32_t);

std::string text_of(int error) {
  return std::strerror(error);
}

sockaddr_in address_of(const std::string& address, std::uint16_t port) {
  sockaddr_in out{};
  out.sin_family = AF_INET;
  out.sin_port = htons(port);
  if (inet_pton(AF_INET, address.c_str(), &out.sin_addr) != 1) {
    throw ClusterError("'" + address + "' is no IPv4 address");
  }
  return out;
}

Descriptor open_socket() {
  Descriptor opened(::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (opened.number() < 0) throw ClusterError("can't open a socket: " + text_of(errno));
  return opened;
}

std::string dotted(const sockaddr_in& address) {
  std::array<char, INET_ADDRSTRLEN> text{};
  inet_ntop(AF_INET, &address.sin_addr, text.data(), text.size());
  return std::string(text.data()) + ":" + std::to_string(ntohs(address.sin_port));
}

template <typename Ask>
std::string asked_address(Ask&& ask, int descriptor) {
  sockaddr_in address{};
  socklen_t size = sizeof(address);
  return ask(descriptor, reinterpret_cast<sockaddr*>(&address), &size) == 0 ? dotted(address) : std::string();
}

}  // namespace

Descriptor::~Descriptor() {
  if (number_ >= 0) ::close(number_);
}

TcpLink::TcpLink(Descriptor socket) : socket_(std::move(socket)) {
  const int yes = 1;
  ::setsockopt(socket_.number(), IPPROTO_TCP, TCP_NODELAY, &yes, sizeof(yes));
}

TcpLink TcpLink::connect(const std::string& address, std::uint16_t port, std::chrono::milliseconds limit) {
  const std::string where = address + ":" + std::to_string(port);
  const sockaddr_in target = address_of(address, port);
  Descriptor socket = open_socket();
  int problem = 0;
  if (::connect(socket.number(), reinterpret_cast<const sockaddr*>(&target), sizeof(target)) != 0) problem = errno;
  if (problem == EINPROGRESS) {
    pollfd item{socket.number(), POLLOUT, 0};
    const int ready = ::poll(&item, 1, static_cast<int>(limit.count()));
    socklen_t size = sizeof(problem);
    if (ready == 0) {
      problem = ETIMEDOUT;
    } else if (ready < 0 || ::getsockopt(socket.number(), SOL_SOCKET, SO_ERROR, &problem, &size) != 0) {
      problem = errno;
    }
  }
  if (problem != 0) throw ClusterError("can't connect to " + where + ": " + text_of(problem));
  return TcpLink(std::move(socket));
}

void TcpLink::send(std::uint8_t kind, std::string_view text) {
  const auto size = static_cast<std::uint32_t>(std::min(text.size(), kMaxText));
  std::array<char, kHeaderBytes> header{static_cast<char>(kind)};
  std::memcpy(header.data() + 1, &size, sizeof(size));
  outgoing_.append(header.data(), header.size());
  outgoing_.append(text.substr(0, size));
  flush();
}

void TcpLink::flush() {
  while (!outgoing_.empty() && !closed_) {
    const ssize_t sent = ::send(socket_.number(), outgoing_.data(), outgoing_.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent > 0) {
      outgoing_.erase(0, static_cast<std::size_t>(sent));
    } else if (errno == EAGAIN || errno == EWOULDBLOCK) {
      return;
    } else if (errno != EINTR) {
      // What the peer said before it went may still lie here: receive() finds out that it is closed.
      outgoing_.clear();
    }
  }
}

void TcpLink::read() {
  std::array<char, 4096> piece;
  // Bounded: a peer that floods this one is not to keep it here.
  while (!closed_ && incoming_.size() <= kMaxText + kHeaderBytes) {
    const ssize_t got = ::recv(socket_.number(), piece.data(), piece.size(), MSG_DONTWAIT);
    if (got > 0) {
      incoming_.append(piece.data(), static_cast<std::size_t>(got));
    } else if (got == 0 || (errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR)) {
      closed_ = true;
    } else if (errno != EINTR) {
      return;
    }
  }
}

std::optional<TcpLink::Message> TcpLink::next() {
  if (incoming_.size() < kHeaderBytes) return std::nullopt;
  std::uint32_t size = 0;
  std::memcpy(&size, incoming_.data() + 1, sizeof(size));
  if (size > kMaxText) {
    closed_ = true;
    incoming_.clear();
    return std::nullopt;
  }
  if (incoming_.size() - kHeaderBytes < size) return std::nullopt;
  Message message{static_cast<std::uint8_t>(incoming_[0]), incoming_.substr(kHeaderBytes, size)};
  incoming_.erase(0, kHeaderBytes + size);
  return message;
}

std::string TcpLink::own_address() const {
  return asked_address(::getsockname, socket_.number());
}

std::string TcpLink::peer_address() const {
  return asked_address(::getpeername, socket_.number());
}

TcpListener::TcpListener(const std::string& address) : socket_(open_socket()) {
  sockaddr_in own = address_of(address, 0);
  socklen_t size = sizeof(own);
  if (::bind(socket_.number(), reinterpret_cast<const sockaddr*>(&own), sizeof(own)) != 0 ||
      ::listen(socket_.number(), SOMAXCONN) != 0 ||
      ::getsockname(socket_.number(), reinterpret_cast<sockaddr*>(&own), &size) != 0) {
    throw ClusterError("can't listen on " + address + ": " + text_of(errno));
  }
  port_ = ntohs(own.sin_port);
}

std::optional<TcpLink> TcpListener::accept() {
  Descriptor taken(::accept4(socket_.number(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
  if (taken.number() < 0) return std::nullopt;
  return TcpLink(std::move(taken));
}

}  // namespace knotwork::cluster
