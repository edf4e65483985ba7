// Client: hands everything on to what is behind it (client_operations.h).
#include "ps/client.h"

#include <utility>

#include "ps/client_operations.h"

namespace knotwork::ps {

Client::Client(zmq::context_t& context, std::vector<std::string> endpoints, LocalShard local, ClientOptions options)
    : operations_(std::make_unique<Operations>(context, std::move(endpoints), local, std::move(options))) {}

Client::~Client() = default;

std::size_t Client::table_count() const {
  return operations_->table_count();
}
const TableSpec& Client::table(TableIndex table) const {
  return operations_->view(table).spec;
}
const RowBounds& Client::bounds(TableIndex table) const {
  return operations_->view(table).bounds;
}
std::size_t Client::wire_width(TableIndex table, bool with_state) const {
  return operations_->view(table).width(with_state);
}

std::size_t Client::row_bytes(TableIndex table, bool with_state) const {
  return wire_width(table, with_state) * bytes_per_value(operations_->format(table));
}

void Client::pull(TableIndex table, std::span<const RowIndex> rows, std::span<float> out, bool with_state) {
  wait(start_pull(table, rows, out, with_state));
}

PullTicket Client::start_pull(TableIndex table, std::span<const RowIndex> rows, std::span<float> out, bool with_state) {
  return operations_->start_pull(table, rows, out, with_state);
}

void Client::push(TableIndex table, std::span<const RowIndex> rows, std::span<const float> values, PushKind kind,
                  float learning_rate) {
  operations_->push(table, rows, values, kind, learning_rate, {}, false);
}

PullTicket Client::start_push_pull(TableIndex table, std::span<const RowIndex> rows, std::span<const float> values,
                                   std::span<float> out, PushKind kind, float learning_rate) {
  return operations_->push(table, rows, values, kind, learning_rate, out, true);
}

void Client::wait(PullTicket ticket) {
  operations_->wait(ticket.number);
}
bool Client::ready(PullTicket ticket) {
  return operations_->ready(ticket.number);
}
void Client::cancel(PullTicket ticket) noexcept {
  operations_->cancel(ticket.number);
}
void Client::flush() {
  operations_->flush();
}
ServerCounters Client::statistics(ServerIndex server) {
  return operations_->statistics(server);
}
std::size_t Client::in_flight(ServerIndex server) const {
  return operations_->in_flight(server);
}
std::uint64_t Client::resent() const {
  return operations_->resent();
}
ClientTraffic Client::traffic() const {
  return operations_->traffic();
}

}  // namespace knotwork::ps
