// One client's connection to one server: the DEALER socket, the requests on their way, and when to send them again or
// give up. Internal to the room: client.cpp is its only user.
//
// A request counts as lost when it has waited for `resend_ms` and either nothing at all came from the server in that
// time, or a later request has been answered. Lost requests are sent again with the same id and sequence number.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <zmq.hpp>

#include "ps/client.h"
#include "ps/wire.h"

namespace knotwork::ps {

/// What to do with the answer to a request.
struct ReplyTarget {
  /// Where rows go: ticket 0 wants none.
  std::uint64_t ticket = 0;
  std::size_t width = 0;
  RowFormat format = RowFormat::kFloat32;
  std::size_t row_count = 0;
  /// Places of the rows in the ticket's `out`; empty: row_count places from first_position on.
  std::vector<std::uint32_t> positions;
  std::size_t first_position = 0;
  /// Takes the whole header of the answer to a control request (hello, describe, ...). Shared, since the answer may
  /// come after the one who asked has given up.
  std::shared_ptr<std::optional<Reply>> control;
};

/// An answer, with what its request was about.
struct Arrival {
  Reply reply;
  zmq::message_t rows;
  bool has_rows = false;
  ReplyTarget target;
  bool was_push = false;
  const char* operation = "";
};

class Connection {
 public:
  using Clock = std::chrono::steady_clock;

  /// Connects (in the background, as ZeroMQ does). Throws ProtocolError for an impossible endpoint.
  Connection(zmq::context_t& context, ServerIndex server, std::string endpoint, std::uint64_t client_id,
             const ClientOptions& options);

  /// "server 2 (tcp://...)", or "the server of rank 2 (host b, ...) at tcp://...".
  std::string name() const;
  const ClientTraffic& traffic() const { return traffic_; }
  zmq::socket_t& socket() { return socket_; }
  std::size_t in_flight() const { return pending_.size(); }
  std::size_t pushes_in_flight() const { return pushes_in_flight_; }
  std::uint64_t resent() const { return resent_; }
  void set_limits(const HelloReply& limits) { limits_ = limits; }
  const HelloReply& limits() const { return limits_; }

  /// Whether a request that moves `bytes` may go now.
  bool has_room(std::size_t bytes, bool push) const;
  /// Sends and remembers a request; a push gets its sequence number here. `frames`: 1 to 3 of header, keys, rows.
  void submit(Request request, zmq::message_t keys, zmq::message_t rows, std::size_t bytes, ReplyTarget target);
  /// Sends a last word without waiting for an answer.
  void say_bye() noexcept;

  /// Takes one answer that has come in; nothing if there is none. Answers to requests that were answered before are
  /// dropped. Throws ProtocolError for what is no answer.
  std::optional<Arrival> receive();

  /// Sends lost requests again. Throws ServerTimeout when the server has been silent for too long.
  void tend(Clock::time_point now);
  /// When tend() has something to do at the earliest. REQUIRES: in_flight() > 0.
  Clock::time_point next_tending() const;

 private:
  struct Pending {
    zmq::message_t header;
    zmq::message_t keys;
    zmq::message_t rows;
    int frame_count = 1;
    std::size_t bytes = 0;
    std::uint64_t sequence = 0;  // 0: no push.
    const char* operation = "";
    Clock::time_point first_sent;
    Clock::time_point last_sent;
    ReplyTarget target;
  };
  void send(Pending& pending);
  void count_answer(const Pending& pending, std::size_t bytes);
  bool overdue(std::uint64_t id, Clock::time_point since, Clock::duration limit, Clock::time_point now) const;

  ServerIndex server_;
  std::string endpoint_;
  std::string server_name_;
  std::uint64_t client_id_;
  std::uint64_t job_id_;
  std::chrono::milliseconds timeout_;
  std::chrono::milliseconds resend_after_;
  std::uint32_t max_in_flight_;
  std::size_t max_in_flight_bytes_;
  zmq::socket_t socket_;
  HelloReply limits_{.max_message_bytes = kMaxHeaderBytes, .window = 1};

  std::map<std::uint64_t, Pending> pending_;         // By id, which rises with time.
  std::map<std::uint64_t, std::uint64_t> push_ids_;  // Sequence number to id, of pushes in flight.
  std::size_t bytes_in_flight_ = 0;
  std::size_t pushes_in_flight_ = 0;
  std::uint64_t last_id_ = 0;
  std::uint64_t last_answered_id_ = 0;
  std::uint64_t last_sequence_ = 0;
  std::uint64_t resent_ = 0;
  ClientTraffic traffic_;
  ClientMeter* meter_;
  Clock::time_point last_heard_;
};

}  // namespace knotwork::ps
