// A fixed-size array in pages of 2 MiB where the kernel grants them: dependent random reads get twice as fast.
// Elements start zeroed (fresh pages); T must be trivially copyable.
#pragma once

#include <cstddef>
#include <span>
#include <type_traits>
#include <utility>

namespace knotwork::partition {

/// Maps `bytes` of zeroed, private, 2-MiB-aligned memory and asks for huge pages. Throws std::bad_alloc.
void* map_huge_pages(std::size_t bytes);

/// Unmaps what map_huge_pages returned for the same `bytes`.
void unmap_huge_pages(void* address, std::size_t bytes) noexcept;

/// Gives the huge pages that lie wholly in [begin, end) of such memory back to the kernel; they read as zeros then.
void forget_huge_pages(void* begin, void* end) noexcept;

template <typename T>
class HugeArray {
  static_assert(std::is_trivially_copyable_v<T>);

 public:
  HugeArray() = default;
  explicit HugeArray(std::size_t size)
      : data_(size == 0 ? nullptr : static_cast<T*>(map_huge_pages(size * sizeof(T)))), size_(size), capacity_(size) {}
  HugeArray(const HugeArray&) = delete;
  HugeArray& operator=(const HugeArray&) = delete;
  HugeArray(HugeArray&& other) noexcept
      : data_(std::exchange(other.data_, nullptr)),
        size_(std::exchange(other.size_, 0)),
        capacity_(std::exchange(other.capacity_, 0)) {}
  HugeArray& operator=(HugeArray&& other) noexcept {
    std::swap(data_, other.data_);
    std::swap(size_, other.size_);
    std::swap(capacity_, other.capacity_);
    return *this;
  }
  ~HugeArray() {
    if (data_ != nullptr) unmap_huge_pages(data_, capacity_ * sizeof(T));
  }

  /// Forgets the elements from `size` on; their memory stays. REQUIRES: size <= size().
  void shrink(std::size_t size) { size_ = size; }

  /// Gives back what memory it can of the elements [begin, end), whose values are not needed any more.
  void forget(std::size_t begin, std::size_t end) { forget_huge_pages(data_ + begin, data_ + end); }

  T* data() { return data_; }
  const T* data() const { return data_; }
  std::size_t size() const { return size_; }
  bool empty() const { return size_ == 0; }
  T& operator[](std::size_t index) { return data_[index]; }
  const T& operator[](std::size_t index) const { return data_[index]; }
  T* begin() { return data_; }
  T* end() { return data_ + size_; }
  const T* begin() const { return data_; }
  const T* end() const { return data_ + size_; }
  std::span<T> span() { return {data_, size_}; }
  std::span<const T> span() const { return {data_, size_}; }

 private:
  T* data_ = nullptr;
  std::size_t size_ = 0;
  std::size_t capacity_ = 0;
};

}  // namespace knotwork::partition
