// Memory that the ranks of one host share: anonymous (memfd_create(2)), so it has no name that could be guessed or left
// behind, and goes when the last process that maps it ends, however it ends. Rank 0 makes it, the others open it
// through /proc, which the kernel grants to processes of the same user.
#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <span>

#include "cluster/communicator.h"

namespace knotwork::cluster {

/// A shared region, mapped here. Movable, not copyable.
class SharedMemory {
 public:
  SharedMemory(SharedMemory&& other) noexcept;
  SharedMemory& operator=(SharedMemory&& other) noexcept;
  SharedMemory(const SharedMemory&) = delete;
  SharedMemory& operator=(const SharedMemory&) = delete;
  ~SharedMemory();

  /// Zeroed when it was made; begins at a page of 2 MiB. Its pages become real when they are first touched, on the NUMA
  /// node of the thread that does so.
  std::span<std::byte> bytes() const { return {data_, size_}; }

  /// Makes the pages of `part`, a part of bytes(), real on this thread's NUMA node unless they are already, and asks
  /// for pages of 2 MiB: rows are read in random order and would miss the TLB on nearly every one. Collapses small
  /// pages whatever the system's default for shared memory is (madvise(2), MADV_COLLAPSE, Linux 6.1); where that is not
  /// to be had all works, only slower.
  void settle(std::span<std::byte> part) const;

 private:
  friend std::optional<SharedMemory> share_memory(Communicator& communicator, std::size_t bytes);
  SharedMemory(int descriptor, std::size_t bytes);

  std::byte* data_ = nullptr;
  std::size_t size_ = 0;
};

/// Collective: `bytes` (the same on all ranks) of zeroed memory that all ranks share, or nothing, on all ranks, if they
/// are on several hosts or the system doesn't let them.
std::optional<SharedMemory> share_memory(Communicator& communicator, std::size_t bytes);

}  // namespace knotwork::cluster
