// Row memory by mmap and madvise(2): transparent huge pages need no privilege and fall back to 4 KiB pages.
#include "ps/row_memory.h"

#include <cstdint>
#include <limits>
#include <new>
#include <sys/mman.h>
#include <utility>

namespace knotwork::ps {

namespace {

constexpr std::size_t kHugePageBytes = std::size_t{2} << 20;
constexpr std::size_t kPageBytes = 4096;

std::size_t mapped_bytes(std::size_t size) {
  const std::size_t bytes = size * sizeof(float);
  const std::size_t granule = bytes >= kHugePageBytes ? kHugePageBytes : kPageBytes;
  return (bytes + granule - 1) / granule * granule;
}

float* map_floats(std::size_t size) {
  if (size > std::numeric_limits<std::size_t>::max() / sizeof(float) / 2) throw std::bad_alloc();
  const std::size_t wanted = mapped_bytes(size);
  const bool huge = wanted >= kHugePageBytes;
  // One huge page too many, both ends cut off afterwards: what stays begins at a huge page.
  const std::size_t mapped = huge ? wanted + kHugePageBytes : wanted;
  void* raw = mmap(nullptr, mapped, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (raw == MAP_FAILED) throw std::bad_alloc();
  if (!huge) return static_cast<float*>(raw);
  auto* base = static_cast<std::byte*>(raw);
  const std::size_t misfit = reinterpret_cast<std::uintptr_t>(base) % kHugePageBytes;
  const std::size_t head = misfit == 0 ? 0 : kHugePageBytes - misfit;
  if (head > 0) munmap(base, head);
  if (kHugePageBytes > head) munmap(base + head + wanted, kHugePageBytes - head);
  madvise(base + head, wanted, MADV_HUGEPAGE);  // Advice: without it everything works, only slower.
  return reinterpret_cast<float*>(base + head);
}

}  // namespace

RowMemory::RowMemory(std::size_t size) : data_(size == 0 ? nullptr : map_floats(size)), size_(size) {}

RowMemory::RowMemory(RowMemory&& other) noexcept
    : data_(std::exchange(other.data_, nullptr)),
      size_(std::exchange(other.size_, 0)),
      keeper_(std::move(other.keeper_)) {}

RowMemory& RowMemory::operator=(RowMemory&& other) noexcept {
  std::swap(data_, other.data_);
  std::swap(size_, other.size_);
  std::swap(keeper_, other.keeper_);
  return *this;
}

RowMemory::~RowMemory() {
  if (data_ != nullptr && !keeper_) munmap(data_, mapped_bytes(size_));
}

}  // namespace knotwork::ps
