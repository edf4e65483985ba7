// What a client is answered: a server that sends the input's pieces, one for each request, at a real client.
//
// Answers bear the id of the request that they answer, whatever the input has there: with any other id the client would
// only wait for its timeout.
#include <cstring>
#include <thread>

#include "ps/client.h"
#include "tests/fuzz/target.h"

namespace knotwork::fuzz {
namespace {

using namespace ps;  // NOLINT(google-build-using-namespace): what the target is about

constexpr std::string_view kNextReply = "|>>|";
/// Where Reply.id lies in a message of one segment: after the segment table, the root pointer and a word of its struct.
constexpr std::size_t kIdAt = 24;

/// Answers until the client has gone; what has no answer left gets one that no client accepts.
class AnsweringMachine {
 public:
  AnsweringMachine(zmq::context_t& context, const std::string& endpoint, std::vector<std::string> replies)
      : socket_(context, zmq::socket_type::router), replies_(std::move(replies)) {
    socket_.set(zmq::sockopt::linger, 0);
    socket_.set(zmq::sockopt::rcvtimeo, 2);
    socket_.bind(endpoint);
    thread_ = std::jthread([this](const std::stop_token& stop) {
      while (!stop.stop_requested()) answer_one();
    });
  }

 private:
  void answer_one() {
    zmq::message_t peer;
    if (!socket_.recv(peer)) return;
    std::uint64_t id = 0;
    bool more = peer.more();
    for (bool first = true; more; first = false) {
      zmq::message_t frame;
      (void)socket_.recv(frame);
      more = frame.more();
      if (first) id = decode_request(bytes_of(frame)).id;
    }
    std::vector<std::string> frames =
        next_ < replies_.size() ? pieces_of(replies_[next_++]) : std::vector<std::string>{"x"};
    if (frames[0].size() >= kIdAt + sizeof id) std::memcpy(frames[0].data() + kIdAt, &id, sizeof id);
    socket_.send(peer, zmq::send_flags::sndmore);
    for (std::size_t f = 0; f < frames.size(); ++f) {
      socket_.send(zmq::buffer(frames[f]), f + 1 < frames.size() ? zmq::send_flags::sndmore : zmq::send_flags::none);
    }
  }

  zmq::socket_t socket_;
  std::vector<std::string> replies_;
  std::size_t next_ = 0;
  std::jthread thread_;
};

/// What a worker does with a server.
void use_tables(Client& client) {
  for (TableIndex t = 0; t < client.table_count(); ++t) {
    const TableSpec& spec = client.table(t);
    if (spec.row_count == 0) continue;
    const std::vector<RowIndex> rows{0, spec.row_count - 1, spec.row_count / 2};
    std::vector<float> values(rows.size() * client.wire_width(t), 1.0F);
    client.pull(t, rows, values);
    client.push(t, rows, values);
    client.wait(client.start_push_pull(t, rows, values, values));
  }
  client.flush();
  static_cast<void>(client.statistics(0));
}

bool run_replies(std::string_view input) {
  static zmq::context_t context(1);
  static std::uint64_t runs = 0;
  // ZeroMQ closes sockets behind our back: the place of the last run may still be taken.
  const std::string endpoint = "inproc://replies-" + std::to_string(++runs);
  const AnsweringMachine server(context, endpoint, pieces_of(input, kNextReply));
  try {
    Client client(context, {endpoint}, {}, {.timeout_ms = 3000, .resend_ms = 1000, .linger_ms = 0});
    use_tables(client);
    return true;
  } catch (const ProtocolError&) {
    return false;
  } catch (const ServerTimeout&) {
    return false;
  }
}

template <typename Body>
std::string reply_frame(Body body) {
  const zmq::message_t frame = encode(Reply{kProtocolVersion, 1, std::move(body)});
  return {static_cast<const char*>(frame.data()), frame.size()};
}

std::vector<Seed> replies_seeds() {
  const std::string hello = reply_frame(HelloReply{1U << 20U, 16});
  const TablePart part{.spec = {.name = "rows", .row_count = 9, .dim = 2}, .range = {0, 9}};
  const std::string tables = reply_frame(DescribeReply{{part}});
  const std::string rows = joined({reply_frame(RowsReply{}), std::string(3 * 2 * sizeof(float), '\1')});
  const std::string pushed = reply_frame(PushedReply{});
  const std::string statistics = reply_frame(ServerCounters{});
  const std::string error = reply_frame(ErrorReply{ErrorCode::kTooLarge, "too large"});
  return {
      {joined({hello, tables, rows, pushed, rows, statistics}, kNextReply)},
      {joined({hello, reply_frame(DescribeReply{}), statistics}, kNextReply)},
      {joined({reply_frame(HelloReply{0, 0}), tables, rows, rows, rows, pushed, pushed, rows, rows, rows, statistics},
              kNextReply),
       false},
      {joined({hello, tables, joined({reply_frame(RowsReply{}), "short"})}, kNextReply), false},
      {joined({hello, tables, error}, kNextReply), false},
      {joined({hello, hello}, kNextReply), false},
      {"", false},
  };
}

}  // namespace

Target replies_target() {
  return {"replies", replies_seeds, run_replies};
}

}  // namespace knotwork::fuzz
