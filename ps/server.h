// A parameter server: one ZeroMQ ROUTER socket, one thread that answers requests on a shard.
//
// The socket's own I/O threads (zmq::context_t's) move bytes while the serving thread gathers and adds rows. What is
// done with a request is RequestHandler's business, which several serving threads could share.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include <zmq.hpp>

#include "ps/curve.h"
#include "ps/request_handler.h"
#include "ps/shard.h"

namespace knotwork::ps {

/// Called with a new socket before it is bound or connected: the place to set CURVE keys, buffers or interfaces.
using PrepareSocket = std::function<void(zmq::socket_t&)>;

struct ServerOptions {
  /// Where to listen: "tcp://HOST-OR-INTERFACE:PORT" or "ipc://PATH"; '*' as port or path lets the system choose.
  /// May be empty if there is a local endpoint.
  std::string endpoint = "tcp://127.0.0.1:*";
  /// A second place to listen, for processes of this host; "ipc://@NAME" (Linux's abstract sockets: no file is left
  /// behind) lets in processes of the same user only. Empty: none.
  std::string local_endpoint;
  /// Own keys; if given, `endpoint` is encrypted, and so is `local_endpoint` with encrypts_locally. The context needs a
  /// CurveGate.
  CurveKeyPair curve;
  bool encrypts_locally = false;
  /// Clients of another job are refused (see protocol.capnp).
  std::uint64_t job_id = 0;
  /// Hash of build and configuration; clients with another one are refused.
  std::uint64_t configuration = 0;
  ServerLimits limits;
  /// Requests that may wait for each client before the network is held back (ZMQ_RCVHWM). Memory for one client is at
  /// most this many messages of three frames of max_message_bytes. Clients take turns, one request each.
  int receive_queue = 32;
  /// Replies that may wait for a client that doesn't read; further ones are dropped and counted (ZMQ_SNDHWM).
  int send_queue = 64;
  /// Bytes of rows that may wait for a client, and for all of them: a request for more is dropped and counted
  /// (reply_budget.h). At least what a client asks for at a time (ClientOptions::max_in_flight_bytes), or it has to ask
  /// again and again; and at least max_message_bytes.
  std::size_t send_queue_bytes = std::size_t{64} << 20;
  std::size_t send_queues_bytes = std::size_t{1} << 30;
  /// A connection over TCP whose peer takes nothing for so long, though something waits, is closed, which frees what
  /// waits (ZMQ_TCP_MAXRT). 0: the system's own patience, a quarter of an hour.
  int stalled_ms = 60000;
  PrepareSocket prepare_socket;
};

/// Owns its thread and socket. start(), stop(), endpoint() and the destructor are for one thread; counters() for any.
class Server {
 public:
  /// Binds, so that endpoint() is known and clients may connect; they are answered after start(). `context` and `shard`
  /// must outlive the server. Throws std::runtime_error that names the endpoint if it can't be bound.
  Server(zmq::context_t& context, Shard& shard, ServerOptions options);
  /// Stops.
  ~Server();
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  /// Where clients connect to; with the port that the system chose.
  const std::string& endpoint() const { return endpoint_; }
  const std::string& local_endpoint() const { return local_endpoint_; }
  /// Starts answering. Once.
  void start();
  /// Ends the thread after the request at hand and closes the socket; requests that wait are dropped. Idempotent.
  void stop();
  ServerCounters counters() const;
  /// The `count` rows that clients use most. Any thread.
  std::vector<HotRow> hottest_rows(std::size_t count) const;

 private:
  class Loop;
  std::string endpoint_;
  std::string local_endpoint_;
  std::unique_ptr<Loop> loop_;
};

}  // namespace knotwork::ps
