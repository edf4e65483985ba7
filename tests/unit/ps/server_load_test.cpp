// What a server does for everyone else while one client does not read, asks for too much, or sends without end.
#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstring>
#include <functional>
#include <numeric>
#include <string>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include "ps/reply_budget.h"
#include "ps/wire.h"
#include "tests/unit/ps/raw_messages.h"
#include "tests/unit/ps/server_group.h"

namespace knotwork::ps {
namespace {

using testing::floats;
using testing::header;
using testing::keys;
using testing::kJob;
using testing::ServerGroup;
using testing::table_spec;

TEST(ReplyBudgetTest, CountsRowsUntilZeroMqLetsGoOfThem) {
  constexpr std::size_t kRows = 10000;
  ReplyBudget budget(2 * kRows + 5, 100 * kRows);
  EXPECT_EQ(budget.room("a"), 2 * kRows + 5);
  {
    const zmq::message_t first = budget.charge("a", zmq::message_t(std::string(kRows, 'x')));
    const zmq::message_t second = budget.charge("a", zmq::message_t(std::string(kRows, 'y')));
    EXPECT_EQ(second.to_string(), std::string(kRows, 'y'));
    EXPECT_EQ(budget.room("a"), ReplyBudget::kSmallReply);  // 5 bytes are left, and small answers aren't counted.
    EXPECT_EQ(budget.room("b"), 2 * kRows + 5);
    EXPECT_EQ(budget.queued_bytes(), 2 * kRows);
    zmq::message_t copy;
    copy.copy(const_cast<zmq::message_t&>(first));
    EXPECT_EQ(budget.queued_bytes(), 2 * kRows);
  }
  EXPECT_EQ(budget.queued_bytes(), 0U);
  EXPECT_EQ(budget.most_queued_bytes(), 2 * kRows);
  EXPECT_EQ(budget.room("a"), 2 * kRows + 5);
}

TEST(ReplyBudgetTest, BoundsWhatAllPeersLeaveUnreadAndForgetsThoseThatDoNot) {
  constexpr std::size_t kRows = 10000;
  ReplyBudget budget(10 * kRows, 3 * kRows);
  std::vector<zmq::message_t> waiting;
  for (const char* peer : {"a", "b", "c"}) waiting.push_back(budget.charge(peer, zmq::message_t(kRows)));
  EXPECT_EQ(budget.room("a"), ReplyBudget::kSmallReply);
  EXPECT_EQ(budget.room("new"), 10 * kRows);  // Whoever has nothing waiting is served.
  waiting.clear();
  for (int peer = 0; peer < 1000; ++peer) budget.charge(std::to_string(peer), zmq::message_t(kRows));
  EXPECT_EQ(budget.queued_bytes(), 0U);
  EXPECT_EQ(budget.room("a"), 10 * kRows);
}

/// Waits until `holds`, which other threads make true; false after half a minute.
bool comes_true(const std::function<bool()>& holds) {
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(30);
  while (!holds()) {
    if (std::chrono::steady_clock::now() > deadline) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }
  return true;
}

/// Greets the server, asks for `rows` so many times, and takes nothing of what comes.
zmq::socket_t peer_that_does_not_read(ServerGroup& group, const std::vector<RowIndex>& rows, std::uint64_t requests) {
  zmq::socket_t peer(group.context, zmq::socket_type::dealer);
  peer.set(zmq::sockopt::linger, 0);
  peer.set(zmq::sockopt::rcvhwm, 1);
  peer.set(zmq::sockopt::rcvbuf, 65536);
  peer.connect(group.endpoints()[0]);
  peer.send(zmq::buffer(header(HelloRequest{})), zmq::send_flags::none);
  for (std::uint64_t request = 0; request < requests; ++request) {
    peer.send(zmq::buffer(header(PullRequest{})), zmq::send_flags::sndmore);
    peer.send(zmq::buffer(keys(rows)), zmq::send_flags::none);
  }
  return peer;
}

TEST(ServerLoad, AClientThatDoesNotReadCostsBoundedMemoryAndNobodyElse) {
  constexpr std::size_t kDim = 1024;
  constexpr std::size_t kRowsOfAPull = 200;  // 800 KiB an answer.
  constexpr std::size_t kQueueBytes = std::size_t{4} << 20;
  constexpr std::uint64_t kRequests = 300;
  ServerOptions options;
  options.send_queue_bytes = kQueueBytes;
  ServerGroup group(RowBounds({0, kRowsOfAPull}), {table_spec(kRowsOfAPull, kDim)}, options);
  std::vector<RowIndex> rows(kRowsOfAPull);
  std::iota(rows.begin(), rows.end(), RowIndex{0});
  const auto reader = group.client();
  {
    const zmq::socket_t slow = peer_that_does_not_read(group, rows, kRequests);
    std::vector<float> out(kRowsOfAPull * kDim, 1.0F);
    for (int pull = 0; pull < 20; ++pull) reader->pull(0, rows, out);
    EXPECT_EQ(out.back(), 0.0F);
    const auto all_came = [&] { return group.servers[0]->counters().requests >= kRequests + 20; };
    ASSERT_TRUE(comes_true(all_came));
    const ServerCounters counters = group.servers[0]->counters();
    EXPECT_GT(counters.requests_dropped, 0U);
    EXPECT_GT(counters.queued_bytes, 0U);
    EXPECT_LE(counters.most_queued_bytes, kQueueBytes + ReplyBudget::kSmallReply + rows.size() * kDim * sizeof(float));
    EXPECT_EQ(reader->resent(), 0U);
  }
  // What it left unread goes with its connection.
  EXPECT_TRUE(comes_true([&] { return group.servers[0]->counters().queued_bytes == 0; }));
}

TEST(ServerLoad, AConnectionThatTakesNothingIsClosed) {
  constexpr std::size_t kDim = 1024;
  constexpr std::size_t kRowsOfAPull = 200;
  constexpr std::uint64_t kRequests = 50;  // 40 MB of answers: more than the network holds.
  ServerOptions options;
  options.stalled_ms = 500;
  ServerGroup group(RowBounds({0, kRowsOfAPull}), {table_spec(kRowsOfAPull, kDim)}, options);
  const zmq::socket_t slow = peer_that_does_not_read(group, std::vector<RowIndex>(kRowsOfAPull), kRequests);
  ASSERT_TRUE(comes_true([&] { return group.servers[0]->counters().pulls == kRequests; }));
  EXPECT_GT(group.servers[0]->counters().most_queued_bytes, 0U);
  // The peer is still there, and still doesn't read.
  EXPECT_TRUE(comes_true([&] { return group.servers[0]->counters().queued_bytes == 0; }));
}

TEST(ServerLoad, RequestsThatWereDroppedAreAskedAgainAndAppliedOnce) {
  constexpr std::size_t kDim = 4096;  // 16 KiB a row, which is also all that may wait.
  ServerOptions options;
  options.limits.max_message_bytes = kDim * sizeof(float);
  options.send_queue_bytes = kDim * sizeof(float);
  options.endpoint = "inproc://budget";  // Answers wait until the client takes them: no network hides them.
  ServerGroup group(RowBounds({0, 4}), {table_spec(4, kDim)}, options);
  const auto client = group.client({.resend_ms = 5});
  float pushes = 0;
  std::vector<std::vector<float>> outs(16, std::vector<float>(kDim));
  const std::vector<float> ones(kDim, 1.0F);
  for (int round = 0; round < 100 && group.servers[0]->counters().requests_dropped == 0; ++round) {
    std::vector<PullTicket> tickets;
    for (auto& out : outs) {
      tickets.push_back(client->start_push_pull(0, std::vector<RowIndex>{2}, ones, out));
      ++pushes;
    }
    for (const PullTicket ticket : tickets) client->wait(ticket);
  }
  EXPECT_GT(group.servers[0]->counters().requests_dropped, 0U);
  EXPECT_GT(client->resent(), 0U);
  client->pull(0, std::vector<RowIndex>{2}, outs[0]);
  EXPECT_EQ(outs[0][7], pushes);
}

TEST(ServerLoad, ClientsTakeTurnsHoweverManyRequestsOneHasWaiting) {
  constexpr std::uint64_t kOthers = 8;
  constexpr std::uint64_t kRequestsOfOthers = 4;
  constexpr std::uint64_t kRequestsOfGreedy = 900;  // Less than the window of pushes.
  zmq::context_t context;
  Shard shard;
  shard.add_table(table_spec(1, 1), {0, 1});
  Server server(context, shard, {.endpoint = "inproc://turns", .job_id = kJob});
  // Every request adds one to the only row and asks for it: the answers say in which order they were served.
  const auto ask = [&](zmq::socket_t& socket, std::uint64_t client, std::uint64_t count) {
    socket = zmq::socket_t(context, zmq::socket_type::dealer);
    socket.set(zmq::sockopt::sndhwm, 0);
    socket.set(zmq::sockopt::rcvhwm, 0);
    socket.set(zmq::sockopt::linger, 0);
    socket.set(zmq::sockopt::rcvtimeo, 10000);
    socket.connect(server.endpoint());
    socket.send(encode(Request{kProtocolVersion, kJob, client, 1, HelloRequest{}}), zmq::send_flags::none);
    for (std::uint64_t sequence = 1; sequence <= count; ++sequence) {
      const PushRequest push{.sequence = sequence, .return_rows = true};
      socket.send(encode(Request{kProtocolVersion, kJob, client, sequence + 1, push}), zmq::send_flags::sndmore);
      socket.send(zmq::buffer(keys({0})), zmq::send_flags::sndmore);
      socket.send(zmq::buffer(floats(1)), zmq::send_flags::none);
    }
  };
  zmq::socket_t greedy;
  std::vector<zmq::socket_t> others(kOthers);
  ask(greedy, 1, kRequestsOfGreedy);
  for (std::uint64_t other = 0; other < kOthers; ++other) ask(others[other], 2 + other, kRequestsOfOthers);
  server.start();
  float last = 0;
  for (zmq::socket_t& socket : others) {
    zmq::message_t frame;
    ASSERT_TRUE(socket.recv(frame));  // hello
    for (std::uint64_t answer = 0; answer < kRequestsOfOthers; ++answer) {
      ASSERT_TRUE(socket.recv(frame));
      ASSERT_TRUE(frame.more());
      ASSERT_TRUE(socket.recv(frame));
      ASSERT_EQ(frame.size(), sizeof(float));
      float order = 0;
      std::memcpy(&order, frame.data(), sizeof order);
      last = std::max(last, order);
    }
  }
  // In each turn one request of everyone. One after another they would have waited for all 900.
  EXPECT_LE(last, static_cast<float>((kOthers + 1) * kRequestsOfOthers));
}

}  // namespace
}  // namespace knotwork::ps
