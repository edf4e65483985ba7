// What is behind Client: handshake, splitting by server, tickets, waiting. For client.cpp alone.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

#include "ps/client.h"
#include "ps/client_connection.h"
#include "ps/row_shares.h"

namespace knotwork::ps {

/// For one thread. Operations are those of Client, which has the documentation.
class Client::Operations {
 public:
  Operations(zmq::context_t& context, std::vector<std::string> endpoints, LocalShard local, ClientOptions options);
  ~Operations() {
    for (auto& connection : connections_) {
      if (connection) connection->say_bye();
    }
  }
  Operations(const Operations&) = delete;
  Operations& operator=(const Operations&) = delete;

  struct TableView {
    TableSpec spec;
    RowBounds bounds;
    std::size_t width(bool with_state) const {
      return spec.dim + (with_state ? state_width(spec.optimizer, spec.dim) : 0);
    }
  };
  const TableView& view(TableIndex table) const { return tables_.at(table); }
  std::size_t table_count() const { return tables_.size(); }

  PullTicket start_pull(TableIndex table, std::span<const RowIndex> rows, std::span<float> out, bool with_state);
  PullTicket push(TableIndex table, std::span<const RowIndex> rows, std::span<const float> values, PushKind kind,
                  float learning_rate, std::span<float> out, bool want_rows);
  void wait(std::uint64_t ticket);
  bool ready(std::uint64_t ticket);
  void cancel(std::uint64_t ticket) noexcept { tickets_.erase(ticket); }
  void flush();
  ServerCounters statistics(ServerIndex server);
  std::size_t in_flight(ServerIndex server) const {
    return connections_.at(server) ? connections_[server]->in_flight() : 0;
  }
  std::uint64_t resent() const;
  ClientTraffic traffic() const;
  RowFormat format(TableIndex table) const {
    const auto& exact = options_.exact_tables;
    return std::find(exact.begin(), exact.end(), table) == exact.end() ? options_.row_format : RowFormat::kFloat32;
  }

 private:
  struct Ticket {
    std::span<float> out;
    std::size_t messages_missing = 0;
    std::string error;
  };

  // Handshake.
  std::vector<Reply> ask_all(const Request& request);
  Reply ask(ServerIndex server, const Request& request);
  void learn_tables(const std::vector<Reply>& descriptions);

  // Splitting.
  void check(const TableView& view, std::span<const RowIndex> rows, std::size_t floats, std::size_t width) const;
  std::size_t rows_per_message(ServerIndex server, std::size_t row_bytes) const;
  void submit(const Share& share, Request request, std::span<const RowIndex> rows, std::span<const float> values,
              std::size_t width, RowFormat format, std::uint64_t ticket);
  std::uint64_t open_ticket(std::span<float> out);
  PullTicket settle(std::uint64_t ticket);

  // Waiting.
  template <typename Done>
  void process_until(Done&& done);
  bool take_arrivals();
  void wait_for_arrivals();
  void deliver(Connection& connection, Arrival arrival);
  void throw_push_error();

  LocalShard local_;
  ClientOptions options_;
  std::vector<std::unique_ptr<Connection>> connections_;  // By server; null for the local one.
  std::vector<TableView> tables_;
  std::unordered_map<std::uint64_t, Ticket> tickets_;
  std::uint64_t last_ticket_ = 0;
  std::string push_error_;
  RowSplitter splitter_;
  std::vector<zmq::pollitem_t> poll_items_;
};

}  // namespace knotwork::ps
