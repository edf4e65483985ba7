// Encoding of the headers: the only file that sees the code which the capnp compiler generates.
#include "ps/wire.h"

#include <bit>
#include <cmath>

#include <capnp/message.h>
#include <capnp/serialize.h>
#include <kj/exception.h>
#include <kj/io.h>

#include "ps/protocol.capnp.h"

namespace knotwork::ps {

static_assert(std::endian::native == std::endian::little, "keys and rows travel as they lie in memory");
static_assert(kProtocolVersion == wire::PROTOCOL_VERSION);
static_assert(static_cast<int>(RowFormat::kBfloat16) == static_cast<int>(wire::RowFormat::BFLOAT16));
static_assert(kErrorCodeCount == static_cast<std::size_t>(wire::ErrorCode::INTERNAL) + 1);

namespace {

/// Header messages fit the first segment: no allocation.
constexpr std::size_t kScratchWords = 96;

/// An arena on the stack with `Root` in it.
template <typename Root>
class HeaderBuilder {
 public:
  HeaderBuilder() : builder_(kj::ArrayPtr<capnp::word>(scratch_, kScratchWords)) {}
  typename Root::Builder root() { return builder_.template getRoot<Root>(); }
  zmq::message_t finish() {
    zmq::message_t message(capnp::computeSerializedSizeInWords(builder_) * sizeof(capnp::word));
    kj::ArrayOutputStream stream(kj::ArrayPtr<kj::byte>(static_cast<kj::byte*>(message.data()), message.size()));
    capnp::writeMessage(stream, builder_);
    return message;
  }

 private:
  capnp::word scratch_[kScratchWords] = {};  // Cap'n Proto wants zeros.
  capnp::MallocMessageBuilder builder_;
};

/// Calls `read` with the frame's root; whatever Cap'n Proto objects to becomes a WireError.
template <typename Root, typename Read>
auto with_root(std::span<const std::byte> frame, Read&& read) {
  if (frame.size() > kMaxHeaderBytes || frame.size() % sizeof(capnp::word) != 0 || frame.empty()) {
    throw WireError(ErrorCode::kMalformed, 0, "header of " + std::to_string(frame.size()) + " bytes");
  }
  // Copied, because Cap'n Proto reads words at aligned addresses only; headers are some hundred bytes.
  constexpr std::size_t kUsualWords = 64;
  capnp::word usual[kUsualWords];
  const std::size_t word_count = frame.size() / sizeof(capnp::word);
  std::vector<capnp::word> large(word_count > kUsualWords ? word_count : 0);
  capnp::word* const words = large.empty() ? usual : large.data();
  std::memcpy(static_cast<void*>(words), frame.data(), frame.size());
  std::uint64_t id = 0;
  try {
    capnp::ReaderOptions options;
    options.traversalLimitInWords = 2 * kMaxHeaderBytes / sizeof(capnp::word);
    options.nestingLimit = 8;
    capnp::FlatArrayMessageReader reader(kj::ArrayPtr<const capnp::word>(words, word_count), options);
    const auto root = reader.getRoot<Root>();
    id = root.getId();
    return read(root);
  } catch (const kj::Exception& problem) {
    throw WireError(ErrorCode::kMalformed, id, std::string("header: ") + problem.getDescription().cStr());
  }
}

RowFormat format_of(wire::RowFormat format, std::uint64_t id) {
  const auto number = static_cast<std::uint16_t>(format);
  if (number > static_cast<std::uint16_t>(RowFormat::kBfloat16)) {
    throw WireError(ErrorCode::kUnsupported, id, "rows of unknown format " + std::to_string(number));
  }
  return static_cast<RowFormat>(number);
}

PushRequest push_of(wire::Push::Reader push, std::uint64_t id) {
  const auto kind = static_cast<std::uint16_t>(push.getKind());
  if (kind > static_cast<std::uint16_t>(PushKind::kGradient)) {
    throw WireError(ErrorCode::kUnsupported, id, "push of unknown kind " + std::to_string(kind));
  }
  if (!std::isfinite(push.getLearningRate())) {
    throw WireError(ErrorCode::kMalformed, id, "push with a learning rate that is no finite number");
  }
  return {.table = push.getTable(),
          .sequence = push.getSequence(),
          .kind = static_cast<PushKind>(kind),
          .learning_rate = push.getLearningRate(),
          .return_rows = push.getReturnRows(),
          .format = format_of(push.getRowFormat(), id)};
}

void read_body(wire::Request::Reader root, Request& request) {
  switch (root.which()) {
    case wire::Request::HELLO:
      request.body = HelloRequest{root.getHello().getConfiguration()};
      return;
    case wire::Request::DESCRIBE:
      request.body = DescribeRequest{};
      return;
    case wire::Request::PULL:
      request.body = PullRequest{root.getPull().getTable(), root.getPull().getWithState(),
                                 format_of(root.getPull().getRowFormat(), request.id)};
      return;
    case wire::Request::PUSH:
      request.body = push_of(root.getPush(), request.id);
      return;
    case wire::Request::STATISTICS:
      request.body = StatisticsRequest{};
      return;
    case wire::Request::BYE:
      request.body = ByeRequest{};
      return;
  }
  throw WireError(ErrorCode::kUnsupported, request.id,
                  "unknown operation " + std::to_string(static_cast<unsigned>(root.which())));
}

struct RequestBody {
  wire::Request::Builder root;

  void operator()(const HelloRequest& hello) { root.initHello().setConfiguration(hello.configuration); }
  void operator()(const DescribeRequest&) { root.setDescribe(); }
  void operator()(const PullRequest& pull) {
    auto out = root.initPull();
    out.setTable(pull.table);
    out.setWithState(pull.with_state);
    out.setRowFormat(static_cast<wire::RowFormat>(pull.format));
  }
  void operator()(const PushRequest& push) {
    auto out = root.initPush();
    out.setTable(push.table);
    out.setSequence(push.sequence);
    out.setKind(static_cast<wire::PushKind>(push.kind));
    out.setLearningRate(push.learning_rate);
    out.setReturnRows(push.return_rows);
    out.setRowFormat(static_cast<wire::RowFormat>(push.format));
  }
  void operator()(const StatisticsRequest&) { root.setStatistics(); }
  void operator()(const ByeRequest&) { root.setBye(); }
};

struct ReplyBody {
  wire::Reply::Builder root;

  void operator()(const ErrorReply& error) {
    auto out = root.initError();
    out.setCode(static_cast<wire::ErrorCode>(error.code));
    out.setText(error.text);
  }
  void operator()(const HelloReply& hello) {
    auto out = root.initHello();
    out.setMaxMessageBytes(hello.max_message_bytes);
    out.setWindow(hello.window);
  }
  void operator()(const DescribeReply& describe) {
    auto out = root.initDescribe(static_cast<unsigned>(describe.tables.size()));
    for (unsigned t = 0; t < describe.tables.size(); ++t) {
      const auto& [spec, range] = describe.tables[t];
      out[t].setName(spec.name);
      out[t].setRowCount(spec.row_count);
      out[t].setFirstRow(range.first);
      out[t].setLastRow(range.last);
      out[t].setDim(spec.dim);
      out[t].setOptimizer(static_cast<std::uint8_t>(spec.optimizer.kind));
      out[t].setEpsilon(spec.optimizer.epsilon);
      out[t].setBeta1(spec.optimizer.beta1);
      out[t].setBeta2(spec.optimizer.beta2);
    }
  }
  void operator()(const RowsReply&) { root.setRows(); }
  void operator()(const PushedReply&) { root.setPushed(); }
  void operator()(const ServerCounters& counters) {
    auto out = root.initStatistics();
    out.setRequests(counters.requests);
    out.setErrors(counters.errors);
    out.setPulls(counters.pulls);
    out.setPushes(counters.pushes);
    out.setDuplicatePushes(counters.duplicate_pushes);
    out.setRowsPulled(counters.rows_pulled);
    out.setRowsPushed(counters.rows_pushed);
    out.setBytesReceived(counters.bytes_received);
    out.setBytesSent(counters.bytes_sent);
    out.setRepliesDropped(counters.replies_dropped);
    out.setClients(counters.clients);
    out.setRefusedConnections(counters.refused_connections);
    out.setRequestsDropped(counters.requests_dropped);
    auto by_code = out.initErrorsByCode(kErrorCodeCount);
    for (unsigned code = 0; code < kErrorCodeCount; ++code) by_code.set(code, counters.errors_by_code[code]);
  }
  void operator()(const ByeReply&) { root.setBye(); }
};

TablePart table_part_of(wire::TablePart::Reader in, std::uint64_t id) {
  if (in.getOptimizer() > static_cast<std::uint8_t>(OptimizerKind::kAdam)) {
    throw WireError(ErrorCode::kMalformed, id, "unknown optimizer");
  }
  TablePart part;
  part.spec.name = in.getName().cStr();
  part.spec.row_count = in.getRowCount();
  part.spec.dim = in.getDim();
  part.spec.optimizer = {static_cast<OptimizerKind>(in.getOptimizer()), in.getEpsilon(), in.getBeta1(), in.getBeta2()};
  part.range = {in.getFirstRow(), in.getLastRow()};
  if (part.spec.dim == 0 || part.spec.dim > kMaxDim || part.range.first > part.range.last ||
      part.range.last > part.spec.row_count) {
    throw WireError(ErrorCode::kMalformed, id, "impossible table '" + part.spec.name + "'");
  }
  return part;
}

ServerCounters counters_of(wire::Statistics::Reader in) {
  ServerCounters out;
  out.requests = in.getRequests();
  out.errors = in.getErrors();
  out.pulls = in.getPulls();
  out.pushes = in.getPushes();
  out.duplicate_pushes = in.getDuplicatePushes();
  out.rows_pulled = in.getRowsPulled();
  out.rows_pushed = in.getRowsPushed();
  out.bytes_received = in.getBytesReceived();
  out.bytes_sent = in.getBytesSent();
  out.replies_dropped = in.getRepliesDropped();
  out.clients = in.getClients();
  out.refused_connections = in.getRefusedConnections();
  out.requests_dropped = in.getRequestsDropped();
  const auto by_code = in.getErrorsByCode();
  for (unsigned code = 0; code < kErrorCodeCount && code < by_code.size(); ++code) {
    out.errors_by_code[code] = by_code[code];
  }
  return out;
}

void read_body(wire::Reply::Reader root, Reply& reply) {
  switch (root.which()) {
    case wire::Reply::ERROR: {
      const auto code = static_cast<std::uint16_t>(root.getError().getCode());
      const bool known = code < kErrorCodeCount;
      reply.body =
          ErrorReply{known ? static_cast<ErrorCode>(code) : ErrorCode::kInternal, root.getError().getText().cStr()};
      return;
    }
    case wire::Reply::HELLO:
      reply.body = HelloReply{root.getHello().getMaxMessageBytes(), root.getHello().getWindow()};
      return;
    case wire::Reply::DESCRIBE: {
      DescribeReply describe;
      for (const auto& table : root.getDescribe()) describe.tables.push_back(table_part_of(table, reply.id));
      reply.body = std::move(describe);
      return;
    }
    case wire::Reply::ROWS:
      reply.body = RowsReply{};
      return;
    case wire::Reply::PUSHED:
      reply.body = PushedReply{};
      return;
    case wire::Reply::STATISTICS:
      reply.body = counters_of(root.getStatistics());
      return;
    case wire::Reply::BYE:
      reply.body = ByeReply{};
      return;
  }
  throw WireError(ErrorCode::kUnsupported, reply.id, "unknown reply");
}

}  // namespace

zmq::message_t encode(const Request& request) {
  HeaderBuilder<wire::Request> header;
  auto root = header.root();
  root.setVersion(request.version);
  root.setJob(request.job);
  root.setClient(request.client);
  root.setId(request.id);
  std::visit(RequestBody{root}, request.body);
  return header.finish();
}

zmq::message_t encode(const Reply& reply) {
  HeaderBuilder<wire::Reply> header;
  auto root = header.root();
  root.setVersion(reply.version);
  root.setId(reply.id);
  std::visit(ReplyBody{root}, reply.body);
  return header.finish();
}

Request decode_request(std::span<const std::byte> frame) {
  return with_root<wire::Request>(frame, [](wire::Request::Reader root) {
    Request request{root.getVersion(), root.getJob(), root.getClient(), root.getId(), {}};
    if (request.version == kProtocolVersion) read_body(root, request);
    return request;
  });
}

Reply decode_reply(std::span<const std::byte> frame) {
  return with_root<wire::Reply>(frame, [](wire::Reply::Reader root) {
    Reply reply{root.getVersion(), root.getId(), {}};
    if (reply.version == kProtocolVersion) read_body(root, reply);
    return reply;
  });
}

}  // namespace knotwork::ps
