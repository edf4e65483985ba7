// Encrypted connections over real sockets: who has the job's keys is served, everybody else is refused and counted.
#include "ps/curve.h"

#include <chrono>
#include <optional>
#include <string>
#include <thread>
#include <unistd.h>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "ps/client.h"
#include "ps/server.h"

namespace knotwork::ps {
namespace {

using ::testing::HasSubstr;

/// One server with an encrypted and a plain endpoint.
class Curve : public ::testing::Test {
 protected:
  Curve() {
    shard.add_table({.name = "rows", .row_count = 10, .dim = 2}, {0, 10});
    server.emplace(context, shard,
                   ServerOptions{.endpoint = "tcp://127.0.0.1:*",
                                 .local_endpoint = "ipc://@knotwork-test-" + std::to_string(getpid()),
                                 .curve = server_keys});
    server->start();
  }

  /// Adds 1 to row 3 through `endpoint`.
  void use(const std::string& endpoint, ClientOptions options) {
    options.timeout_ms = 400;
    options.linger_ms = 0;
    zmq::context_t elsewhere;
    Client client(elsewhere, {endpoint}, {}, options);
    client.push(0, std::vector<RowIndex>{3}, std::vector<float>{1, 1});
    client.flush();
  }

  ClientOptions encrypted(const CurveKeyPair& own, const std::string& server_key) const {
    ClientOptions options;
    options.server_keys = {server_key};
    options.keys = own;
    return options;
  }

  std::uint64_t refused() const {
    // The monitor is read by the serving thread when the socket wakes it.
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
    return server->counters().refused_connections;
  }

  CurveKeyPair server_keys = make_curve_keys();
  CurveKeyPair client_keys = make_curve_keys();
  zmq::context_t context;
  CurveGate gate{context, client_keys.public_key};
  Shard shard;
  std::optional<Server> server;
};

TEST_F(Curve, TheJobsKeysWork) {
  use(server->endpoint(), encrypted(client_keys, server_keys.public_key));
  EXPECT_EQ(shard.table(0).row(3)[1], 1.0F);
  EXPECT_EQ(gate.admitted(), 1U);
  EXPECT_EQ(gate.refused(), 0U);
  EXPECT_EQ(refused(), 0U);
}

TEST_F(Curve, AClientOfAnotherJobIsRefusedAndCounted) {
  EXPECT_THROW(use(server->endpoint(), encrypted(make_curve_keys(), server_keys.public_key)), ServerTimeout);
  EXPECT_EQ(shard.table(0).row(3)[1], 0.0F);
  EXPECT_EQ(gate.admitted(), 0U);
  EXPECT_GE(gate.refused(), 1U);
  EXPECT_GE(refused(), 1U);
}

TEST_F(Curve, AClientThatKnowsAnotherServerIsRefusedAndCounted) {
  EXPECT_THROW(use(server->endpoint(), encrypted(client_keys, make_curve_keys().public_key)), ServerTimeout);
  EXPECT_EQ(shard.table(0).row(3)[1], 0.0F);
  EXPECT_EQ(gate.admitted(), 0U);
  EXPECT_GE(refused(), 1U);
}

TEST_F(Curve, AClientWithoutKeysIsRefusedAndCounted) {
  EXPECT_THROW(use(server->endpoint(), {}), ServerTimeout);
  EXPECT_EQ(shard.table(0).row(3)[1], 0.0F);
  EXPECT_GE(refused(), 1U);
  use(server->endpoint(), encrypted(client_keys, server_keys.public_key));
  EXPECT_EQ(shard.table(0).row(3)[1], 1.0F) << "it serves on";
}

TEST_F(Curve, TheLocalEndpointIsPlain) {
  EXPECT_THAT(server->local_endpoint(), HasSubstr("ipc://@knotwork-test-"));
  use(server->local_endpoint(), {});
  EXPECT_EQ(shard.table(0).row(3)[1], 1.0F);
  EXPECT_EQ(refused(), 0U);
}

TEST_F(Curve, TheLocalEndpointCanBeEncryptedToo) {
  server.emplace(
      context, shard,
      ServerOptions{
          .endpoint = "", .local_endpoint = "tcp://127.0.0.1:*", .curve = server_keys, .encrypts_locally = true});
  server->start();
  EXPECT_EQ(server->endpoint(), "");
  EXPECT_THROW(use(server->local_endpoint(), {}), ServerTimeout);
  EXPECT_GE(refused(), 1U);
  use(server->local_endpoint(), encrypted(client_keys, server_keys.public_key));
  EXPECT_EQ(shard.table(0).row(3)[1], 1.0F);
}

TEST_F(Curve, RefusalsTravelInTheStatistics) {
  EXPECT_THROW(use(server->endpoint(), {}), ServerTimeout);
  ASSERT_GE(refused(), 1U);
  Client client(context, {server->local_endpoint()}, {}, {});
  EXPECT_GE(client.statistics(0).refused_connections, 1U);
}

TEST(CurveKeys, AreFreshAndOneGateIsEnough) {
  const CurveKeyPair one = make_curve_keys();
  const CurveKeyPair two = make_curve_keys();
  EXPECT_EQ(one.public_key.size(), 40U);
  EXPECT_EQ(one.secret_key.size(), 40U);
  EXPECT_NE(one.secret_key, two.secret_key);
  zmq::context_t context;
  const CurveGate gate(context, one.public_key);
  EXPECT_THROW(CurveGate(context, two.public_key), zmq::error_t);
  zmq::context_t other;
  EXPECT_THROW(CurveGate(other, "short"), std::invalid_argument);
}

}  // namespace
}  // namespace knotwork::ps
