#include "partition/huge_array.h"

#include <algorithm>
#include <new>
#include <sys/mman.h>

namespace knotwork::partition {

namespace {

constexpr std::size_t kSmallPageBytes = 4096;
constexpr std::size_t kHugePageBytes = std::size_t{2} << 20;

std::size_t rounded_up(std::size_t bytes, std::size_t granule) {
  return (bytes + granule - 1) / granule * granule;
}

// A last page that would be filled by less than half is made of small pages instead.
std::size_t huge_bytes(std::size_t bytes) {
  return rounded_up(bytes - (bytes % kHugePageBytes < kHugePageBytes / 2 ? bytes % kHugePageBytes : 0), kHugePageBytes);
}

std::size_t mapped_bytes(std::size_t bytes) {
  return std::max(huge_bytes(bytes), rounded_up(bytes, kSmallPageBytes));
}

}  // namespace

void* map_huge_pages(std::size_t bytes) {
  const std::size_t huge = huge_bytes(bytes);
  const std::size_t wanted = mapped_bytes(bytes);
  // Map one huge page too many and cut off both ends, so that what stays is aligned.
  const std::size_t mapped = huge > 0 ? wanted + kHugePageBytes : wanted;
  void* raw = mmap(nullptr, mapped, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (raw == MAP_FAILED) throw std::bad_alloc();
  if (huge == 0) return raw;
  char* const base = static_cast<char*>(raw);
  const std::size_t head =
      rounded_up(reinterpret_cast<std::size_t>(base), kHugePageBytes) - reinterpret_cast<std::size_t>(base);
  if (head > 0) munmap(base, head);
  if (kHugePageBytes > head) munmap(base + head + wanted, kHugePageBytes - head);
  madvise(base + head, huge, MADV_HUGEPAGE);
  return base + head;
}

void unmap_huge_pages(void* address, std::size_t bytes) noexcept {
  munmap(address, mapped_bytes(bytes));
}

void forget_huge_pages(void* begin, void* end) noexcept {
  const std::size_t first = rounded_up(reinterpret_cast<std::size_t>(begin), kHugePageBytes);
  const std::size_t last = reinterpret_cast<std::size_t>(end) / kHugePageBytes * kHugePageBytes;
  // NOLINTNEXTLINE(performance-no-int-to-ptr): rounding an address
  if (first < last) madvise(reinterpret_cast<void*>(first), last - first, MADV_DONTNEED);
}

}  // namespace knotwork::partition
