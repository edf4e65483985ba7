// A table as it was at one moment, readable while it changes: whoever is about to change a row says so, and the row is
// set aside first, unless it has been read. Nothing stands still, and only rows that change before they are read take
// memory twice (a before-image, as databases keep for a consistent read).
//
// For deterministic training, where rows change in one place only (BatchRows::apply).
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <span>
#include <vector>

#include "ps/table.h"

namespace knotwork::worker {

class FrozenRows {
 public:
  /// As `table` is now. Nothing may change it during the call; it must outlive this.
  explicit FrozenRows(const ps::Table& table);

  /// The caller will change the row, which is this table's, when the call returns. Any thread.
  void before_change(ps::RowIndex row);

  /// Bytes offset .. offset + out.size() - 1 of all rows, dim floats each, one behind the other. One thread, from the
  /// first byte to the last; then read_state, if there is any.
  void read_values(std::uint64_t offset, std::span<std::byte> out);
  /// The same of the optimizer's state.
  void read_state(std::uint64_t offset, std::span<std::byte> out);

  /// Rows that were set aside so far.
  std::size_t set_aside() const;

 private:
  static constexpr std::size_t kLocks = 256;
  std::mutex& lock_of(std::uint64_t place) { return locks_[place % kLocks]; }
  template <typename Find>
  void read(std::uint64_t offset, std::span<std::byte> out, std::size_t width, bool is_last, const Find& find);

  const ps::Table& table_;
  std::unique_ptr<std::atomic<std::uint32_t>[]>
      slots_;                              // By place in the table: 1 + slot, or 0. Written under lock_of.
  std::atomic<std::uint64_t> read_to_{0};  // Places below it are not read any more.
  std::array<std::mutex, kLocks> locks_;
  mutable std::mutex aside_mutex_;
  std::deque<std::vector<float>> aside_;  // Values, then state. Grows under aside_mutex_; what is there stays.
};

}  // namespace knotwork::worker
