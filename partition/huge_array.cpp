#include "partition/huge_array.h"

#include <new>
#include <sys/mman.h>

namespace knotwork::partition {

namespace {

constexpr std::size_t kHugePageBytes = std::size_t{2} << 20;

std::size_t rounded_up(std::size_t bytes, std::size_t granule) {
  return (bytes + granule - 1) / granule * granule;
}

}  // namespace

void* map_huge_pages(std::size_t bytes) {
  const bool worth_a_huge_page = bytes >= kHugePageBytes;
  const std::size_t wanted = rounded_up(bytes, worth_a_huge_page ? kHugePageBytes : 4096);
  // Map one huge page too many and cut off both ends, so that what stays is aligned.
  const std::size_t mapped = worth_a_huge_page ? wanted + kHugePageBytes : wanted;
  void* raw = mmap(nullptr, mapped, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (raw == MAP_FAILED) throw std::bad_alloc();
  if (!worth_a_huge_page) return raw;
  char* const base = static_cast<char*>(raw);
  const std::size_t head =
      rounded_up(reinterpret_cast<std::size_t>(base), kHugePageBytes) - reinterpret_cast<std::size_t>(base);
  if (head > 0) munmap(base, head);
  if (kHugePageBytes > head) munmap(base + head + wanted, kHugePageBytes - head);
  madvise(base + head, wanted, MADV_HUGEPAGE);
  return base + head;
}

void unmap_huge_pages(void* address, std::size_t bytes) noexcept {
  munmap(address, rounded_up(bytes, bytes >= kHugePageBytes ? kHugePageBytes : 4096));
}

}  // namespace knotwork::partition
