#include "ps/client_operations.h"

#include <limits>
#include <random>
#include <stdexcept>
#include <utility>

namespace knotwork::ps {

namespace {

using Clock = Connection::Clock;

std::uint64_t random_client_id() {
  std::random_device device;
  return (static_cast<std::uint64_t>(device()) << 32) | device();
}

/// Sends a request without rows; the answer will lie where the result points.
std::shared_ptr<std::optional<Reply>> ask_soon(Connection& connection, const Request& request) {
  auto answer = std::make_shared<std::optional<Reply>>();
  ReplyTarget target;
  target.control = answer;
  connection.submit(request, {}, {}, 0, std::move(target));
  return answer;
}

Reply accepted(const Connection& connection, Reply reply) {
  if (const auto* error = std::get_if<ErrorReply>(&reply.body)) {
    throw ProtocolError(connection.name() + " refused: " + error->text);
  }
  return reply;
}

}  // namespace

Client::Operations::Operations(zmq::context_t& context, std::vector<std::string> endpoints, LocalShard local,
                               ClientOptions options)
    : local_(local), options_(std::move(options)), splitter_(endpoints.size()) {
  if (endpoints.empty()) throw std::invalid_argument("a client needs at least one server");
  if (local.shard != nullptr && local.server >= endpoints.size()) {
    throw std::invalid_argument("local server " + std::to_string(local.server) + " of " +
                                std::to_string(endpoints.size()));
  }
  connections_.resize(endpoints.size());
  const std::uint64_t client_id = random_client_id();
  for (ServerIndex s = 0; s < endpoints.size(); ++s) {
    if (local.shard != nullptr && s == local.server) continue;
    connections_[s] = std::make_unique<Connection>(context, s, endpoints[s], client_id, options_);
  }
  const std::vector<Reply> greetings = ask_all({.body = HelloRequest{options_.configuration}});
  for (ServerIndex s = 0; s < connections_.size(); ++s) {
    if (connections_[s] == nullptr) continue;
    const auto* limits = std::get_if<HelloReply>(&greetings[s].body);
    if (limits == nullptr) throw ProtocolError(connections_[s]->name() + " did not return the greeting");
    connections_[s]->set_limits(*limits);
  }
  learn_tables(ask_all({.body = DescribeRequest{}}));
}

std::vector<Reply> Client::Operations::ask_all(const Request& request) {
  std::vector<std::shared_ptr<std::optional<Reply>>> answers(connections_.size());
  for (ServerIndex s = 0; s < connections_.size(); ++s) {
    if (connections_[s]) answers[s] = ask_soon(*connections_[s], request);
  }
  process_until([&] {
    return std::all_of(answers.begin(), answers.end(),
                       [](const auto& answer) { return !answer || answer->has_value(); });
  });
  std::vector<Reply> replies(connections_.size());
  for (ServerIndex s = 0; s < connections_.size(); ++s) {
    if (answers[s]) replies[s] = accepted(*connections_[s], std::move(**answers[s]));
  }
  return replies;
}

Reply Client::Operations::ask(ServerIndex server, const Request& request) {
  Connection& connection = *connections_.at(server);
  const auto answer = ask_soon(connection, request);
  process_until([&] { return answer->has_value(); });
  return accepted(connection, std::move(**answer));
}

void Client::Operations::learn_tables(const std::vector<Reply>& descriptions) {
  std::vector<std::vector<TablePart>> parts(connections_.size());
  for (ServerIndex s = 0; s < connections_.size(); ++s) {
    if (connections_[s]) {
      const auto* describe = std::get_if<DescribeReply>(&descriptions[s].body);
      if (describe == nullptr) throw ProtocolError(connections_[s]->name() + " did not describe its tables");
      parts[s] = describe->tables;
      continue;
    }
    for (std::size_t t = 0; t < local_.shard->table_count(); ++t) {
      const Table& table = std::as_const(*local_.shard).table(static_cast<TableIndex>(t));
      parts[s].push_back({table.spec(), table.range()});
    }
  }
  for (std::size_t t = 0; t < parts[0].size(); ++t) {
    const TableSpec& spec = parts[0][t].spec;
    std::vector<RowIndex> bounds{0};
    for (ServerIndex s = 0; s < parts.size(); ++s) {
      if (parts[s].size() != parts[0].size() || parts[s][t].spec != spec || parts[s][t].range.first != bounds.back()) {
        throw ProtocolError("servers 0 and " + std::to_string(s) + " disagree about table " + std::to_string(t) +
                            " ('" + spec.name + "') or about which rows are whose");
      }
      bounds.push_back(parts[s][t].range.last);
    }
    if (bounds.back() != spec.row_count) {
      throw ProtocolError("table '" + spec.name + "': the servers hold " + std::to_string(bounds.back()) + " of " +
                          std::to_string(spec.row_count) + " rows");
    }
    tables_.push_back({spec, RowBounds(std::move(bounds))});
  }
}

void Client::Operations::check(const TableView& view, std::span<const RowIndex> rows, std::size_t floats,
                               std::size_t width) const {
  if (rows.size() > std::numeric_limits<std::uint32_t>::max()) throw std::invalid_argument("too many rows in one call");
  if (floats != rows.size() * width) {
    throw std::invalid_argument("table '" + view.spec.name + "': " + std::to_string(floats) + " floats for " +
                                std::to_string(rows.size()) + " rows of " + std::to_string(width));
  }
  for (const RowIndex row : rows) {
    if (row >= view.spec.row_count) {
      throw std::out_of_range("table '" + view.spec.name + "': row " + std::to_string(row) + " of " +
                              std::to_string(view.spec.row_count));
    }
  }
}

std::size_t Client::Operations::rows_per_message(ServerIndex server, std::size_t row_bytes) const {
  const std::size_t limit =
      std::min<std::size_t>(options_.batch_bytes, connections_[server]->limits().max_message_bytes);
  return std::max<std::size_t>(1, limit / std::max(row_bytes, sizeof(RowIndex)));
}

std::uint64_t Client::Operations::open_ticket(std::span<float> out) {
  // One message more than there are, until all are sent: answers that come meanwhile must not close the ticket.
  tickets_.emplace(++last_ticket_, Ticket{out, 1, {}});
  return last_ticket_;
}

PullTicket Client::Operations::settle(std::uint64_t ticket) {
  --tickets_.at(ticket).messages_missing;
  return {ticket};
}

void Client::Operations::submit(const Share& share, Request request, std::span<const RowIndex> rows,
                                std::span<const float> values, std::size_t width, RowFormat format,
                                std::uint64_t ticket) {
  Connection& connection = *connections_[share.server];
  const bool is_push = std::holds_alternative<PushRequest>(request.body);
  const std::size_t row_bytes = width * bytes_per_value(format);
  const std::size_t step = rows_per_message(share.server, row_bytes);
  // Positions lie in the splitter's memory, which waiting for room doesn't touch.
  for (std::size_t done = 0; done < share.count; done += step) {
    const Share part = share.part(done, std::min(step, share.count - done));
    const std::size_t bytes = part.count * (row_bytes + sizeof(RowIndex));
    process_until([&] { return connection.has_room(bytes, is_push); });
    ReplyTarget target{.ticket = ticket,
                       .width = width,
                       .format = format,
                       .row_count = part.count,
                       .positions = {},
                       .first_position = part.first,
                       .control = {}};
    if (ticket != 0) {
      if (part.positions != nullptr) target.positions.assign(part.positions, part.positions + part.count);
      ++tickets_.at(ticket).messages_missing;
    }
    zmq::message_t row_message = is_push ? row_frame(part, values, width, format) : zmq::message_t();
    connection.submit(request, key_frame(part, rows), std::move(row_message), bytes, std::move(target));
  }
}

PullTicket Client::Operations::start_pull(TableIndex table, std::span<const RowIndex> rows, std::span<float> out,
                                          bool with_state) {
  throw_push_error();
  const TableView& view = tables_.at(table);
  const std::size_t width = view.width(with_state);
  check(view, rows, out.size(), width);
  const std::uint64_t ticket = open_ticket(out);
  try {
    const std::vector<Share> shares = splitter_.split(view.bounds, rows);
    for (const Share& share : shares) {  // Remote ones first: their answers travel while local rows are copied.
      if (connections_[share.server]) {
        submit(share, {.body = PullRequest{table, with_state, format(table)}}, rows, {}, width, format(table), ticket);
      }
    }
    for (const Share& share : shares) {
      if (connections_[share.server]) continue;
      const Table& held = std::as_const(*local_.shard).table(table);
      for (std::size_t i = 0; i < share.count; ++i) {
        const std::size_t at = share.position(i);
        held.pull(rows.subspan(at, 1), out.subspan(at * width, width), with_state);
      }
    }
  } catch (...) {
    cancel(ticket);
    throw;
  }
  return settle(ticket);
}

PullTicket Client::Operations::push(TableIndex table, std::span<const RowIndex> rows, std::span<const float> values,
                                    PushKind kind, float learning_rate, std::span<float> out, bool want_rows) {
  throw_push_error();
  const TableView& view = tables_.at(table);
  const bool with_state = kind == PushKind::kDeltaWithState;
  if (with_state && !state_is_additive(view.spec.optimizer)) {
    throw std::invalid_argument("table '" + view.spec.name + "': the state of adam can't be added up");
  }
  const std::size_t width = view.width(with_state);
  check(view, rows, values.size(), width);
  if (want_rows) check(view, rows, out.size(), width);
  const std::uint64_t ticket = want_rows ? open_ticket(out) : 0;
  const PushRequest request{
      .table = table, .kind = kind, .learning_rate = learning_rate, .return_rows = want_rows, .format = format(table)};
  try {
    const std::vector<Share> shares = splitter_.split(view.bounds, rows);
    for (const Share& share : shares) {
      if (connections_[share.server]) {
        submit(share, {.body = request}, rows, values, width, request.format, ticket);
      }
    }
    for (const Share& share : shares) {
      if (connections_[share.server]) continue;
      Table& held = local_.shard->table(table);
      for (std::size_t i = 0; i < share.count; ++i) {
        const std::size_t at = share.position(i);
        const std::span<const float> row_values = values.subspan(at * width, width);
        if (kind == PushKind::kGradient) {
          held.apply_gradients(rows.subspan(at, 1), row_values, learning_rate);
        } else {
          held.add(rows.subspan(at, 1), row_values, with_state);
        }
      }
      // After all of them, as a server does it: a row that repeats comes back with every change.
      for (std::size_t i = 0; want_rows && i < share.count; ++i) {
        const std::size_t at = share.position(i);
        held.pull(rows.subspan(at, 1), out.subspan(at * width, width), with_state);
      }
    }
  } catch (...) {
    cancel(ticket);
    throw;
  }
  take_arrivals();
  return want_rows ? settle(ticket) : PullTicket{};
}

template <typename Done>
void Client::Operations::process_until(Done&& done) {
  while (!done()) {
    if (!take_arrivals()) wait_for_arrivals();
  }
}

/// Takes in what is there; whether there was anything.
bool Client::Operations::take_arrivals() {
  bool any = false;
  for (auto& connection : connections_) {
    if (!connection || connection->in_flight() == 0) continue;
    while (auto arrival = connection->receive()) {
      any = true;
      deliver(*connection, std::move(*arrival));
    }
  }
  return any;
}

/// Sleeps until something comes, or a request has to be sent again or given up.
void Client::Operations::wait_for_arrivals() {
  poll_items_.clear();
  Clock::time_point wake = Clock::time_point::max();
  const Clock::time_point now = Clock::now();
  for (auto& connection : connections_) {
    if (!connection || connection->in_flight() == 0) continue;
    connection->tend(now);
    wake = std::min(wake, connection->next_tending());
    poll_items_.push_back({connection->socket().handle(), 0, ZMQ_POLLIN, 0});
  }
  if (poll_items_.empty()) throw std::logic_error("a client waits, and nothing is on its way");
  const auto pause = std::chrono::ceil<std::chrono::milliseconds>(std::max(wake - now, Clock::duration::zero()));
  try {
    zmq::poll(poll_items_.data(), poll_items_.size(), pause);
  } catch (const zmq::error_t& problem) {
    if (problem.num() != EINTR) throw;
  }
}

void Client::Operations::deliver(Connection& connection, Arrival arrival) {
  if (arrival.target.control != nullptr) {
    *arrival.target.control = std::move(arrival.reply);
    return;
  }
  const bool wants_rows = arrival.target.ticket != 0;
  const auto* refusal = std::get_if<ErrorReply>(&arrival.reply.body);
  const std::size_t expected = arrival.target.row_count * arrival.target.width * bytes_per_value(arrival.target.format);
  std::string error;
  if (refusal != nullptr) {
    error = connection.name() + " refused a " + arrival.operation + ": " + refusal->text;
  } else if (wants_rows && (!std::holds_alternative<RowsReply>(arrival.reply.body) || !arrival.has_rows ||
                            arrival.rows.size() != expected)) {
    error = connection.name() + " answered a " + arrival.operation + " with " + std::to_string(arrival.rows.size()) +
            " bytes of rows, expected " + std::to_string(expected);
  } else if (!wants_rows && !std::holds_alternative<PushedReply>(arrival.reply.body)) {
    error = connection.name() + " answered a " + arrival.operation + " with something else";
  }
  if (arrival.was_push && !error.empty() && push_error_.empty()) push_error_ = error;
  if (!wants_rows) return;
  const auto found = tickets_.find(arrival.target.ticket);
  if (found == tickets_.end()) return;  // Cancelled.
  --found->second.messages_missing;
  if (error.empty()) {
    const ReplyTarget& target = arrival.target;
    scatter_rows(arrival.rows, target.positions, target.first_position, target.width, target.format, found->second.out);
  } else if (found->second.error.empty()) {
    found->second.error = std::move(error);
  }
}

void Client::Operations::wait(std::uint64_t ticket) {
  const auto found = tickets_.find(ticket);
  if (found == tickets_.end()) return;  // Nothing was remote, or it has been waited for.
  try {
    process_until([&] { return found->second.messages_missing == 0; });
  } catch (...) {
    cancel(ticket);
    throw;
  }
  const std::string error = std::move(found->second.error);
  tickets_.erase(found);
  if (!error.empty()) throw ProtocolError(error);
}

bool Client::Operations::ready(std::uint64_t ticket) {
  take_arrivals();
  const auto found = tickets_.find(ticket);
  return found == tickets_.end() || found->second.messages_missing == 0;
}

void Client::Operations::flush() {
  process_until([&] {
    return std::all_of(connections_.begin(), connections_.end(), [](const auto& connection) {
      return connection == nullptr || connection->pushes_in_flight() == 0;
    });
  });
  throw_push_error();
}

void Client::Operations::throw_push_error() {
  if (!push_error_.empty()) throw ProtocolError(push_error_);
}

ServerCounters Client::Operations::statistics(ServerIndex server) {
  if (!connections_.at(server)) throw std::invalid_argument("the local server is asked in place");
  const Reply reply = ask(server, {.body = StatisticsRequest{}});
  if (const auto* counters = std::get_if<ServerCounters>(&reply.body)) return *counters;
  throw ProtocolError(connections_[server]->name() + " answered a request for statistics with something else");
}

std::uint64_t Client::Operations::resent() const {
  std::uint64_t sum = 0;
  for (const auto& connection : connections_) sum += connection ? connection->resent() : 0;
  return sum;
}

ClientTraffic Client::Operations::traffic() const {
  ClientTraffic sum;
  for (const auto& connection : connections_) {
    if (!connection) continue;
    const ClientTraffic& one = connection->traffic();
    sum.messages_sent += one.messages_sent;
    sum.messages_received += one.messages_received;
    sum.bytes_sent += one.bytes_sent;
    sum.bytes_received += one.bytes_received;
  }
  return sum;
}

}  // namespace knotwork::ps
