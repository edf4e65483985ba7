#include "cluster/reachability.h"

#include <algorithm>
#include <arpa/inet.h>
#include <array>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <thread>
#include <unistd.h>
#include <utility>

#include "cluster/communicator.h"

namespace knotwork::cluster {

namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

constexpr int kBacklog = 1024;
constexpr std::size_t kGreetingBytes = 4 + sizeof(std::uint64_t) + sizeof(std::int32_t);
using Greeting = std::array<char, kGreetingBytes>;

/// "kwdr", job id, rank; all hosts of a job have the same byte order.
Greeting greeting_of(const Identity& identity) {
  Greeting bytes = {'k', 'w', 'd', 'r'};
  std::memcpy(bytes.data() + 4, &identity.job_id, sizeof identity.job_id);
  std::memcpy(bytes.data() + 4 + sizeof identity.job_id, &identity.rank, sizeof identity.rank);
  return bytes;
}

std::string reason_of(int code) {
  switch (code) {
    case ECONNREFUSED:
      return "connection refused: nothing listens there, or a firewall rejects it";
    case EHOSTUNREACH:
      return "no route to host: the address doesn't answer on this network";
    case ENETUNREACH:
      return "network is unreachable from here";
    default:
      return std::strerror(code);
  }
}

/// A file descriptor that is closed at the end.
class Descriptor {
 public:
  explicit Descriptor(int number = -1) : number_(number) {}
  ~Descriptor() { reset(); }
  Descriptor(Descriptor&& other) noexcept : number_(std::exchange(other.number_, -1)) {}
  Descriptor& operator=(Descriptor&& other) noexcept {
    reset();
    number_ = std::exchange(other.number_, -1);
    return *this;
  }
  int number() const { return number_; }
  void reset() {
    if (number_ >= 0) ::close(number_);
    number_ = -1;
  }

 private:
  int number_;
};

sockaddr_in socket_address(const std::string& address, std::uint16_t port) {
  sockaddr_in where{};
  where.sin_family = AF_INET;
  where.sin_port = htons(port);
  if (inet_pton(AF_INET, address.c_str(), &where.sin_addr) != 1) {
    throw ClusterError("'" + address + "' is no IPv4 address");
  }
  return where;
}

/// One connection on its way: connecting, then reading the greeting, then done.
class Attempt {
 public:
  explicit Attempt(const Destination& destination) : expected_(greeting_of(destination.expected)) {
    const sockaddr_in where = socket_address(destination.address, destination.port);
    socket_ = Descriptor(::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
    if (socket_.number() < 0) {
      finish(std::string("socket: ") + std::strerror(errno));
      return;
    }
    const int code = ::connect(socket_.number(), reinterpret_cast<const sockaddr*>(&where), sizeof where);
    if (code != 0 && errno != EINPROGRESS) finish(reason_of(errno));
  }

  bool is_done() const { return is_done_; }
  bool is_connected() const { return is_connected_; }
  const std::string& problem() const { return problem_; }
  pollfd wish() const { return {socket_.number(), static_cast<short>(is_connected_ ? POLLIN : POLLOUT), 0}; }

  /// Goes on after poll() said that the socket is ready.
  void advance() {
    if (!is_connected_) {
      int code = 0;
      socklen_t size = sizeof code;
      ::getsockopt(socket_.number(), SOL_SOCKET, SO_ERROR, &code, &size);
      if (code != 0) return finish(reason_of(code));
      is_connected_ = true;
      return;
    }
    const ssize_t count = ::recv(socket_.number(), received_.data() + size_, received_.size() - size_, 0);
    if (count < 0 && (errno == EAGAIN || errno == EINTR)) return;
    if (count < 0) return finish(reason_of(errno));
    size_ += static_cast<std::size_t>(count);
    if (size_ == received_.size() || count == 0) {
      const bool right = size_ == received_.size() && received_ == expected_;
      finish(right ? "" : "another program (or another rank) answers at this address");
    }
  }

  void finish(std::string problem) {
    problem_ = std::move(problem);
    is_done_ = true;
    socket_.reset();
  }

 private:
  Greeting expected_;
  Descriptor socket_;
  Greeting received_{};
  std::size_t size_ = 0;
  bool is_connected_ = false;
  bool is_done_ = false;
  std::string problem_;
};

std::string seconds_text(milliseconds time) {
  const auto tenths = std::to_string(time.count() % 1000 / 100);
  return std::to_string(time.count() / 1000) + (tenths == "0" ? "" : "." + tenths) + " s";
}

/// Polls all attempts until each is done or the deadline has passed.
void advance_all(std::vector<Attempt>& attempts, Clock::time_point deadline, milliseconds timeout) {
  std::vector<pollfd> wishes;
  std::vector<Attempt*> open;
  for (;;) {
    wishes.clear();
    open.clear();
    for (Attempt& attempt : attempts) {
      if (attempt.is_done()) continue;
      wishes.push_back(attempt.wish());
      open.push_back(&attempt);
    }
    const auto left = std::chrono::ceil<milliseconds>(deadline - Clock::now());
    if (open.empty() || left.count() <= 0) break;
    if (::poll(wishes.data(), wishes.size(), static_cast<int>(left.count())) < 0 && errno != EINTR) break;
    for (std::size_t i = 0; i < open.size(); ++i) {
      if (wishes[i].revents != 0) open[i]->advance();
    }
  }
  for (Attempt* attempt : open) {
    if (attempt->is_done()) continue;
    attempt->finish((attempt->is_connected() ? "connected, but no answer within " : "no answer within ") +
                    seconds_text(timeout));
  }
}

}  // namespace

struct Listener::State {
  Descriptor socket;
  Descriptor stop;
  Greeting greeting;
  std::thread thread;

  void answer_until_stopped() {
    std::array<pollfd, 2> wishes = {pollfd{socket.number(), POLLIN, 0}, pollfd{stop.number(), POLLIN, 0}};
    for (;;) {
      if (::poll(wishes.data(), wishes.size(), -1) < 0 && errno != EINTR) return;
      if (wishes[1].revents != 0) return;
      if (wishes[0].revents == 0) continue;
      const Descriptor peer(::accept4(socket.number(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
      // Some bytes always fit into the buffer of a new connection. A peer that has gone is its own business.
      if (peer.number() >= 0) static_cast<void>(::send(peer.number(), greeting.data(), greeting.size(), MSG_NOSIGNAL));
    }
  }
};

Listener::Listener(const std::string& address, std::uint16_t port, Identity identity)
    : state_(std::make_unique<State>()) {
  sockaddr_in where = socket_address(address, port);
  const auto fail = [&](const char* call) {
    throw ClusterError("cannot listen on " + address + ":" + std::to_string(port) + ": " + call + ": " +
                       std::strerror(errno));
  };
  state_->greeting = greeting_of(identity);
  state_->socket = Descriptor(::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (state_->socket.number() < 0) fail("socket");
  const int yes = 1;
  ::setsockopt(state_->socket.number(), SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
  auto* generic = reinterpret_cast<sockaddr*>(&where);
  if (::bind(state_->socket.number(), generic, sizeof where) != 0) fail("bind");
  if (::listen(state_->socket.number(), kBacklog) != 0) fail("listen");
  socklen_t size = sizeof where;
  if (::getsockname(state_->socket.number(), generic, &size) != 0) fail("getsockname");
  port_ = ntohs(where.sin_port);
  state_->stop = Descriptor(::eventfd(0, EFD_CLOEXEC));
  if (state_->stop.number() < 0) fail("eventfd");
  state_->thread = std::thread([state = state_.get()] { state->answer_until_stopped(); });
}

Listener::~Listener() {
  const std::uint64_t one = 1;
  static_cast<void>(!::write(state_->stop.number(), &one, sizeof one));
  state_->thread.join();
}

std::vector<std::string> connect_to_all(std::span<const Destination> destinations, milliseconds timeout) {
  std::vector<std::string> problems;
  for (std::size_t done = 0; done < destinations.size(); done += kMostConnectionsAtOnce) {
    const auto some = destinations.subspan(done, std::min(kMostConnectionsAtOnce, destinations.size() - done));
    std::vector<Attempt> attempts;
    attempts.reserve(some.size());
    for (const Destination& destination : some) attempts.emplace_back(destination);
    advance_all(attempts, Clock::now() + timeout, timeout);
    for (const Attempt& attempt : attempts) problems.push_back(attempt.problem());
  }
  return problems;
}

}  // namespace knotwork::cluster
