// Headers of the wire protocol as plain structs, and their encoding. protocol.capnp says what each field means; only
// wire.cpp sees the generated code. Decoding trusts nothing: every size is checked before it is used.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <stdexcept>
#include <string>
#include <variant>
#include <vector>

#include <zmq.hpp>

#include "ps/row_format.h"
#include "ps/table.h"

namespace knotwork::ps {

inline constexpr std::uint16_t kProtocolVersion = 1;
inline constexpr std::size_t kMaxHeaderBytes = std::size_t{64} << 10;

/// How a push changes rows: see protocol.capnp.
enum class PushKind : std::uint8_t { kDelta = 0, kDeltaWithState = 1, kGradient = 2 };

/// Why a server refused: see protocol.capnp.
enum class ErrorCode : std::uint8_t {
  kMalformed = 0,
  kWrongVersion,
  kWrongJob,
  kWrongConfiguration,
  kUnknownClient,
  kTooManyClients,
  kUnknownTable,
  kRowOutOfRange,
  kWrongFrameSize,
  kTooLarge,
  kUnsupported,
  kOutOfWindow,
  kInternal
};
inline constexpr std::size_t kErrorCodeCount = 13;
/// By code: names for displays.
inline constexpr std::array<const char*, kErrorCodeCount> kErrorCodeNames{
    "malformed",        "wrong_version", "wrong_job",        "wrong_configuration", "unknown_client",
    "too_many_clients", "unknown_table", "row_out_of_range", "wrong_frame_size",    "too_large",
    "unsupported",      "out_of_window", "internal"};

struct HelloRequest {
  std::uint64_t configuration = 0;
};
struct DescribeRequest {};
struct PullRequest {
  TableIndex table = 0;
  bool with_state = false;
  RowFormat format = RowFormat::kFloat32;
};
struct PushRequest {
  TableIndex table = 0;
  std::uint64_t sequence = 0;
  PushKind kind = PushKind::kDelta;
  float learning_rate = 0;
  bool return_rows = false;
  RowFormat format = RowFormat::kFloat32;
};
struct StatisticsRequest {};
struct ByeRequest {};

struct Request {
  std::uint16_t version = kProtocolVersion;
  std::uint64_t job = 0;
  std::uint64_t client = 0;
  std::uint64_t id = 0;
  std::variant<HelloRequest, DescribeRequest, PullRequest, PushRequest, StatisticsRequest, ByeRequest> body;
};

struct ErrorReply {
  ErrorCode code = ErrorCode::kInternal;
  std::string text;
};
struct HelloReply {
  std::uint64_t max_message_bytes = 0;
  std::uint32_t window = 0;
};
/// A table, and the rows of it that lie on one server.
struct TablePart {
  TableSpec spec;
  RowRange range;
};
struct DescribeReply {
  std::vector<TablePart> tables;
};
struct RowsReply {};
struct PushedReply {};
struct ByeReply {};
/// What a server has done since its start. The fields are as in protocol.capnp's Statistics.
struct ServerCounters {
  std::uint64_t requests = 0;
  std::uint64_t errors = 0;
  std::uint64_t pulls = 0;
  std::uint64_t pushes = 0;
  std::uint64_t duplicate_pushes = 0;
  std::uint64_t rows_pulled = 0;
  std::uint64_t rows_pushed = 0;
  std::uint64_t bytes_received = 0;
  std::uint64_t bytes_sent = 0;
  std::uint64_t replies_dropped = 0;
  std::uint64_t clients = 0;
  std::array<std::uint64_t, kErrorCodeCount> errors_by_code{};
  std::uint64_t refused_connections = 0;
  std::uint64_t requests_dropped = 0;
  /// Not on the wire: rows that wait for clients to take them, now and at most.
  std::uint64_t queued_bytes = 0;
  std::uint64_t most_queued_bytes = 0;
};

struct Reply {
  std::uint16_t version = kProtocolVersion;
  std::uint64_t id = 0;
  std::variant<ErrorReply, HelloReply, DescribeReply, RowsReply, PushedReply, ServerCounters, ByeReply> body;
};

/// Frame 0 couldn't be read, or says something unknown.
class WireError : public std::runtime_error {
 public:
  WireError(ErrorCode code, std::uint64_t id, const std::string& text)
      : std::runtime_error(text), code_(code), id_(id) {}
  ErrorCode code() const { return code_; }
  /// The request's id as far as it could be read, otherwise 0.
  std::uint64_t id() const { return id_; }

 private:
  ErrorCode code_;
  std::uint64_t id_;
};

zmq::message_t encode(const Request& request);
zmq::message_t encode(const Reply& reply);

/// Reads frame 0. Throws WireError. A version other than kProtocolVersion is returned with an empty body for the
/// caller to refuse: the rest may mean something else there.
Request decode_request(std::span<const std::byte> frame);
Reply decode_reply(std::span<const std::byte> frame);

inline std::span<const std::byte> bytes_of(const zmq::message_t& message) {
  return {static_cast<const std::byte*>(message.data()), message.size()};
}

/// The elements of a frame where they lie; copied to `scratch` only if ZeroMQ put them at an address that T can't have
/// (small messages lie at any place of its receive buffer). REQUIRES: the size is a multiple of sizeof(T).
template <typename T>
std::span<const T> elements_of(const zmq::message_t& message, std::vector<T>& scratch) {
  const std::size_t count = message.size() / sizeof(T);
  if (reinterpret_cast<std::uintptr_t>(message.data()) % alignof(T) == 0) {
    return {static_cast<const T*>(message.data()), count};
  }
  scratch.resize(count);
  std::memcpy(scratch.data(), message.data(), count * sizeof(T));
  return scratch;
}

}  // namespace knotwork::ps
