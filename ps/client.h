// A client of all servers of a job: rows are split by owner; local ones are served in place, remote owners are asked
// at the same time, each in one message (or several, under the message limit).
//
// A request whose server stays silent is sent again (ClientOptions::resend_ms): pulls are harmless to repeat, pushes
// bear sequence numbers and are applied exactly once. A server that stays silent until timeout_ms ends the wait with a
// ServerTimeout that names it. No call waits without a deadline.
//
// Pushes are asynchronous: push() returns when the rows are copied and queued. At most max_in_flight requests and
// max_in_flight_bytes are on their way to one server; a call that needs more waits for replies first, so a slow server
// slows its clients down and memory stays bounded.
//
// One Client belongs to one thread at a time (ZeroMQ sockets do); make one per thread, or hand it over with a lock.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include <zmq.hpp>

#include "ps/client_meter.h"
#include "ps/curve.h"
#include "ps/errors.h"
#include "ps/row_format.h"
#include "ps/server.h"
#include "ps/shard.h"
#include "ps/wire.h"

namespace knotwork::ps {

struct ClientOptions {
  std::uint64_t job_id = 0;
  /// Hash of build and configuration; must be the servers'.
  std::uint64_t configuration = 0;
  /// A server that has answered nothing for so long while requests wait is given up.
  int timeout_ms = 30000;
  /// After so long without any answer from a server, its waiting requests are sent again. 0: a quarter of timeout_ms.
  int resend_ms = 0;
  /// Requests on their way to one server at any time, at least 1. More hide latency, and let less be known about
  /// failures. Must be less than the server's send_queue, or replies may be dropped (and asked for again).
  std::uint32_t max_in_flight = 32;
  /// Bytes on their way to, or asked from, one server at any time; a single larger request still goes, alone.
  std::size_t max_in_flight_bytes = std::size_t{64} << 20;
  /// Rows of a batch are cut into messages of about this many bytes (never over the server's limit), so that gathering,
  /// sending and scattering overlap.
  std::size_t batch_bytes = std::size_t{1} << 20;
  /// How long a closing client lets its last messages (bye) leave.
  int linger_ms = 100;
  /// How rows travel, in both directions: bfloat16 takes half the bytes and keeps 8 bits of each value.
  RowFormat row_format = RowFormat::kFloat32;
  /// Tables that travel as float32 all the same: counters, clocks.
  std::vector<TableIndex> exact_tables;
  /// By server: its public key; an empty one, or an empty list: its connection is not encrypted.
  std::vector<std::string> server_keys;
  /// The job's client keys; needed where there are server keys.
  CurveKeyPair keys;
  /// By server, for messages: "rank 2 (host b, pid 4711)". May be empty.
  std::vector<std::string> server_names;
  /// Counted into, if it isn't null; must outlive the client.
  ClientMeter* meter = nullptr;
  PrepareSocket prepare_socket;
};

/// The shard of this process, if it has one: server number `server` is served in place.
struct LocalShard {
  ServerIndex server = 0;
  Shard* shard = nullptr;
};

/// What a client has exchanged with remote servers: all frames, without ZeroMQ's own framing; what was sent again
/// counts again.
struct ClientTraffic {
  std::uint64_t messages_sent = 0;
  std::uint64_t messages_received = 0;
  std::uint64_t bytes_sent = 0;
  std::uint64_t bytes_received = 0;
};

/// A pull under way. Wait for it, or cancel it, before its `out` goes away.
struct PullTicket {
  std::uint64_t number = 0;
};

class Client {
 public:
  /// Connects to `endpoints` (by server number; the local one's may be empty), says hello and asks every server for its
  /// tables. `context` and the local shard must outlive the client. Throws ServerTimeout for a server that doesn't
  /// answer, ProtocolError for one of another job, version or configuration and for tables that don't fit together.
  /// With nothing but a local shard no socket is opened.
  Client(zmq::context_t& context, std::vector<std::string> endpoints, LocalShard local, ClientOptions options);
  /// Says bye to the servers; doesn't wait for pushes (flush() does).
  ~Client();
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  std::size_t table_count() const;
  /// REQUIRES (here and below): table < table_count().
  const TableSpec& table(TableIndex table) const;
  /// Who owns which rows.
  const RowBounds& bounds(TableIndex table) const;
  /// Floats of a row in pull and push: dim, or dim + state_width.
  std::size_t wire_width(TableIndex table, bool with_state = false) const;

  /// Bytes of such a row between client and server.
  std::size_t row_bytes(TableIndex table, bool with_state = false) const;

  /// Rows in the order of `rows`, which may repeat; `out` has rows.size() * wire_width(table, with_state) floats.
  /// A pull sees all pushes that this client has flushed, and, unless a message got lost, those made before it.
  /// Throws std::out_of_range or std::invalid_argument (nothing sent), ServerTimeout, ProtocolError (out undefined).
  void pull(TableIndex table, std::span<const RowIndex> rows, std::span<float> out, bool with_state = false);

  /// The same without waiting for the answers. `rows` may go away, `out` must stay until wait() or cancel(). May wait
  /// for room among the requests in flight.
  PullTicket start_pull(TableIndex table, std::span<const RowIndex> rows, std::span<float> out,
                        bool with_state = false);

  /// Changes rows: `values` has rows.size() * wire_width floats (with state for kDeltaWithState). Copies and returns;
  /// errors of earlier pushes are thrown by any later call. Local rows are changed at once.
  void push(TableIndex table, std::span<const RowIndex> rows, std::span<const float> values,
            PushKind kind = PushKind::kDelta, float learning_rate = 0);

  /// Pushes, and brings the rows back as they are afterwards (with state for kDeltaWithState), in one round trip.
  PullTicket start_push_pull(TableIndex table, std::span<const RowIndex> rows, std::span<const float> values,
                             std::span<float> out, PushKind kind = PushKind::kDelta, float learning_rate = 0);

  /// Waits until `out` is filled. Throws ServerTimeout or ProtocolError; the ticket is cancelled then.
  void wait(PullTicket ticket);
  /// Whether wait() would return at once. Takes in what has arrived.
  bool ready(PullTicket ticket);
  /// Forgets a pull: nothing is written to its `out` from now on.
  void cancel(PullTicket ticket) noexcept;

  /// Waits until every push so far is in its table.
  void flush();

  /// A remote server's counters.
  ServerCounters statistics(ServerIndex server);

  /// Requests on their way to a server now; for tests and displays.
  std::size_t in_flight(ServerIndex server) const;
  /// Requests that were sent again so far.
  std::uint64_t resent() const;
  ClientTraffic traffic() const;

 private:
  class Operations;
  std::unique_ptr<Operations> operations_;
};

}  // namespace knotwork::ps
