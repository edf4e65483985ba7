// What a server does with messages that no client of ours would send: an error reply, a count, and nothing else.
#include <cstdint>
#include <limits>
#include <random>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "ps/wire.h"
#include "tests/unit/ps/raw_messages.h"
#include "tests/unit/ps/server_group.h"

namespace knotwork::ps {
namespace {

using testing::bytes_string;
using testing::floats;
using testing::header;
using testing::kClient;
using testing::keys;
using testing::kJob;
using testing::RawPeer;
using testing::request_of;
using testing::ServerGroup;
using testing::table_spec;

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

}  // namespace
}  // namespace knotwork::ps
