// A thread's own copies of the input rows that the sliding window of a walk holds.
//
// A row stays in the window for some twenty steps, and each of them changes it. Threads that walk over the same hubs at
// the same time would take its cache lines from each other in every step; with a copy, a row is read once when it
// enters the window, and what the steps changed is added to it once when it leaves (as BlazingText and FULL-W2V cache
// contexts on GPUs: Gupta and Khare, MLHPC 2017; Randall, Allen, Ge, ICS 2021). So changes that others make to the row
// meanwhile are seen when it enters again, and none of them is overwritten.
//
// A node that occurs several times in the window has one copy.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace knotwork::embeddings {

/// Positions of a walk enter and leave in rising order. One thread.
class ContextCopies {
 public:
  /// For rows of `stride` floats (row_table.h), 64-byte aligned, of which at most `most_positions` are held at a time.
  /// `with_accumulators`: every row has one.
  ContextCopies(std::size_t most_positions, std::size_t stride, bool with_accumulators);

  /// Drops all positions without giving anything back; the next to enter is `first_position`.
  void begin(std::size_t first_position);
  /// The next position, whose row this is, enters. REQUIRES fewer than most_positions held.
  void enter(float* row, float* accumulator);
  /// The first position leaves; the last of a row takes the row's change with it. REQUIRES a position held.
  void leave();
  /// All leave.
  void leave_all() {
    while (first_ < next_) leave();
  }

  /// The first position held, and the next to enter.
  std::size_t first() const { return first_; }
  std::size_t next() const { return next_; }
  /// The copy of the row of a position. REQUIRES first() <= position < next().
  float* row(std::size_t position) { return value(slot_of(position)); }
  float* accumulator(std::size_t position) { return &slots_[slot_of(position)].accumulator; }

 private:
  struct alignas(64) CacheLine {
    float values[16];
  };
  /// A row that is held.
  struct Slot {
    float* row = nullptr;
    float* own_accumulator = nullptr;  // the row's
    float accumulator = 0;             // its copy
    float accumulator_before = 0;
    std::uint32_t positions = 0;  // 0: free
  };

  static constexpr std::uint32_t kNone = ~std::uint32_t{0};

  /// By the row's address: Fibonacci hashing (Knuth, TAOCP 6.4) of its number of cache lines.
  std::size_t entry_of(const float* row) const {
    const auto lines = reinterpret_cast<std::uintptr_t>(row) / 64;
    return (lines * 0x9E3779B97F4A7C15U >> 32) & (last_seen_.size() - 1);
  }
  /// The slot of a row that is about to enter, or kNone if it is not held.
  std::uint32_t held_slot(const float* row);
  std::uint32_t slot_of(std::size_t position) const { return slot_of_position_[position % slot_of_position_.size()]; }
  float* value(std::uint32_t slot) { return memory_[slot * (stride_ / 16)].values; }
  float* before(std::uint32_t slot) { return value(static_cast<std::uint32_t>(slots_.size()) + slot); }

  std::size_t stride_;
  bool with_accumulators_;
  std::vector<Slot> slots_;
  std::vector<std::uint32_t> free_;              // slots
  std::vector<std::uint32_t> slot_of_position_;  // a ring
  /// By entry_of(): the position behind the one that entered last of all rows with this entry; 0: none has.
  std::vector<std::size_t> last_seen_;
  std::vector<CacheLine> memory_;  // copies by slot, then the rows as they were when they entered
  std::size_t first_ = 0;
  std::size_t next_ = 0;
};

}  // namespace knotwork::embeddings
