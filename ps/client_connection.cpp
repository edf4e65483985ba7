// Connection: see client_connection.h.
#include "ps/client_connection.h"

#include <algorithm>
#include <array>
#include <utility>

namespace knotwork::ps {

namespace {

constexpr int kLongestDefaultResendMs = 2000;

constexpr std::array<const char*, std::variant_size_v<decltype(Request::body)>> kOperationNames{
    "hello", "description of tables", "pull", "push", "request for statistics", "bye"};

std::chrono::milliseconds resend_after(const ClientOptions& options) {
  if (options.resend_ms > 0) return std::chrono::milliseconds(options.resend_ms);
  return std::chrono::milliseconds(std::clamp(options.timeout_ms / 4, 1, kLongestDefaultResendMs));
}

}  // namespace

Connection::Connection(zmq::context_t& context, ServerIndex server, std::string endpoint, std::uint64_t client_id,
                       const ClientOptions& options)
    : server_(server),
      endpoint_(std::move(endpoint)),
      server_name_(server < options.server_names.size() ? options.server_names[server] : std::string()),
      client_id_(client_id),
      job_id_(options.job_id),
      timeout_(options.timeout_ms),
      resend_after_(resend_after(options)),
      max_in_flight_(std::max(1U, options.max_in_flight)),
      max_in_flight_bytes_(options.max_in_flight_bytes),
      socket_(context, zmq::socket_type::dealer),
      meter_(options.meter),
      last_heard_(Clock::now()) {
  // No high-water marks: what is on its way is bounded by max_in_flight, and a send must never block.
  socket_.set(zmq::sockopt::sndhwm, 0);
  socket_.set(zmq::sockopt::rcvhwm, 0);
  socket_.set(zmq::sockopt::linger, options.linger_ms);
  if (server < options.server_keys.size() && !options.server_keys[server].empty()) {
    encrypt(socket_, options.keys, options.server_keys[server]);
  }
  if (options.prepare_socket) options.prepare_socket(socket_);
  try {
    socket_.connect(endpoint_);
  } catch (const zmq::error_t& problem) {
    throw ProtocolError(name() + ": can't connect: " + problem.what());
  }
}

std::string Connection::name() const {
  if (!server_name_.empty()) return "the server of " + server_name_ + " at " + endpoint_;
  return "server " + std::to_string(server_) + " (" + endpoint_ + ")";
}

bool Connection::has_room(std::size_t bytes, bool push) const {
  if (pending_.empty()) return true;
  if (pending_.size() >= max_in_flight_ || bytes_in_flight_ + bytes > max_in_flight_bytes_) return false;
  // A lost push leaves a gap, and the server remembers only so many pushes beyond a gap.
  return !push || push_ids_.empty() || last_sequence_ + 1 < push_ids_.begin()->first + limits_.window;
}

void Connection::submit(Request request, zmq::message_t keys, zmq::message_t rows, std::size_t bytes,
                        ReplyTarget target) {
  request.job = job_id_;
  request.client = client_id_;
  request.id = ++last_id_;
  Pending pending;
  if (auto* push = std::get_if<PushRequest>(&request.body)) {
    push->sequence = ++last_sequence_;
    pending.sequence = push->sequence;
    push_ids_.emplace(push->sequence, request.id);
    ++pushes_in_flight_;
    pending.frame_count = 3;
  } else if (std::holds_alternative<PullRequest>(request.body)) {
    pending.frame_count = 2;
  }
  pending.header = encode(request);
  pending.keys = std::move(keys);
  pending.rows = std::move(rows);
  pending.bytes = bytes;
  pending.operation = kOperationNames[request.body.index()];
  pending.first_sent = Clock::now();
  pending.target = std::move(target);
  bytes_in_flight_ += bytes;
  Pending& kept = pending_.emplace(request.id, std::move(pending)).first->second;
  send(kept);
  kept.last_sent = kept.first_sent;
}

void Connection::send(Pending& pending) {
  // Copies of ZeroMQ messages share their bytes: what is kept for sending again costs nothing.
  const std::array<zmq::message_t*, 3> frames{&pending.header, &pending.keys, &pending.rows};
  for (int f = 0; f < pending.frame_count; ++f) {
    zmq::message_t copy;
    copy.copy(*frames[f]);
    traffic_.bytes_sent += copy.size();
    if (meter_ != nullptr) meter_->bytes_sent.fetch_add(copy.size(), std::memory_order_relaxed);
    const bool last = f + 1 == pending.frame_count;
    socket_.send(copy, last ? zmq::send_flags::dontwait : zmq::send_flags::sndmore | zmq::send_flags::dontwait);
  }
  ++traffic_.messages_sent;
}

void Connection::say_bye() noexcept {
  try {
    Request request{kProtocolVersion, job_id_, client_id_, ++last_id_, ByeRequest{}};
    zmq::message_t header = encode(request);
    socket_.send(header, zmq::send_flags::dontwait);
  } catch (const std::exception&) {  // The context is closing: nobody is there to take leave of.
  }
}

std::optional<Arrival> Connection::receive() {
  Arrival arrival;
  for (;;) {
    zmq::message_t header;
    if (!socket_.recv(header, zmq::recv_flags::dontwait)) return std::nullopt;
    arrival.has_rows = header.more();
    bool more = header.more();
    for (int extra = 0; more; ++extra) {
      zmq::message_t surplus;
      zmq::message_t& frame = extra == 0 ? arrival.rows : surplus;
      (void)socket_.recv(frame, zmq::recv_flags::dontwait);  // The rest of a message is there at once.
      more = frame.more();
    }
    try {
      arrival.reply = decode_reply(bytes_of(header));
    } catch (const WireError& problem) {
      throw ProtocolError(name() + " sent something unreadable: " + problem.what());
    }
    last_heard_ = Clock::now();
    ++traffic_.messages_received;
    traffic_.bytes_received += header.size() + arrival.rows.size();
    if (arrival.reply.version != kProtocolVersion) {
      throw ProtocolError(name() + " speaks protocol version " + std::to_string(arrival.reply.version) +
                          ", this client " + std::to_string(kProtocolVersion));
    }
    if (arrival.reply.id == 0) {
      const auto* error = std::get_if<ErrorReply>(&arrival.reply.body);
      throw ProtocolError(name() + " couldn't read a request: " + (error != nullptr ? error->text : "no reason given"));
    }
    const auto found = pending_.find(arrival.reply.id);
    if (found == pending_.end()) continue;  // Answered before: the request had been sent again.
    Pending& pending = found->second;
    arrival.target = std::move(pending.target);
    arrival.was_push = pending.sequence != 0;
    arrival.operation = pending.operation;
    count_answer(pending, header.size() + arrival.rows.size());
    last_answered_id_ = std::max(last_answered_id_, found->first);
    bytes_in_flight_ -= pending.bytes;
    if (arrival.was_push) {
      push_ids_.erase(pending.sequence);
      --pushes_in_flight_;
    }
    pending_.erase(found);
    return arrival;
  }
}

void Connection::count_answer(const Pending& pending, std::size_t bytes) {
  if (meter_ == nullptr) return;
  meter_->bytes_received.fetch_add(bytes, std::memory_order_relaxed);
  // Of control requests, which have one frame, nobody waits in training.
  if (pending.frame_count == 1) return;
  LatencyHistogram& latency = pending.sequence != 0 ? meter_->pushes : meter_->pulls;
  latency.add(last_heard_ - pending.first_sent);
}

bool Connection::overdue(std::uint64_t id, Clock::time_point since, Clock::duration limit,
                         Clock::time_point now) const {
  return now - since >= limit && (now - last_heard_ >= limit || last_answered_id_ > id);
}

void Connection::tend(Clock::time_point now) {
  for (auto& [id, pending] : pending_) {
    if (overdue(id, pending.first_sent, timeout_, now)) {
      throw ServerTimeout(name() + " did not answer a " + pending.operation + " within " +
                          std::to_string(timeout_.count()) + " ms");
    }
    if (overdue(id, pending.last_sent, resend_after_, now)) {
      send(pending);
      pending.last_sent = now;
      ++resent_;
      if (meter_ != nullptr) meter_->resent.fetch_add(1, std::memory_order_relaxed);
    }
  }
}

Connection::Clock::time_point Connection::next_tending() const {
  Clock::time_point earliest = Clock::time_point::max();
  for (const auto& [id, pending] : pending_) {
    const bool overtaken = last_answered_id_ > id;
    const auto due = [&](Clock::time_point since, Clock::duration limit) {
      return (overtaken ? since : std::max(since, last_heard_)) + limit;
    };
    earliest = std::min({earliest, due(pending.first_sent, timeout_), due(pending.last_sent, resend_after_)});
  }
  return earliest;
}

}  // namespace knotwork::ps
