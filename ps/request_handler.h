// What a server does with a request, without the transport: frames in, frames out. So several serving threads can share
// one, and tests and fuzzers can call it without a socket.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <memory>
#include <mutex>
#include <set>
#include <span>
#include <unordered_map>

#include <zmq.hpp>

#include "ps/hot_rows.h"
#include "ps/shard.h"
#include "ps/wire.h"

namespace knotwork::ps {

/// What one peer may ask of a server.
struct ServerLimits {
  /// Longest frame in either direction, bytes. Larger frames end the connection before memory is taken for them; larger
  /// replies are refused. Clients learn it in the handshake and cut their batches to fit.
  std::size_t max_message_bytes = std::size_t{2} << 20;
  /// Clients that said hello and not bye: about 200 bytes each.
  std::size_t max_clients = 65536;
  /// How far a client's pushes may run ahead of its oldest unapplied one: bounds what is remembered per client.
  std::uint32_t push_window = 1024;
};

/// The frames of a reply; `rows` is sent only if `has_rows`, and nothing if `dropped`.
struct ReplyFrames {
  zmq::message_t header;
  zmq::message_t rows;
  bool has_rows = false;
  bool dropped = false;
};

/// Answers requests on a shard. Any number of threads may call handle() at once.
class RequestHandler {
 public:
  /// `shard` must outlive the handler and have all its tables.
  RequestHandler(Shard& shard, std::uint64_t job_id, std::uint64_t configuration, ServerLimits limits);

  /// Answers one request, whatever it is; never throws (short of no memory for the error reply itself).
  /// `frames`: as they came, without ZeroMQ's routing id. `room`: bytes of rows that the answer may have now. A request
  /// that would get more is dropped: counted, not carried out, not answered, since its sender has not read the answers
  /// before; a client of ours asks again.
  ReplyFrames handle(std::span<const zmq::message_t> frames,
                     std::size_t room = std::numeric_limits<std::size_t>::max());

  /// Counts a reply that couldn't be delivered.
  void count_dropped_reply() { ++replies_dropped_; }
  /// Counts connections that were turned away before any request.
  void count_refused_connections(std::uint64_t count) { refused_connections_ += count; }
  ServerCounters counters() const;
  /// Rows that clients pull and push.
  const HotRows& hot_rows() const { return hot_rows_; }

 private:
  /// The pushes of one client that were applied: 1 .. applied_through, and those in `applied_beyond`.
  struct Session {
    std::mutex mutex;
    std::uint64_t applied_through = 0;
    std::set<std::uint64_t> applied_beyond;

    bool applied(std::uint64_t sequence) const;
    void record(std::uint64_t sequence);
  };

  ReplyFrames answer(const Request& request, std::span<const zmq::message_t> frames, std::size_t room);
  ReplyFrames hello(const Request& request);
  ReplyFrames describe(const Request& request) const;
  ReplyFrames pull(const Request& request, const PullRequest& pull, const zmq::message_t& keys, std::size_t room);
  ReplyFrames push(const Request& request, const PushRequest& push, const zmq::message_t& keys,
                   const zmq::message_t& rows, Session& session, std::size_t room);
  ReplyFrames drop();
  ReplyFrames error(std::uint64_t id, ErrorCode code, const std::string& text);
  ReplyFrames gather(std::uint64_t id, const Table& table, std::span<const RowIndex> rows, bool with_state,
                     RowFormat format) const;
  std::shared_ptr<Session> session_of(const Request& request);
  Table& table_of(const Request& request, TableIndex index);
  void check_keys(const Request& request, const Table& table, const zmq::message_t& keys, std::size_t width,
                  RowFormat format) const;

  Shard& shard_;
  const std::uint64_t job_id_;
  const std::uint64_t configuration_;
  const ServerLimits limits_;

  mutable std::mutex sessions_mutex_;
  std::unordered_map<std::uint64_t, std::shared_ptr<Session>> sessions_;  // Guarded by sessions_mutex_.

  HotRows hot_rows_;
  std::atomic<std::uint64_t> requests_{0};
  std::atomic<std::uint64_t> pulls_{0};
  std::atomic<std::uint64_t> pushes_{0};
  std::atomic<std::uint64_t> duplicate_pushes_{0};
  std::atomic<std::uint64_t> rows_pulled_{0};
  std::atomic<std::uint64_t> rows_pushed_{0};
  std::atomic<std::uint64_t> bytes_received_{0};
  std::atomic<std::uint64_t> bytes_sent_{0};
  std::atomic<std::uint64_t> replies_dropped_{0};
  std::atomic<std::uint64_t> requests_dropped_{0};
  std::atomic<std::uint64_t> refused_connections_{0};
  std::array<std::atomic<std::uint64_t>, kErrorCodeCount> errors_by_code_{};
};

}  // namespace knotwork::ps
