// Memory of a table: zeroed floats, 64-byte aligned, in pages of 2 MiB where the kernel grants them, since pulls and
// in-place training read rows in random order and would otherwise miss the TLB on nearly every row.
#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <utility>

namespace knotwork::ps {

/// A fixed number of zeroed floats. Movable, not copyable. Not synchronised.
class RowMemory {
 public:
  RowMemory() = default;
  /// Maps `size` floats. Pages become real when they are first touched, on the NUMA node of the thread that does so.
  /// Throws std::bad_alloc.
  explicit RowMemory(std::size_t size);
  /// Floats that lie elsewhere (memory that processes share), zeroed and 64-byte aligned; `keeper` keeps them alive.
  RowMemory(std::span<float> floats, std::shared_ptr<const void> keeper)
      : data_(floats.data()), size_(floats.size()), keeper_(std::move(keeper)) {}
  RowMemory(RowMemory&& other) noexcept;
  RowMemory& operator=(RowMemory&& other) noexcept;
  RowMemory(const RowMemory&) = delete;
  RowMemory& operator=(const RowMemory&) = delete;
  ~RowMemory();

  float* data() { return data_; }
  const float* data() const { return data_; }
  std::size_t size() const { return size_; }

 private:
  float* data_ = nullptr;
  std::size_t size_ = 0;
  std::shared_ptr<const void> keeper_;  // null: this maps and unmaps the memory itself
};

}  // namespace knotwork::ps
