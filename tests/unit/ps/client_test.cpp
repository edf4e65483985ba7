// Clients and servers over real sockets, against a plain map.
#include "ps/client.h"

#include <chrono>
#include <cstdint>
#include <iostream>
#include <map>
#include <random>
#include <thread>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/ps/server_group.h"

namespace knotwork::ps {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using testing::kJob;
using testing::ServerGroup;
using testing::table_spec;

/// Small whole numbers, so that float sums are exact in any order.
std::vector<float> whole_numbers(std::size_t count, std::mt19937& random) {
  std::vector<float> out(count);
  for (float& x : out) x = static_cast<float>(static_cast<int>(random() % 9) - 4);
  return out;
}

std::vector<RowIndex> random_rows(std::size_t count, std::uint64_t row_count, std::mt19937& random) {
  std::vector<RowIndex> out(count);
  for (RowIndex& row : out) row = random() % row_count;
  return out;
}

/// The whole parameter server as a map from row to floats.
class Oracle {
 public:
  explicit Oracle(std::size_t width) : width_(width) {}
  void add(std::span<const RowIndex> rows, std::span<const float> deltas, std::size_t width) {
    for (std::size_t i = 0; i < rows.size(); ++i) {
      auto& row = row_of(rows[i]);
      for (std::size_t c = 0; c < width; ++c) row[c] += deltas[i * width + c];
    }
  }
  std::vector<float> pull(std::span<const RowIndex> rows, std::size_t width) {
    std::vector<float> out;
    for (const RowIndex index : rows) {
      const auto& row = row_of(index);
      out.insert(out.end(), row.begin(), row.begin() + static_cast<std::ptrdiff_t>(width));
    }
    return out;
  }

 private:
  std::vector<float>& row_of(RowIndex row) { return rows_.try_emplace(row, width_).first->second; }
  std::size_t width_;
  std::map<RowIndex, std::vector<float>> rows_;
};

struct ModelCase {
  const char* name;
  std::uint32_t dim;
  std::size_t batch_bytes;
  std::uint32_t max_in_flight;
  bool local;
};

class ModelTest : public ::testing::TestWithParam<ModelCase> {};

TEST_P(ModelTest, RandomOperationsAgreeWithAMap) {
  const ModelCase param = GetParam();
  const unsigned seed = std::random_device{}();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::cout << "seed " << seed << "\n";
  std::mt19937 random(seed);
  constexpr std::uint64_t kRows = 300;
  ServerGroup group(RowBounds({0, 90, 90, 220, kRows}),
                    {table_spec(kRows, param.dim, OptimizerKind::kAdagrad), table_spec(kRows, 3)});
  ClientOptions options{.max_in_flight = param.max_in_flight, .batch_bytes = param.batch_bytes};
  std::vector<std::unique_ptr<Client>> clients;
  clients.push_back(group.client(options, param.local ? LocalShard{2, group.shards[2].get()} : LocalShard{}));
  clients.push_back(group.client(options));
  std::vector<Oracle> oracles{Oracle(param.dim + 1), Oracle(3)};
  for (int step = 0; step < 400; ++step) {
    const TableIndex table = random() % 2;
    const bool with_state = random() % 2 == 0;
    const std::size_t width = clients[0]->wire_width(table, with_state);
    const std::vector<RowIndex> rows = random_rows(random() % 60, kRows, random);
    const std::size_t who = random() % 2;
    Client& client = *clients[who];
    const PushKind kind = with_state ? PushKind::kDeltaWithState : PushKind::kDelta;
    const std::vector<float> deltas = whole_numbers(rows.size() * width, random);
    std::vector<float> out(rows.size() * width, -1);
    const unsigned action = random() % 4;
    if (action == 0) {
      client.push(table, rows, deltas, kind);
      oracles[table].add(rows, deltas, width);
    } else if (action == 1) {
      const PullTicket ticket = client.start_push_pull(table, rows, deltas, out, kind);
      oracles[table].add(rows, deltas, width);
      client.wait(ticket);
      client.flush();
    }
    // The other client's pushes are seen for certain once they are flushed.
    if (action != 0) {
      clients[1 - who]->flush();
      // A push_pull whose rows were split over messages may lack other messages' changes: pull anew.
      client.pull(table, rows, out, with_state);
      ASSERT_EQ(out, oracles[table].pull(rows, width)) << "step " << step;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(All, ModelTest,
                         ::testing::Values(ModelCase{"usual", 16, 1 << 20, 32, false},
                                           ModelCase{"local", 16, 1 << 20, 32, true},
                                           ModelCase{"one_row_a_message", 5, 1, 2, true},
                                           ModelCase{"one_in_flight", 33, 200, 1, false},
                                           ModelCase{"large_rows", 1000, 1 << 16, 8, true}),
                         [](const auto& tested) { return tested.param.name; });

TEST(Client, PushPullBringsRowsAsTheyAreAfterwards) {
  ServerGroup group(RowBounds({0, 5, 10}), {table_spec(10, 2, OptimizerKind::kAdagrad)});
  const auto client = group.client({}, {0, group.shards[0].get()});
  const std::vector<RowIndex> rows{7, 2};
  client->push(0, rows, std::vector<float>{1, 1, 2, 2});
  std::vector<float> out(6);
  client->wait(client->start_push_pull(0, rows, std::vector<float>{1, 2, 3, 4, 5, 6}, out, PushKind::kDeltaWithState));
  EXPECT_THAT(out, ElementsAre(2, 3, 3, 6, 7, 6));
}

TEST(Client, GradientsGoThroughTheTablesOptimizer) {
  ServerGroup group(RowBounds({0, 5, 10}), {table_spec(10, 2, OptimizerKind::kAdagrad)});
  const auto client = group.client({}, {0, group.shards[0].get()});
  const std::vector<RowIndex> rows{7, 2};
  client->push(0, rows, std::vector<float>{3, 4, 3, 4}, PushKind::kGradient, 0.5F);
  client->flush();
  std::vector<float> out(6);
  client->pull(0, rows, out, true);
  const float rate = 0.5F / std::sqrt(12.5F);
  for (const std::size_t at : {0U, 3U}) {
    EXPECT_FLOAT_EQ(out[at], -rate * 3);
    EXPECT_FLOAT_EQ(out[at + 1], -rate * 4);
    EXPECT_FLOAT_EQ(out[at + 2], 12.5F);
  }
}

TEST(Client, WithOnlyALocalShardOpensNoSocket) {
  zmq::context_t context;
  context.set(zmq::ctxopt::max_sockets, 1);
  const zmq::socket_t only_one(context, zmq::socket_type::dealer);
  Shard shard;
  shard.add_table(table_spec(10, 2), {0, 10});
  Client client(context, {""}, {0, &shard}, {});
  client.push(0, std::vector<RowIndex>{3}, std::vector<float>{1, 2});
  std::vector<float> out(2);
  client.pull(0, std::vector<RowIndex>{3}, out);
  EXPECT_THAT(out, ElementsAre(1, 2));
  client.flush();
}

TEST(Client, SeveralPullsAreUnderWayAtOnce) {
  ServerGroup group(RowBounds({0, 50, 100}), {table_spec(100, 4)});
  const auto client = group.client();
  for (RowIndex row = 0; row < 100; ++row) group.shards[row / 50]->table(0).row(row)[0] = static_cast<float>(row);
  std::vector<std::vector<float>> outs(20, std::vector<float>(8));
  std::vector<PullTicket> tickets;
  for (RowIndex i = 0; i < 20; ++i) {
    tickets.push_back(client->start_pull(0, std::vector<RowIndex>{i, 99 - i}, outs[i]));
  }
  for (std::size_t i = 20; i-- > 0;) {
    client->wait(tickets[i]);
    EXPECT_EQ(outs[i][0], static_cast<float>(i));
    EXPECT_EQ(outs[i][4], static_cast<float>(99 - i));
    EXPECT_TRUE(client->ready(tickets[i]));
  }
}

TEST(Client, CancelledPullsWriteNothing) {
  ServerGroup group(RowBounds({0, 10}), {table_spec(10, 1)});
  group.shards[0]->table(0).row(3)[0] = 5;
  const auto client = group.client();
  std::vector<float> out{-1};
  client->cancel(client->start_pull(0, std::vector<RowIndex>{3}, out));
  std::vector<float> other(1);
  client->pull(0, std::vector<RowIndex>{3}, other);
  EXPECT_EQ(out[0], -1);
  EXPECT_EQ(other[0], 5);
}

TEST(Client, BadCallsThrowAndSendNothing) {
  ServerGroup group(RowBounds({0, 10}), {table_spec(10, 2, OptimizerKind::kAdam)});
  const auto client = group.client();
  const auto before = group.servers[0]->counters().requests;
  std::vector<float> out(2);
  EXPECT_THROW(client->pull(0, std::vector<RowIndex>{10}, out), std::out_of_range);
  EXPECT_THROW(client->pull(0, std::vector<RowIndex>{1, 2}, out), std::invalid_argument);
  EXPECT_THROW(client->pull(1, std::vector<RowIndex>{1}, out), std::out_of_range);
  EXPECT_THROW(client->push(0, std::vector<RowIndex>{1}, std::vector<float>(7), PushKind::kDeltaWithState),
               std::invalid_argument);
  EXPECT_EQ(group.servers[0]->counters().requests, before);
  client->pull(0, std::vector<RowIndex>{9}, out);
}

TEST(Client, NeverHasMoreInFlightThanAllowed) {
  ServerGroup group(RowBounds({0, 100}), {table_spec(100, 64)});
  const auto client = group.client({.max_in_flight = 3});
  const std::vector<RowIndex> rows{1, 2, 3};
  const std::vector<float> ones(3 * 64, 1.0F);
  std::size_t most = 0;
  for (int push = 0; push < 500; ++push) {
    client->push(0, rows, ones);
    most = std::max(most, client->in_flight(0));
  }
  client->flush();
  EXPECT_EQ(client->in_flight(0), 0U);
  EXPECT_GE(most, 1U);
  EXPECT_LE(most, 3U);
  EXPECT_EQ(group.shards[0]->table(0).row(2)[63], 500.0F);
  const auto bytes_bound = group.client({.max_in_flight = 100, .max_in_flight_bytes = 2000});
  for (int push = 0; push < 50; ++push) {
    bytes_bound->push(0, rows, ones);  // 792 bytes each
    EXPECT_LE(bytes_bound->in_flight(0), 2U);
  }
  bytes_bound->flush();
}

TEST(Client, ASilentServerIsNamedWithinTheDeadline) {
  ServerGroup group(RowBounds({0, 50, 100}), {table_spec(100, 4)});
  const auto client = group.client({.timeout_ms = 300});
  const std::string endpoint = group.servers[1]->endpoint();
  group.servers[1]->stop();
  const auto begin = std::chrono::steady_clock::now();
  std::vector<float> out(8);
  try {
    client->pull(0, std::vector<RowIndex>{1, 99}, out);
    FAIL() << "pulled from a stopped server";
  } catch (const ServerTimeout& timeout) {
    EXPECT_THAT(timeout.what(), HasSubstr("server 1 (" + endpoint + ")"));
    EXPECT_THAT(timeout.what(), HasSubstr("pull within 300 ms"));
  }
  EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(3));
  client->push(0, std::vector<RowIndex>{60}, std::vector<float>(4));
  EXPECT_THROW(client->flush(), ServerTimeout);
}

TEST(Client, AServerThatNeverStartedIsNamed) {
  zmq::context_t context;
  try {
    const Client client(context, {"tcp://127.0.0.1:1"}, {}, {.job_id = kJob, .timeout_ms = 200});
    FAIL();
  } catch (const ServerTimeout& timeout) {
    EXPECT_THAT(timeout.what(), HasSubstr("server 0 (tcp://127.0.0.1:1) did not answer a hello within 200 ms"));
  }
  EXPECT_THROW(Client(context, {"nonsense://x"}, {}, {}), ProtocolError);
}

TEST(Client, AnotherJobOrConfigurationIsRefused) {
  ServerGroup group(RowBounds({0, 50, 100}), {table_spec(100, 4)});
  const auto endpoints = group.endpoints();
  try {
    const Client client(group.context, endpoints, {}, {.job_id = kJob + 1});
    FAIL();
  } catch (const ProtocolError& error) {
    EXPECT_THAT(error.what(), HasSubstr("server 0 (" + endpoints[0] + ") refused: this server belongs to another job"));
  }
  EXPECT_THROW(Client(group.context, endpoints, {}, {.job_id = kJob, .configuration = 1}), ProtocolError);
  EXPECT_EQ(group.servers[0]->counters().errors_by_code[static_cast<int>(ErrorCode::kWrongConfiguration)], 1U);
}

TEST(Client, TablesThatDoNotFitTogetherAreRefused) {
  ServerGroup group(RowBounds({0, 50, 100}), {table_spec(100, 4)});
  ServerGroup other(RowBounds({0, 40, 100}), {table_spec(100, 4)});
  ServerGroup wide(RowBounds({0, 50, 100}), {table_spec(100, 8)});
  const ClientOptions options{.job_id = kJob};
  for (ServerGroup* second : {&other, &wide}) {
    EXPECT_THROW(Client(group.context, {group.endpoints()[0], second->endpoints()[1]}, {}, options), ProtocolError);
  }
  EXPECT_THROW(Client(group.context, {group.endpoints()[0]}, {}, options), ProtocolError);
}

TEST(Client, WorksOverIpcAndWithCurveKeys) {
  char server_public[41];
  char server_secret[41];
  char client_public[41];
  char client_secret[41];
  zmq_curve_keypair(server_public, server_secret);
  zmq_curve_keypair(client_public, client_secret);
  ServerOptions options;
  options.endpoint = "ipc://*";
  options.prepare_socket = [&](zmq::socket_t& socket) {
    socket.set(zmq::sockopt::curve_server, true);
    socket.set(zmq::sockopt::curve_secretkey, server_secret);
  };
  ServerGroup group(RowBounds({0, 10}), {table_spec(10, 2)}, options);
  EXPECT_THAT(group.endpoints()[0], HasSubstr("ipc://"));
  const auto client = group.client({.prepare_socket = [&](zmq::socket_t& socket) {
    socket.set(zmq::sockopt::curve_serverkey, server_public);
    socket.set(zmq::sockopt::curve_publickey, client_public);
    socket.set(zmq::sockopt::curve_secretkey, client_secret);
  }});
  client->push(0, std::vector<RowIndex>{4}, std::vector<float>{1, 2});
  client->flush();
  EXPECT_EQ(group.shards[0]->table(0).row(4)[1], 2);
  EXPECT_THROW(group.client({.timeout_ms = 300}), ServerTimeout) << "a client without keys";
}

TEST(Client, StatisticsCountAndByeIsHeard) {
  ServerGroup group(RowBounds({0, 10}), {table_spec(10, 2)});
  auto client = group.client();
  client->push(0, std::vector<RowIndex>{4, 4}, std::vector<float>{1, 2, 3, 4});
  std::vector<float> out(6);
  client->pull(0, std::vector<RowIndex>{4, 1, 2}, out);
  const ServerCounters counters = client->statistics(0);
  EXPECT_EQ(counters.pushes, 1U);
  EXPECT_EQ(counters.rows_pushed, 2U);
  EXPECT_EQ(counters.pulls, 1U);
  EXPECT_EQ(counters.rows_pulled, 3U);
  EXPECT_EQ(counters.clients, 1U);
  EXPECT_EQ(counters.errors, 0U);
  EXPECT_GT(counters.bytes_received, 16U + 16U + 24U);
  client.reset();
  for (int wait = 0; wait < 200 && group.servers[0]->counters().clients > 0; ++wait) {
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  EXPECT_EQ(group.servers[0]->counters().clients, 0U);
}

TEST(Server, StopsPromptlyAndTwiceAndUnstarted) {
  zmq::context_t context;
  Shard shard;
  shard.add_table(table_spec(10, 2), {0, 10});
  const auto begin = std::chrono::steady_clock::now();
  for (int round = 0; round < 20; ++round) {
    Server server(context, shard, {});
    if (round % 2 == 0) server.start();
    server.stop();
    server.stop();
  }
  EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(5));
  Server first(context, shard, {});
  EXPECT_THROW(Server(context, shard, {.endpoint = first.endpoint()}), std::runtime_error);
}

TEST(Client, TwoThreadsWithAClientEachLoseNothing) {
  ServerGroup group(RowBounds({0, 3, 7, 10}), {table_spec(10, 32)});
  {
    std::vector<std::jthread> threads;
    for (ServerIndex t = 0; t < 2; ++t) {
      threads.emplace_back([&group, t] {
        const auto client = group.client({}, {t, group.shards[t].get()});
        const std::vector<RowIndex> rows{0, 2, 5, 8, 9, 3};
        const std::vector<float> ones(rows.size() * 32, 1.0F);
        for (int round = 0; round < 300; ++round) client->push(0, rows, ones);
        client->flush();
      });
    }
  }
  for (const RowIndex row : {0U, 2U, 5U, 8U, 9U, 3U}) {
    const ServerIndex owner = row < 3 ? 0 : row < 7 ? 1 : 2;
    EXPECT_EQ(group.shards[owner]->table(0).row(row)[31], 600.0F) << row;
  }
}

}  // namespace
}  // namespace knotwork::ps
