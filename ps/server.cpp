// Server: the loop between the ROUTER socket and the handler.
#include "ps/server.h"

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <optional>
#include <stdexcept>
#include <sys/eventfd.h>
#include <system_error>
#include <thread>
#include <unistd.h>
#include <utility>
#include <vector>

#include "ps/reply_budget.h"

namespace knotwork::ps {

namespace {

/// Frames of the longest request. What a peer sends beyond them is read and thrown away.
constexpr std::size_t kMaxFrames = 3;
/// Requests that are answered at a stretch before the server looks at what else has happened.
constexpr int kRequestsAtAStretch = 256;

/// A file descriptor that wakes the serving thread up: one end for any thread, the other in its poll.
class WakeUp {
 public:
  WakeUp() : descriptor_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
    if (descriptor_ < 0) throw std::system_error(errno, std::generic_category(), "eventfd");
  }
  ~WakeUp() { close(descriptor_); }
  WakeUp(const WakeUp&) = delete;
  WakeUp& operator=(const WakeUp&) = delete;
  int descriptor() const { return descriptor_; }
  void signal() const {
    const std::uint64_t one = 1;
    [[maybe_unused]] const auto written = write(descriptor_, &one, sizeof(one));
  }

 private:
  int descriptor_;
};

/// Connections that a socket turned away because of their keys, as its monitor tells.
class Refusals {
 public:
  /// `watched` is bound.
  Refusals(zmq::context_t& context, zmq::socket_t& watched) : events_(context, zmq::socket_type::pair) {
    const std::string address = "inproc://refusals of " + watched.get(zmq::sockopt::last_endpoint);
    constexpr int kEvents =
        ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL | ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL | ZMQ_EVENT_HANDSHAKE_FAILED_AUTH;
    if (zmq_socket_monitor(watched.handle(), address.c_str(), kEvents) != 0) throw zmq::error_t();
    events_.set(zmq::sockopt::linger, 0);
    events_.connect(address);
  }
  void* handle() { return events_.handle(); }
  /// How many since the last call.
  std::uint64_t take() {
    std::uint64_t count = 0;
    zmq::message_t event;
    while (events_.recv(event, zmq::recv_flags::dontwait)) {
      if (!event.more()) ++count;  // Each event is two frames: what, and where.
    }
    return count;
  }

 private:
  zmq::socket_t events_;
};

}  // namespace

class Server::Loop {
 public:
  Loop(zmq::context_t& context, Shard& shard, const ServerOptions& options)
      : handler_(shard, options.job_id, options.configuration, options.limits),
        budget_(std::max(options.send_queue_bytes, options.limits.max_message_bytes), options.send_queues_bytes),
        socket_(context, zmq::socket_type::router) {
    socket_.set(zmq::sockopt::linger, 0);
    socket_.set(zmq::sockopt::maxmsgsize, static_cast<std::int64_t>(options.limits.max_message_bytes));
    socket_.set(zmq::sockopt::rcvhwm, options.receive_queue);
    socket_.set(zmq::sockopt::sndhwm, options.send_queue);
    if (options.stalled_ms > 0) socket_.set(zmq::sockopt::tcp_maxrt, options.stalled_ms);
    // Without it a reply that can't be delivered would vanish uncounted.
    socket_.set(zmq::sockopt::router_mandatory, true);
    if (options.prepare_socket) options.prepare_socket(socket_);
    // An endpoint keeps the options that its socket had when it was bound: the plain one comes first.
    const bool has_keys = !options.curve.empty();
    if (has_keys && options.encrypts_locally) demand_encryption(socket_, options.curve);
    local_endpoint_ = bind(options.local_endpoint);
    if (has_keys) demand_encryption(socket_, options.curve);
    endpoint_ = bind(options.endpoint);
    if (has_keys) refusals_.emplace(context, socket_);
  }

  const std::string& endpoint() const { return endpoint_; }
  const std::string& local_endpoint() const { return local_endpoint_; }
  ServerCounters counters() const {
    ServerCounters counters = handler_.counters();
    counters.queued_bytes = budget_.queued_bytes();
    counters.most_queued_bytes = budget_.most_queued_bytes();
    return counters;
  }
  const HotRows& hot_rows() const { return handler_.hot_rows(); }

  void start() {
    if (thread_.joinable()) throw std::logic_error("the server has been started before");
    thread_ = std::jthread([this](const std::stop_token& stop) { serve(stop); });
  }

  void stop() {
    if (thread_.joinable()) {
      thread_.request_stop();
      wake_up_.signal();
      thread_.join();
    }
    socket_.close();
  }

 private:
  /// Returns the endpoint as it was bound.
  std::string bind(const std::string& endpoint) {
    if (endpoint.empty()) return {};
    try {
      const uid_t user = geteuid();
      if (endpoint.starts_with("ipc://")) {
        // Abstract sockets have no file whose permissions would keep others out.
        zmq_setsockopt(socket_.handle(), ZMQ_IPC_FILTER_UID, &user, sizeof(user));
      }
      socket_.bind(endpoint);
      return socket_.get(zmq::sockopt::last_endpoint);
    } catch (const zmq::error_t& problem) {
      throw std::runtime_error("can't listen on " + endpoint + ": " + problem.what());
    }
  }

  void serve(const std::stop_token& stop) {
    std::vector<zmq::pollitem_t> items{{socket_.handle(), 0, ZMQ_POLLIN, 0},
                                       {nullptr, wake_up_.descriptor(), ZMQ_POLLIN, 0}};
    if (refusals_) items.push_back({refusals_->handle(), 0, ZMQ_POLLIN, 0});
    while (!stop.stop_requested()) {
      try {
        // Poll only when nothing is waiting: under load this saves a system call a request.
        const bool rests = !serve_some();
        // Also under load: ZeroMQ's threads wait once too many refusals lie untold.
        if (refusals_) handler_.count_refused_connections(refusals_->take());
        if (rests) zmq::poll(items.data(), items.size(), std::chrono::milliseconds(-1));
      } catch (const zmq::error_t& problem) {
        if (problem.num() == ETERM) return;  // The context is being closed under us.
        if (problem.num() != EINTR) handler_.count_dropped_reply();
      } catch (const std::bad_alloc&) {
        handler_.count_dropped_reply();
      }
    }
  }

  /// Answers waiting requests; false once there are none left.
  bool serve_some() {
    for (int served = 0; served < kRequestsAtAStretch; ++served) {
      if (!serve_one()) return false;
    }
    return true;
  }

  /// Answers one waiting request, of each client in turn as ZeroMQ hands them out; false if there is none.
  bool serve_one() {
    zmq::message_t peer;
    if (!socket_.recv(peer, zmq::recv_flags::dontwait)) return false;
    std::vector<zmq::message_t> frames;
    bool more = peer.more();
    while (more) {
      zmq::message_t frame;
      if (!socket_.recv(frame, zmq::recv_flags::dontwait)) break;  // Never: messages arrive whole.
      more = frame.more();
      // One frame too many is kept, so that the handler sees that there were too many.
      if (frames.size() <= kMaxFrames) frames.push_back(std::move(frame));
    }
    const std::string_view sender = peer.to_string_view();
    ReplyFrames reply = handler_.handle(frames, budget_.room(sender));
    if (reply.dropped) return true;
    if (reply.has_rows) reply.rows = budget_.charge(sender, std::move(reply.rows));
    send(std::move(peer), std::move(reply));
    return true;
  }

  void send(zmq::message_t peer, ReplyFrames reply) {
    constexpr auto kMoreNow = zmq::send_flags::sndmore | zmq::send_flags::dontwait;
    try {
      // The routing id decides: once it is accepted, the other frames are, too.
      if (!socket_.send(peer, kMoreNow)) return handler_.count_dropped_reply();
      socket_.send(reply.header, reply.has_rows ? kMoreNow : zmq::send_flags::dontwait);
      if (reply.has_rows) socket_.send(reply.rows, zmq::send_flags::dontwait);
    } catch (const zmq::error_t& problem) {
      if (problem.num() == ETERM) throw;
      handler_.count_dropped_reply();  // EHOSTUNREACH: the peer is gone.
    }
  }

  RequestHandler handler_;
  ReplyBudget budget_;
  zmq::socket_t socket_;
  std::string endpoint_;
  std::string local_endpoint_;
  std::optional<Refusals> refusals_;
  WakeUp wake_up_;
  std::jthread thread_;
};

// NOLINTNEXTLINE(performance-unnecessary-value-param): the loop keeps a copy
Server::Server(zmq::context_t& context, Shard& shard, ServerOptions options)
    : loop_(std::make_unique<Loop>(context, shard, options)) {
  endpoint_ = loop_->endpoint();
  local_endpoint_ = loop_->local_endpoint();
}

Server::~Server() {
  loop_->stop();
}

void Server::start() {
  loop_->start();
}

void Server::stop() {
  loop_->stop();
}

std::vector<HotRow> Server::hottest_rows(std::size_t count) const {
  return loop_->hot_rows().hottest(count);
}

ServerCounters Server::counters() const {
  return loop_->counters();
}

}  // namespace knotwork::ps
