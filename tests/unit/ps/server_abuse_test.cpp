// What a server does with messages that no client of ours would send: an error reply, a count, and nothing else. And
// what becomes of pushes when messages are lost, doubled or late.
#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <cstring>
#include <functional>
#include <iostream>
#include <limits>
#include <map>
#include <numeric>
#include <optional>
#include <random>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "ps/reply_budget.h"
#include "ps/wire.h"
#include "tests/unit/ps/server_group.h"

namespace knotwork::ps {
namespace {

using testing::kJob;
using testing::ServerGroup;
using testing::table_spec;

constexpr std::uint64_t kClient = 99;

std::string bytes_string(const zmq::message_t& message) {
  return {static_cast<const char*>(message.data()), message.size()};
}

template <typename T>
std::string raw(const std::vector<T>& values) {
  return {reinterpret_cast<const char*>(values.data()), values.size() * sizeof(T)};
}

std::string keys(const std::vector<RowIndex>& rows) {
  return raw(rows);
}
std::string floats(std::size_t count, float value = 1) {
  return raw(std::vector<float>(count, value));
}

/// A DEALER that sends any frames.
class RawPeer {
 public:
  explicit RawPeer(ServerGroup& group) : socket_(group.context, zmq::socket_type::dealer) {
    socket_.set(zmq::sockopt::linger, 0);
    socket_.set(zmq::sockopt::rcvtimeo, 5000);
    socket_.connect(group.endpoints()[0]);
  }
  void send(const std::vector<std::string>& frames) {
    for (std::size_t f = 0; f < frames.size(); ++f) {
      socket_.send(zmq::buffer(frames[f]), f + 1 < frames.size() ? zmq::send_flags::sndmore : zmq::send_flags::none);
    }
  }
  std::optional<Reply> receive() {
    zmq::message_t header;
    if (!socket_.recv(header)) return std::nullopt;
    for (bool more = header.more(); more;) {
      zmq::message_t rest;
      (void)socket_.recv(rest);
      more = rest.more();
    }
    return decode_reply(bytes_of(header));
  }
  Reply ask(const std::vector<std::string>& frames) {
    send(frames);
    auto reply = receive();
    EXPECT_TRUE(reply.has_value()) << "no reply";
    return reply.value_or(Reply{});
  }

 private:
  zmq::socket_t socket_;
};

template <typename Body>
Request request_of(Body body, std::uint64_t id = 7) {
  Request request;
  request.job = kJob;
  request.client = kClient;
  request.id = id;
  request.body = std::move(body);
  return request;
}

template <typename Body>
std::string header(Body body) {
  return bytes_string(encode(request_of(std::move(body))));
}

std::string push_header(std::uint64_t sequence, PushKind kind = PushKind::kDelta, float rate = 0,
                        TableIndex table = 0) {
  return header(PushRequest{.table = table, .sequence = sequence, .kind = kind, .learning_rate = rate});
}

struct Abuse {
  const char* name;
  std::vector<std::string> frames;
  ErrorCode expected;
};

std::vector<Abuse> abuses() {
  const std::string pull = header(PullRequest{});
  std::string flipped = pull;
  for (std::size_t i = 0; i < 8; ++i) flipped[i] = static_cast<char>(0xff);
  Request other_version = request_of(PullRequest{});
  other_version.version = kProtocolVersion + 1;
  Request other_job = request_of(PullRequest{});
  other_job.job = kJob + 1;
  Request stranger = request_of(PullRequest{});
  stranger.client = kClient + 1;
  const std::vector<RowIndex> many(100000, 3);
  return {
      {"an empty header", {""}, ErrorCode::kMalformed},
      {"a header of one byte", {"x"}, ErrorCode::kMalformed},
      {"text", {"GET / HTTP/1.1\r\n\r\n......"}, ErrorCode::kMalformed},
      {"a cut header", {pull.substr(0, pull.size() - 16), keys({1})}, ErrorCode::kMalformed},
      {"a header with a huge segment table", {flipped, keys({1})}, ErrorCode::kMalformed},
      {"a header of a megabyte", {std::string(std::size_t{1} << 19, '\0')}, ErrorCode::kMalformed},
      {"request id 0", {bytes_string(encode(request_of(PullRequest{}, 0))), keys({1})}, ErrorCode::kMalformed},
      {"a pull without keys", {pull}, ErrorCode::kMalformed},
      {"a pull with rows", {pull, keys({1}), floats(4)}, ErrorCode::kMalformed},
      {"a push without rows", {push_header(1), keys({1})}, ErrorCode::kMalformed},
      {"fifty frames", std::vector<std::string>(50, pull), ErrorCode::kMalformed},
      {"another version", {bytes_string(encode(other_version)), keys({1})}, ErrorCode::kWrongVersion},
      {"another job", {bytes_string(encode(other_job)), keys({1})}, ErrorCode::kWrongJob},
      {"another configuration", {header(HelloRequest{5})}, ErrorCode::kWrongConfiguration},
      {"no hello", {bytes_string(encode(stranger)), keys({1})}, ErrorCode::kUnknownClient},
      {"an unknown table", {header(PullRequest{.table = 2}), keys({1})}, ErrorCode::kUnknownTable},
      {"a key beyond the range", {pull, keys({1, 100})}, ErrorCode::kRowOutOfRange},
      {"a key near 2^64", {pull, keys({std::numeric_limits<RowIndex>::max()})}, ErrorCode::kRowOutOfRange},
      {"a push to such a key", {push_header(1), keys({1, 100}), floats(8)}, ErrorCode::kRowOutOfRange},
      {"keys of 12 bytes", {pull, std::string(12, '\0')}, ErrorCode::kWrongFrameSize},
      {"too few rows", {push_header(1), keys({1, 2}), floats(7)}, ErrorCode::kWrongFrameSize},
      {"rows of odd length", {push_header(1), keys({1}), std::string(15, 'x')}, ErrorCode::kWrongFrameSize},
      {"rows with state for none",
       {push_header(1, PushKind::kDelta), keys({1}), floats(5)},
       ErrorCode::kWrongFrameSize},
      {"a reply beyond the limit", {pull, keys(many)}, ErrorCode::kTooLarge},
      {"added adam state",
       {push_header(1, PushKind::kDeltaWithState, 0, 1), keys({1}), floats(13)},
       ErrorCode::kUnsupported},
      {"an unknown kind", {push_header(1, static_cast<PushKind>(9)), keys({1}), floats(4)}, ErrorCode::kUnsupported},
      {"an endless learning rate",
       {push_header(1, PushKind::kGradient, std::numeric_limits<float>::infinity()), keys({1}), floats(4)},
       ErrorCode::kMalformed},
      {"sequence number 0", {push_header(0), keys({1}), floats(4)}, ErrorCode::kOutOfWindow},
      {"a sequence number far ahead", {push_header(1u << 30), keys({1}), floats(4)}, ErrorCode::kOutOfWindow},
  };
}

class ServerAbuse : public ::testing::Test {
 protected:
  static ServerOptions options() {
    ServerOptions small;
    small.limits.max_message_bytes = std::size_t{1} << 20;
    small.limits.max_clients = 2;
    return small;
  }
  ServerAbuse()
      : group(RowBounds({0, 100}), {table_spec(100, 4), table_spec(100, 4, OptimizerKind::kAdam)}, options()) {}
  ServerGroup group;
};

TEST_F(ServerAbuse, EveryMalformedMessageGetsAnErrorAndChangesNothing) {
  RawPeer peer(group);
  ASSERT_TRUE(std::holds_alternative<HelloReply>(peer.ask({header(HelloRequest{})}).body));
  std::uint64_t refused = 0;
  for (const Abuse& abuse : abuses()) {
    SCOPED_TRACE(abuse.name);
    const Reply reply = peer.ask(abuse.frames);
    const auto* error = std::get_if<ErrorReply>(&reply.body);
    ASSERT_NE(error, nullptr);
    EXPECT_EQ(static_cast<int>(error->code), static_cast<int>(abuse.expected)) << error->text;
    EXPECT_FALSE(error->text.empty());
    EXPECT_EQ(group.servers[0]->counters().errors, ++refused);
    // It serves on.
    EXPECT_TRUE(std::holds_alternative<RowsReply>(peer.ask({header(PullRequest{}), keys({1, 2})}).body));
  }
  for (TableIndex table = 0; table < 2; ++table) {
    for (RowIndex row = 0; row < 100; ++row) EXPECT_EQ(group.shards[0]->table(table).row(row)[0], 0.0F);
  }
}

TEST_F(ServerAbuse, AnOversizedFrameCostsItsSenderTheConnectionOnly) {
  RawPeer peer(group);
  peer.send({header(PullRequest{}), std::string((std::size_t{1} << 20) + 1, 'x')});
  const auto client = group.client({.timeout_ms = 5000});
  std::vector<float> out(4);
  client->pull(0, std::vector<RowIndex>{5}, out);
  EXPECT_EQ(group.servers[0]->counters().errors, 0U);
}

TEST_F(ServerAbuse, TooManyClientsAreRefused) {
  const auto first = group.client();
  const auto second = group.client();
  EXPECT_THROW(group.client(), ProtocolError);
  EXPECT_EQ(group.servers[0]->counters().errors_by_code[static_cast<std::size_t>(ErrorCode::kTooManyClients)], 1U);
}

TEST_F(ServerAbuse, RandomAndFlippedBytesNeverEndTheServer) {
  const unsigned seed = std::random_device{}();
  std::cout << "seed " << seed << "\n";
  SCOPED_TRACE(seed);
  std::mt19937 random(seed);
  RequestHandler handler(*group.shards[0], kJob, 0, {});
  const std::vector<std::string> good{header(HelloRequest{}), header(PullRequest{}), push_header(1),
                                      header(DescribeRequest{})};
  for (int round = 0; round < 20000; ++round) {
    std::string head = good[random() % good.size()];
    if (random() % 4 == 0) {
      head.resize(random() % 128);
      for (char& byte : head) byte = static_cast<char>(random());
    } else {
      for (unsigned flips = random() % 4; flips > 0; --flips)
        head[random() % head.size()] ^= static_cast<char>(1u << random() % 8);
    }
    std::vector<zmq::message_t> frames;
    frames.emplace_back(head);
    if (random() % 2 == 0) frames.emplace_back(keys({random() % 100}));
    if (random() % 2 == 0) frames.emplace_back(floats(random() % 2 == 0 ? 4 : random() % 8));
    const ReplyFrames reply = handler.handle(frames);
    ASSERT_NO_THROW((void)decode_reply(bytes_of(reply.header)));
  }
  EXPECT_EQ(handler.counters().requests, 20000U);
  EXPECT_GT(handler.counters().errors, 0U);
}

TEST_F(ServerAbuse, APushIsAppliedOncePerSequenceNumberInAnyOrder) {
  RawPeer peer(group);
  peer.ask({header(HelloRequest{})});
  for (const std::uint64_t sequence : {1U, 1U, 3U, 2U, 3U, 1U, 2U, 5U, 4U, 5U, 4U}) {
    EXPECT_TRUE(std::holds_alternative<PushedReply>(peer.ask({push_header(sequence), keys({8}), floats(4)}).body));
  }
  EXPECT_EQ(group.shards[0]->table(0).row(8)[0], 5.0F);
  EXPECT_EQ(group.servers[0]->counters().pushes, 5U);
  EXPECT_EQ(group.servers[0]->counters().duplicate_pushes, 6U);
}

/// Stands between one client and one server, and loses, doubles and delays messages in both directions.
class FaultyLink {
 public:
  FaultyLink(zmq::context_t& context, std::string server, unsigned seed) : random_(seed) {
    front_ = zmq::socket_t(context, zmq::socket_type::router);
    back_ = zmq::socket_t(context, zmq::socket_type::dealer);
    for (auto* socket : {&front_, &back_}) socket->set(zmq::sockopt::linger, 0);
    front_.bind("tcp://127.0.0.1:*");
    back_.connect(server);
    endpoint_ = front_.get(zmq::sockopt::last_endpoint);
    thread_ = std::jthread([this](const std::stop_token& stop) { run(stop); });
  }
  const std::string& endpoint() const { return endpoint_; }
  int lost() const { return lost_; }
  int doubled() const { return doubled_; }

 private:
  using Message = std::vector<zmq::message_t>;

  static Message take(zmq::socket_t& socket) {
    Message message;
    do {
      message.emplace_back();
      (void)socket.recv(message.back());
    } while (message.back().more());
    return message;
  }

  static void give(zmq::socket_t& socket, const Message& message) {
    for (std::size_t f = 0; f < message.size(); ++f) {
      zmq::message_t copy(message[f].data(), message[f].size());
      socket.send(copy, f + 1 < message.size() ? zmq::send_flags::sndmore : zmq::send_flags::none);
    }
  }

  void pass(zmq::socket_t& to, Message message) {
    const auto fate = random_() % 20;
    if (fate < 2) {
      ++lost_;
    } else if (fate < 4) {
      ++doubled_;
      give(to, message);
      give(to, message);
    } else if (fate < 6 && late_.empty()) {
      late_ = std::move(message);  // Overtaken by the next one in either direction.
      late_to_ = &to;
    } else {
      give(to, message);
      if (!late_.empty()) give(*late_to_, std::exchange(late_, {}));
    }
  }

  void run(const std::stop_token& stop) {
    std::array<zmq::pollitem_t, 2> items{{{front_.handle(), 0, ZMQ_POLLIN, 0}, {back_.handle(), 0, ZMQ_POLLIN, 0}}};
    while (!stop.stop_requested()) {
      zmq::poll(items.data(), items.size(), std::chrono::milliseconds(20));
      if ((items[0].revents & ZMQ_POLLIN) != 0) {
        Message message = take(front_);
        peer_ = bytes_string(message[0]);
        message.erase(message.begin());
        pass(back_, std::move(message));
      }
      if ((items[1].revents & ZMQ_POLLIN) != 0) {
        Message message = take(back_);
        message.insert(message.begin(), zmq::message_t(peer_));
        pass(front_, std::move(message));
      }
    }
  }

  std::mt19937 random_;
  zmq::socket_t front_;
  zmq::socket_t back_;
  std::string endpoint_;
  std::string peer_;
  Message late_;
  zmq::socket_t* late_to_ = nullptr;
  std::atomic<int> lost_{0};
  std::atomic<int> doubled_{0};
  std::jthread thread_;
};

TEST(FaultyLinkTest, EveryPushIsAppliedExactlyOnce) {
  const unsigned seed = std::random_device{}();
  std::cout << "seed " << seed << "\n";
  SCOPED_TRACE(seed);
  ServerOptions options;
  options.limits.push_window = 8;  // Narrow, so that the client has to wait for gaps to close.
  ServerGroup group(RowBounds({0, 100}), {table_spec(100, 4)}, options);
  FaultyLink link(group.context, group.endpoints()[0], seed);
  std::mt19937 random(seed + 1);
  std::map<RowIndex, float> expected;
  {
    Client client(group.context, {link.endpoint()}, {}, {.job_id = kJob, .timeout_ms = 20000, .resend_ms = 30});
    for (int push = 0; push < 300; ++push) {
      const std::vector<RowIndex> rows{random() % 100, random() % 100};
      for (const RowIndex row : rows) expected[row] += 1;
      if (push % 3 == 0) {
        std::vector<float> out(8);
        client.wait(client.start_push_pull(0, rows, std::vector<float>(8, 1.0F), out));
      } else {
        client.push(0, rows, std::vector<float>(8, 1.0F));
      }
    }
    client.flush();
    EXPECT_GT(client.resent(), 0U);
    std::vector<float> out(4);
    for (RowIndex row = 0; row < 100; ++row) {
      client.pull(0, {&row, 1}, out);
      EXPECT_EQ(out[0], expected[row]) << "row " << row;
    }
  }
  const ServerCounters counters = group.servers[0]->counters();
  EXPECT_EQ(counters.pushes, 300U);
  EXPECT_EQ(counters.errors, 0U);
  EXPECT_GT(link.lost(), 0);
  EXPECT_GT(link.doubled(), 0);
  EXPECT_GT(counters.duplicate_pushes, 0U);
}

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
    zmq::socket_t slow(group.context, zmq::socket_type::dealer);
    slow.set(zmq::sockopt::linger, 0);
    slow.set(zmq::sockopt::rcvhwm, 1);
    slow.set(zmq::sockopt::rcvbuf, 65536);
    slow.connect(group.endpoints()[0]);
    slow.send(zmq::buffer(header(HelloRequest{})), zmq::send_flags::none);
    for (std::uint64_t request = 0; request < kRequests; ++request) {
      slow.send(zmq::buffer(header(PullRequest{})), zmq::send_flags::sndmore);
      slow.send(zmq::buffer(keys(rows)), zmq::send_flags::none);
    }
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
  zmq::socket_t slow(group.context, zmq::socket_type::dealer);
  slow.set(zmq::sockopt::linger, 0);
  slow.set(zmq::sockopt::rcvhwm, 1);
  slow.set(zmq::sockopt::rcvbuf, 65536);
  slow.connect(group.endpoints()[0]);
  slow.send(zmq::buffer(header(HelloRequest{})), zmq::send_flags::none);
  std::vector<RowIndex> rows(kRowsOfAPull);
  for (std::uint64_t request = 0; request < kRequests; ++request) {
    slow.send(zmq::buffer(header(PullRequest{})), zmq::send_flags::sndmore);
    slow.send(zmq::buffer(keys(rows)), zmq::send_flags::none);
  }
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
