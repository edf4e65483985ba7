// RequestHandler: checks first, changes afterwards; a request that is refused has changed nothing.
#include "ps/request_handler.h"

#include <algorithm>
#include <cstring>
#include <exception>
#include <string>
#include <utility>
#include <vector>

namespace knotwork::ps {

namespace {

constexpr std::size_t kMaxErrorText = 300;

std::size_t frames_expected(const Request& request) {
  if (std::holds_alternative<PullRequest>(request.body)) return 2;
  if (std::holds_alternative<PushRequest>(request.body)) return 3;
  return 1;
}

/// The values of a frame; where they lie if they can be used there.
std::span<const float> values_of(const zmq::message_t& frame, RowFormat format, std::vector<float>& scratch) {
  if (format == RowFormat::kFloat32) return elements_of(frame, scratch);
  scratch.resize(frame.size() / bytes_per_value(format));
  read_values(static_cast<const std::byte*>(frame.data()), format, scratch);
  return scratch;
}

}  // namespace

bool RequestHandler::Session::applied(std::uint64_t sequence) const {
  return sequence <= applied_through || applied_beyond.contains(sequence);
}

void RequestHandler::Session::record(std::uint64_t sequence) {
  applied_beyond.insert(sequence);
  while (!applied_beyond.empty() && *applied_beyond.begin() == applied_through + 1) {
    applied_beyond.erase(applied_beyond.begin());
    ++applied_through;
  }
}

RequestHandler::RequestHandler(Shard& shard, std::uint64_t job_id, std::uint64_t configuration, ServerLimits limits)
    : shard_(shard), job_id_(job_id), configuration_(configuration), limits_(limits) {}

ReplyFrames RequestHandler::handle(std::span<const zmq::message_t> frames, std::size_t room) {
  ++requests_;
  for (const zmq::message_t& frame : frames) bytes_received_ += frame.size();
  std::uint64_t id = 0;
  ReplyFrames reply;
  try {
    if (frames.empty()) throw WireError(ErrorCode::kMalformed, 0, "no frames");
    const Request request = decode_request(bytes_of(frames[0]));
    id = request.id;
    reply = answer(request, frames, room);
  } catch (const WireError& problem) {
    reply = error(problem.id(), problem.code(), problem.what());
  } catch (const std::exception& problem) {
    reply = error(id, ErrorCode::kInternal, problem.what());
  }
  bytes_sent_ += reply.header.size() + reply.rows.size();
  return reply;
}

ReplyFrames RequestHandler::answer(const Request& request, std::span<const zmq::message_t> frames, std::size_t room) {
  const auto refuse = [&](ErrorCode code, const std::string& text) { throw WireError(code, request.id, text); };
  if (request.version != kProtocolVersion) {
    refuse(ErrorCode::kWrongVersion, "protocol version " + std::to_string(request.version) + ", this server speaks " +
                                         std::to_string(kProtocolVersion));
  }
  if (request.job != job_id_) refuse(ErrorCode::kWrongJob, "this server belongs to another job");
  if (request.id == 0) refuse(ErrorCode::kMalformed, "request id 0");
  if (frames.size() != frames_expected(request)) {
    refuse(ErrorCode::kMalformed,
           std::to_string(frames.size()) + " frames, expected " + std::to_string(frames_expected(request)));
  }
  if (std::holds_alternative<HelloRequest>(request.body)) return hello(request);
  const std::shared_ptr<Session> session = session_of(request);
  if (const auto* wanted = std::get_if<PullRequest>(&request.body)) return pull(request, *wanted, frames[1], room);
  if (const auto* change = std::get_if<PushRequest>(&request.body)) {
    return push(request, *change, frames[1], frames[2], *session, room);
  }
  if (std::holds_alternative<DescribeRequest>(request.body)) return describe(request);
  if (std::holds_alternative<StatisticsRequest>(request.body)) {
    return {encode(Reply{kProtocolVersion, request.id, counters()}), {}, false};
  }
  const std::scoped_lock lock(sessions_mutex_);
  sessions_.erase(request.client);
  return {encode(Reply{kProtocolVersion, request.id, ByeReply{}}), {}, false};
}

ReplyFrames RequestHandler::hello(const Request& request) {
  if (std::get<HelloRequest>(request.body).configuration != configuration_) {
    throw WireError(ErrorCode::kWrongConfiguration, request.id, "client and server differ in build or configuration");
  }
  {
    const std::scoped_lock lock(sessions_mutex_);
    if (!sessions_.contains(request.client)) {
      if (sessions_.size() >= limits_.max_clients) {
        throw WireError(ErrorCode::kTooManyClients, request.id,
                        "this server has its " + std::to_string(limits_.max_clients) + " clients");
      }
      sessions_.emplace(request.client, std::make_shared<Session>());
    }
  }
  return {encode(Reply{kProtocolVersion, request.id, HelloReply{limits_.max_message_bytes, limits_.push_window}}),
          {},
          false};
}

ReplyFrames RequestHandler::describe(const Request& request) const {
  DescribeReply tables;
  for (std::size_t t = 0; t < shard_.table_count(); ++t) {
    const Table& table = std::as_const(shard_).table(static_cast<TableIndex>(t));
    tables.tables.push_back({table.spec(), table.range()});
  }
  zmq::message_t header = encode(Reply{kProtocolVersion, request.id, std::move(tables)});
  if (header.size() > kMaxHeaderBytes) throw WireError(ErrorCode::kTooLarge, request.id, "too many tables to describe");
  return {std::move(header), {}, false};
}

std::shared_ptr<RequestHandler::Session> RequestHandler::session_of(const Request& request) {
  const std::scoped_lock lock(sessions_mutex_);
  const auto found = sessions_.find(request.client);
  if (found == sessions_.end()) throw WireError(ErrorCode::kUnknownClient, request.id, "say hello first");
  return found->second;
}

Table& RequestHandler::table_of(const Request& request, TableIndex index) {
  if (index >= shard_.table_count()) {
    throw WireError(ErrorCode::kUnknownTable, request.id,
                    "table " + std::to_string(index) + ", this server has " + std::to_string(shard_.table_count()));
  }
  return shard_.table(index);
}

void RequestHandler::check_keys(const Request& request, const Table& table, const zmq::message_t& keys,
                                std::size_t width, RowFormat format) const {
  if (keys.size() % sizeof(RowIndex) != 0) {
    throw WireError(ErrorCode::kWrongFrameSize, request.id,
                    "keys of " + std::to_string(keys.size()) + " bytes, expected a multiple of 8");
  }
  // Both factors are small enough (frames are bounded, width < 2^18) that the product can't overflow.
  const std::size_t row_bytes = keys.size() / sizeof(RowIndex) * width * bytes_per_value(format);
  if (keys.size() > limits_.max_message_bytes || row_bytes > limits_.max_message_bytes) {
    throw WireError(ErrorCode::kTooLarge, request.id,
                    std::to_string(keys.size() / sizeof(RowIndex)) + " rows of " + std::to_string(width) +
                        " values, the limit is " + std::to_string(limits_.max_message_bytes) + " bytes");
  }
  const RowRange range = table.range();
  const auto* bytes = static_cast<const std::byte*>(keys.data());
  for (std::size_t at = 0; at < keys.size(); at += sizeof(RowIndex)) {
    RowIndex row = 0;
    std::memcpy(&row, bytes + at, sizeof(row));
    if (!range.contains(row)) {
      throw WireError(ErrorCode::kRowOutOfRange, request.id,
                      "row " + std::to_string(row) + " of table '" + table.spec().name + "', this server has " +
                          std::to_string(range.first) + " to " + std::to_string(range.last));
    }
  }
}

ReplyFrames RequestHandler::gather(std::uint64_t id, const Table& table, std::span<const RowIndex> rows,
                                   bool with_state, RowFormat format) const {
  ReplyFrames reply{encode(Reply{kProtocolVersion, id, RowsReply{}}), {}, true};
  const std::size_t count = rows.size() * table.wire_width(with_state);
  reply.rows.rebuild(count * bytes_per_value(format));
  auto* out = static_cast<float*>(reply.rows.data());
  if (format == RowFormat::kFloat32 && reinterpret_cast<std::uintptr_t>(out) % alignof(float) == 0) {
    table.pull(rows, {out, count}, with_state);
    return reply;
  }
  // Messages of some bytes lie inside zmq_msg_t itself, at an address that floats can't have. Some rows at a time,
  // which the first-level cache holds.
  constexpr std::size_t kRowsAtATime = 16;
  const std::size_t width = table.wire_width(with_state);
  std::vector<float> aligned(std::min(kRowsAtATime, rows.size()) * width);
  auto* to = static_cast<std::byte*>(reply.rows.data());
  for (std::size_t first = 0; first < rows.size(); first += kRowsAtATime) {
    const auto some = rows.subspan(first, std::min(kRowsAtATime, rows.size() - first));
    const auto values = std::span(aligned).first(some.size() * width);
    table.pull(some, values, with_state);
    write_values(values, format, to);
    to += values.size() * bytes_per_value(format);
  }
  return reply;
}

ReplyFrames RequestHandler::drop() {
  ++requests_dropped_;
  return {.header = {}, .rows = {}, .dropped = true};
}

ReplyFrames RequestHandler::pull(const Request& request, const PullRequest& pull, const zmq::message_t& keys,
                                 std::size_t room) {
  const Table& table = table_of(request, pull.table);
  check_keys(request, table, keys, table.wire_width(pull.with_state), pull.format);
  std::vector<RowIndex> scratch;
  const std::span<const RowIndex> rows = elements_of(keys, scratch);
  if (rows.size() * table.wire_width(pull.with_state) * bytes_per_value(pull.format) > room) return drop();
  ReplyFrames reply = gather(request.id, table, rows, pull.with_state, pull.format);
  hot_rows_.sample(pull.table, rows);
  ++pulls_;
  rows_pulled_ += rows.size();
  return reply;
}

ReplyFrames RequestHandler::push(const Request& request, const PushRequest& push, const zmq::message_t& keys,
                                 const zmq::message_t& rows, Session& session, std::size_t room) {
  Table& table = table_of(request, push.table);
  const bool with_state = push.kind == PushKind::kDeltaWithState;
  if (with_state && !state_is_additive(table.spec().optimizer)) {
    throw WireError(ErrorCode::kUnsupported, request.id, "the state of adam can't be added up");
  }
  const std::size_t width = table.wire_width(with_state);
  check_keys(request, table, keys, width, push.format);
  std::vector<RowIndex> key_scratch;
  const std::span<const RowIndex> indices = elements_of(keys, key_scratch);
  const std::size_t expected = indices.size() * width * bytes_per_value(push.format);
  if (rows.size() != expected) {
    throw WireError(ErrorCode::kWrongFrameSize, request.id,
                    "rows of " + std::to_string(rows.size()) + " bytes, expected " + std::to_string(expected));
  }
  if (push.return_rows && expected > room) return drop();
  std::vector<float> row_scratch;
  const std::span<const float> values = values_of(rows, push.format, row_scratch);
  {
    const std::scoped_lock lock(session.mutex);
    if (push.sequence == 0 || push.sequence > session.applied_through + limits_.push_window) {
      throw WireError(
          ErrorCode::kOutOfWindow, request.id,
          "push " + std::to_string(push.sequence) + ", applied through " + std::to_string(session.applied_through));
    }
    if (session.applied(push.sequence)) {
      ++duplicate_pushes_;
    } else {
      if (push.kind == PushKind::kGradient) {
        table.apply_gradients(indices, values, push.learning_rate);
      } else {
        table.add(indices, values, with_state);
      }
      session.record(push.sequence);
      hot_rows_.sample(push.table, indices);
      ++pushes_;
      rows_pushed_ += indices.size();
    }
  }
  if (push.return_rows) return gather(request.id, table, indices, with_state, push.format);
  return {encode(Reply{kProtocolVersion, request.id, PushedReply{}}), {}, false};
}

ReplyFrames RequestHandler::error(std::uint64_t id, ErrorCode code, const std::string& text) {
  ++errors_by_code_[static_cast<std::size_t>(code)];
  return {encode(Reply{kProtocolVersion, id, ErrorReply{code, text.substr(0, kMaxErrorText)}}), {}, false};
}

ServerCounters RequestHandler::counters() const {
  ServerCounters out;
  out.requests = requests_;
  out.pulls = pulls_;
  out.pushes = pushes_;
  out.duplicate_pushes = duplicate_pushes_;
  out.rows_pulled = rows_pulled_;
  out.rows_pushed = rows_pushed_;
  out.bytes_received = bytes_received_;
  out.bytes_sent = bytes_sent_;
  out.replies_dropped = replies_dropped_;
  out.requests_dropped = requests_dropped_;
  out.refused_connections = refused_connections_;
  for (std::size_t code = 0; code < kErrorCodeCount; ++code) {
    out.errors_by_code[code] = errors_by_code_[code];
    out.errors += out.errors_by_code[code];
  }
  const std::scoped_lock lock(sessions_mutex_);
  out.clients = sessions_.size();
  return out;
}

}  // namespace knotwork::ps
