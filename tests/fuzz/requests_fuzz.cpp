// What a parameter server is asked: messages of any frames, one after another, at a handler with three tables.
#include <cstring>

#include "ps/request_handler.h"
#include "tests/fuzz/target.h"

namespace knotwork::fuzz {
namespace {

using namespace ps;  // NOLINT(google-build-using-namespace): what the target is about

constexpr std::uint64_t kFuzzJob = 4711;
constexpr std::uint64_t kFuzzRows = 8;
constexpr std::uint32_t kFuzzDim = 3;
/// Between messages; kCut is between the frames of one.
constexpr std::string_view kNextMessage = "|>>|";

void add_tables(Shard& shard) {
  for (const OptimizerKind kind : {OptimizerKind::kSgd, OptimizerKind::kAdagrad, OptimizerKind::kAdam}) {
    shard.add_table({.name = "rows", .row_count = 2 * kFuzzRows, .dim = kFuzzDim, .optimizer = {.kind = kind}},
                    {kFuzzRows, 2 * kFuzzRows});
  }
}

/// All values and state, to see whether something has changed.
std::string content_of(const Shard& shard) {
  std::string all;
  for (TableIndex t = 0; t < shard.table_count(); ++t) {
    const Table& table = shard.table(t);
    all.append(reinterpret_cast<const char*>(table.values()), kFuzzRows * table.stride() * sizeof(float));
    if (table.state_width() == 0) continue;
    all.append(reinterpret_cast<const char*>(table.state()), kFuzzRows * table.state_width() * sizeof(float));
  }
  return all;
}

/// Asks, and checks the promises of protocol.capnp. Returns whether the answer was no error.
bool ask(RequestHandler& handler, const Shard& shard, const std::string& message, std::size_t limit) {
  std::vector<zmq::message_t> frames;
  for (const std::string& frame : pieces_of(message)) frames.emplace_back(frame.data(), frame.size());
  const std::string before = content_of(shard);
  const ReplyFrames reply = handler.handle(frames);
  const Reply decoded = decode_reply(bytes_of(reply.header));
  require(reply.rows.size() <= limit, "no answer is longer than the limit");
  if (!std::holds_alternative<ErrorReply>(decoded.body)) return true;
  require(!std::get<ErrorReply>(decoded.body).text.empty(), "errors say what was wrong");
  require(content_of(shard) == before, "a request that gets an error has changed nothing");
  return false;
}

bool run_requests(std::string_view input) {
  Shard shard;
  add_tables(shard);
  const ServerLimits limits{.max_message_bytes = 4096, .max_clients = 4, .push_window = 16};
  RequestHandler handler(shard, kFuzzJob, 0, limits);
  bool any = false;
  std::uint64_t asked = 0;
  for (const std::string& message : pieces_of(input, kNextMessage)) {
    if (asked == 64) break;
    any = ask(handler, shard, message, limits.max_message_bytes) || any;
    ++asked;
  }
  require(handler.counters().requests == asked, "every request is counted");
  return any;
}

template <typename Body>
std::string request_frame(Body body, std::uint64_t id) {
  const zmq::message_t frame = encode(Request{kProtocolVersion, kFuzzJob, 5, id, std::move(body)});
  return {static_cast<const char*>(frame.data()), frame.size()};
}

template <typename T>
std::string frame_of(const std::vector<T>& values) {
  return {reinterpret_cast<const char*>(values.data()), values.size() * sizeof(T)};
}

std::vector<Seed> requests_seeds() {
  const std::string hello = request_frame(HelloRequest{}, 1);
  const std::string keys = frame_of(std::vector<RowIndex>{9, 15, 9});
  const auto push = [&](TableIndex table, std::uint64_t sequence, PushKind kind, std::size_t floats, bool returns) {
    return joined({request_frame(PushRequest{table, sequence, kind, 0.1F, returns}, 10 + sequence), keys,
                   frame_of(std::vector<float>(floats, 2))});
  };
  const std::string pull = joined({request_frame(PullRequest{1, true}, 2), keys});
  const std::string bf16 = joined({request_frame(PullRequest{0, false, RowFormat::kBfloat16}, 3), keys});
  return {
      {joined({hello, pull, bf16, request_frame(DescribeRequest{}, 4), request_frame(StatisticsRequest{}, 5)},
              kNextMessage)},
      {joined({hello, push(0, 1, PushKind::kDelta, 9, true), push(1, 2, PushKind::kDeltaWithState, 12, true),
               push(2, 3, PushKind::kGradient, 9, false), push(2, 3, PushKind::kGradient, 9, false)},
              kNextMessage)},
      {joined({hello, push(1, 9, PushKind::kGradient, 9, true), request_frame(ByeRequest{}, 6), pull}, kNextMessage)},
      {joined({pull, "", "GET / HTTP/1.1\r\n\r\n"}, kNextMessage), false},
      {"", false},
  };
}

}  // namespace

Target requests_target() {
  return {"requests", requests_seeds, run_requests};
}

}  // namespace knotwork::fuzz
