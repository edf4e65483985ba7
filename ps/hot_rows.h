// Which rows clients ask a server for most, found in little memory: the Space-Saving sketch (Metwally, Agrawal, El
// Abbadi, "Efficient computation of frequent and top-k elements in data streams", ICDT 2005) over every 61st row.
#pragma once

#include <cstddef>
#include <cstdint>
#include <mutex>
#include <span>
#include <vector>

#include "ps/table.h"

namespace knotwork::ps {

struct HotRow {
  TableIndex table = 0;
  RowIndex row = 0;
  /// Times that it was pulled or pushed, estimated from below.
  std::uint64_t uses = 0;
};

/// Any thread.
class HotRows {
 public:
  /// Of how many rows that clients use one is looked at. A prime, so that it doesn't keep step with batches.
  static constexpr std::size_t kStride = 61;
  /// Rows that are counted at a time. One that makes up 1/kSlots of all uses or more is surely among them.
  static constexpr std::size_t kSlots = 128;

  /// Looks at some of `rows`. Doesn't wait: rows that come while another thread is at it are left out.
  void sample(TableIndex table, std::span<const RowIndex> rows);

  /// The `count` rows used most, first the hottest.
  std::vector<HotRow> hottest(std::size_t count) const;

 private:
  struct Slot {
    TableIndex table;
    RowIndex row;
    std::uint64_t seen;
    /// Of those, so many may have been of rows that had the slot before.
    std::uint64_t inherited;
  };
  void see(TableIndex table, RowIndex row);

  mutable std::mutex mutex_;
  std::vector<Slot> slots_;  // Guarded by mutex_.
  std::size_t to_skip_ = 0;  // Rows until the next one is looked at. Guarded by mutex_.
};

}  // namespace knotwork::ps
