// The tables of one server, and who owns which rows.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "ps/table.h"

namespace knotwork::ps {

/// A server's number within the job; with a server on each rank it is the rank.
using ServerIndex = std::uint32_t;

/// S contiguous ranges of rows: server s owns [bounds[s], bounds[s + 1]). The owner of a row is found by a search among
/// the bounds: there is no directory. Immutable; any thread.
class RowBounds {
 public:
  /// One server that owns all `row_count` rows.
  explicit RowBounds(std::uint64_t row_count = 0) : bounds_{0, row_count} {}
  /// `bounds`: S + 1 values, rising (a server may own nothing), first 0. Throws std::invalid_argument otherwise.
  explicit RowBounds(std::vector<RowIndex> bounds);

  ServerIndex server_count() const { return static_cast<ServerIndex>(bounds_.size() - 1); }
  std::uint64_t row_count() const { return bounds_.back(); }
  RowRange range(ServerIndex server) const { return {bounds_[server], bounds_[server + 1]}; }
  /// REQUIRES: row < row_count().
  ServerIndex owner(RowIndex row) const;

  bool operator==(const RowBounds&) const = default;

 private:
  std::vector<RowIndex> bounds_;
};

/// The tables of one server, by table index. Tables are added before the server starts and stay; afterwards any thread
/// may use them (see Table for what is atomic).
class Shard {
 public:
  Shard() = default;

  /// Appends a table of zeros, whose index is the number of tables before. Throws as Table does.
  TableIndex add_table(TableSpec spec, RowRange range);
  /// The same for a table that was made elsewhere.
  TableIndex add_table(std::unique_ptr<Table> table);

  std::size_t table_count() const { return tables_.size(); }
  /// REQUIRES: index < table_count().
  Table& table(TableIndex index) { return *tables_[index]; }
  const Table& table(TableIndex index) const { return *tables_[index]; }

 private:
  std::vector<std::unique_ptr<Table>> tables_;
};

}  // namespace knotwork::ps
