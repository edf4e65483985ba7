// Shard and RowBounds.
#include "ps/shard.h"

#include <algorithm>
#include <limits>
#include <stdexcept>
#include <utility>

namespace knotwork::ps {

RowBounds::RowBounds(std::vector<RowIndex> bounds) : bounds_(std::move(bounds)) {
  if (bounds_.size() < 2 || bounds_.front() != 0 || !std::is_sorted(bounds_.begin(), bounds_.end())) {
    throw std::invalid_argument("row bounds must begin with 0 and rise, with at least one server");
  }
}

ServerIndex RowBounds::owner(RowIndex row) const {
  // The last bound that is not above `row`: servers that own nothing are passed over.
  const auto after = std::upper_bound(bounds_.begin(), bounds_.end(), row);
  return static_cast<ServerIndex>(after - bounds_.begin() - 1);
}

TableIndex Shard::add_table(TableSpec spec, RowRange range) {
  return add_table(std::make_unique<Table>(std::move(spec), range));
}

TableIndex Shard::add_table(std::unique_ptr<Table> table) {
  if (tables_.size() >= std::numeric_limits<TableIndex>::max()) throw std::invalid_argument("too many tables");
  tables_.push_back(std::move(table));
  return static_cast<TableIndex>(tables_.size() - 1);
}

}  // namespace knotwork::ps
