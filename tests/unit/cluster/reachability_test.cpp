// Real sockets on the loopback interface: who answers, who doesn't, and that waiting ends.
#include "cluster/reachability.h"

#include <arpa/inet.h>
#include <chrono>
#include <netinet/in.h>
#include <string>
#include <sys/socket.h>
#include <unistd.h>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "cluster/communicator.h"

namespace knotwork::cluster {
namespace {

using ::testing::HasSubstr;
using namespace std::chrono_literals;

constexpr const char* kLoopback = "127.0.0.1";

/// A port where something listens that never says a word.
class SilentServer {
 public:
  SilentServer() : socket_(::socket(AF_INET, SOCK_STREAM, 0)) {
    sockaddr_in where{};
    where.sin_family = AF_INET;
    where.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof where;
    EXPECT_EQ(::bind(socket_, reinterpret_cast<sockaddr*>(&where), size), 0);
    EXPECT_EQ(::listen(socket_, 4), 0);
    EXPECT_EQ(::getsockname(socket_, reinterpret_cast<sockaddr*>(&where), &size), 0);
    port_ = ntohs(where.sin_port);
  }
  ~SilentServer() { ::close(socket_); }
  SilentServer(const SilentServer&) = delete;
  SilentServer& operator=(const SilentServer&) = delete;
  std::uint16_t port() const { return port_; }

 private:
  int socket_;
  std::uint16_t port_ = 0;
};

TEST(Reachability, ManyPeersAnswerWithTheirNames) {
  std::vector<std::unique_ptr<Listener>> listeners;
  std::vector<Destination> destinations;
  for (int rank = 0; rank < 40; ++rank) {
    listeners.push_back(std::make_unique<Listener>(kLoopback, 0, Identity{99, rank}));
    for (int again = 0; again < 20; ++again)  // 800: more than are open at a time
      destinations.push_back({kLoopback, listeners.back()->port(), {99, rank}});
  }
  for (const std::string& problem : connect_to_all(destinations, 20s)) EXPECT_EQ(problem, "");
}

TEST(Reachability, TheWrongPeerIsNoticed) {
  const Listener listener(kLoopback, 0, {7, 1});
  const std::vector<Destination> destinations = {
      {kLoopback, listener.port(), {7, 1}}, {kLoopback, listener.port(), {7, 2}}, {kLoopback, listener.port(), {8, 1}}};
  const auto problems = connect_to_all(destinations, 5s);
  EXPECT_EQ(problems[0], "");
  EXPECT_THAT(problems[1], HasSubstr("another program (or another rank) answers"));
  EXPECT_THAT(problems[2], HasSubstr("another program (or another rank) answers"));
}

TEST(Reachability, ClosedAndSilentPortsEndInTime) {
  std::uint16_t closed = 0;
  {
    const Listener listener(kLoopback, 0, {1, 1});
    closed = listener.port();
  }
  const SilentServer silent;
  const auto start = std::chrono::steady_clock::now();
  const std::vector<Destination> destinations = {{kLoopback, closed, {1, 1}}, {kLoopback, silent.port(), {1, 2}}};
  const auto problems = connect_to_all(destinations, 400ms);
  EXPECT_LT(std::chrono::steady_clock::now() - start, 5s);
  EXPECT_THAT(problems[0], HasSubstr("connection refused"));
  EXPECT_EQ(problems[1], "connected, but no answer within 0.4 s");
}

TEST(Reachability, AListenerNeedsAnAddressOfThisHost) {
  EXPECT_THROW(Listener("203.0.113.7", 0, {}), ClusterError);
  EXPECT_THROW(Listener("localhost", 0, {}), ClusterError) << "dotted addresses only";
  const Listener first(kLoopback, 0, {});
  try {
    const Listener second(kLoopback, first.port(), {});
    FAIL() << "one port, two listeners";
  } catch (const ClusterError& problem) {
    EXPECT_THAT(problem.what(), HasSubstr("cannot listen on 127.0.0.1:" + std::to_string(first.port()) + ": bind"));
  }
}

}  // namespace
}  // namespace knotwork::cluster
