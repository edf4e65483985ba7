// Rows of one table that one server owns.
//
// Layout: float32, row-major, every row begins at a multiple of 64 bytes, `stride()` floats apart (dim rounded up to
// 16); the columns dim .. stride - 1 are zero and stay zero. Optimizer state lies in a second array, state_width()
// floats a row.
//
// Threads. pull, add and apply_gradients may be called from any thread; they take a lock per stripe of rows, so among
// themselves they are atomic row by row: no pushed update is ever lost, no pull sees half of one. Training threads
// that write rows in place through row() take no lock (Hogwild; Niu et al. 2011, "HOGWILD!: a lock-free approach to
// parallelizing stochastic gradient descent"): an update that meets another one in the same column of the same row at
// the same instant may be lost, and a pull may mix columns of before and after. That race is intended. All accesses
// that can take part in it on this side are in the functions hogwild_* of table.cpp, which tests/tsan.supp names.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "ps/optimizer.h"
#include "ps/row_memory.h"

namespace knotwork::ps {

/// A row's number in the whole table, over all servers.
using RowIndex = std::uint64_t;
/// A table's number within the job: its place in every server's list.
using TableIndex = std::uint16_t;

/// Rows first .. last - 1.
struct RowRange {
  RowIndex first = 0;
  RowIndex last = 0;

  std::uint64_t size() const { return last - first; }
  bool contains(RowIndex row) const { return row >= first && row < last; }
  bool operator==(const RowRange&) const = default;
};

/// What all servers of a table agree on.
struct TableSpec {
  /// For people and messages; at most kMaxTableName bytes.
  std::string name;
  /// Rows of the whole table, over all servers.
  std::uint64_t row_count = 0;
  /// Columns of a row, 1 .. kMaxDim.
  std::uint32_t dim = 0;
  OptimizerSpec optimizer;

  bool operator==(const TableSpec&) const = default;
};

inline constexpr std::size_t kMaxTableName = 64;
inline constexpr std::uint32_t kMaxDim = 65536;

class Table {
 public:
  /// All rows and state are zero. Throws std::invalid_argument for a dim, a name or a range that can't be, and
  /// std::bad_alloc.
  Table(TableSpec spec, RowRange range);
  /// The same in memory that lies elsewhere: range.size() * stride_of(spec) floats of values and range.size() *
  /// state_width() floats of state. Throws std::invalid_argument also for memory of another size.
  Table(TableSpec spec, RowRange range, RowMemory values, RowMemory state);

  /// Floats from one row to the next in a table of `spec`.
  static std::size_t stride_of(const TableSpec& spec);

  const TableSpec& spec() const { return spec_; }
  RowRange range() const { return range_; }
  std::size_t dim() const { return spec_.dim; }
  /// Floats from one row to the next.
  std::size_t stride() const { return stride_; }
  /// Floats of optimizer state a row: see optimizer.h.
  std::size_t state_width() const { return state_width_; }
  /// Floats of a row as it travels: dim, or dim + state_width (row first, then state).
  std::size_t wire_width(bool with_state) const { return spec_.dim + (with_state ? state_width_ : 0); }

  /// In-place access, for the threads of the process that owns the rows. REQUIRES: range().contains(row).
  float* row(RowIndex row) { return values_.data() + (row - range_.first) * stride_; }
  const float* row(RowIndex row) const { return values_.data() + (row - range_.first) * stride_; }
  /// The row range().first; the others follow, `stride()` floats apart.
  float* values() { return values_.data(); }
  const float* values() const { return values_.data(); }
  /// Optimizer state of range().first; the others follow, state_width() floats apart. Null without state.
  float* state() { return state_.data(); }
  const float* state() const { return state_.data(); }
  /// Row-wise adagrad's accumulators, one float a row; null for other optimizers.
  float* accumulators() { return spec_.optimizer.kind == OptimizerKind::kAdagrad ? state_.data() : nullptr; }

  /// Copies `rows` to `out` (rows.size() * wire_width(with_state) floats, compact). Rows may repeat.
  /// Throws std::out_of_range for a row that is not held here, std::invalid_argument for a wrong size; nothing is
  /// written then. Any thread.
  void pull(std::span<const RowIndex> rows, std::span<float> out, bool with_state = false) const;

  /// Adds `deltas` (rows.size() * wire_width(with_state) floats) to the rows, and to their state. Rows may repeat.
  /// Throws as pull does, and std::invalid_argument for state of an optimizer that is not additive; nothing is applied
  /// then. Any thread.
  void add(std::span<const RowIndex> rows, std::span<const float> deltas, bool with_state = false);

  /// One optimizer step a row with `gradients` (rows.size() * dim floats); a row that repeats makes several steps, in
  /// order. Throws as pull does; nothing is applied then. Any thread.
  void apply_gradients(std::span<const RowIndex> rows, std::span<const float> gradients, float learning_rate);

 private:
  class RowLock;
  /// Asks for the memory of a row.
  template <int kForWriting>
  void prefetch(RowIndex index) const;
  void check(std::span<const RowIndex> rows, std::size_t floats, std::size_t width) const;

  TableSpec spec_;
  RowRange range_;
  std::size_t stride_;
  std::size_t state_width_;
  RowMemory values_;
  RowMemory state_;
  std::unique_ptr<std::atomic_flag[]> locks_;
};

}  // namespace knotwork::ps
