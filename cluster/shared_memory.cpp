#include "cluster/shared_memory.h"

#include <algorithm>
#include <cstdint>
#include <fcntl.h>
#include <sstream>
#include <string>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <utility>

#include "cluster/host_address.h"

#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE 25
#endif

namespace knotwork::cluster {

namespace {

constexpr std::size_t kHugePageBytes = std::size_t{2} << 20;

std::size_t whole_pages(std::size_t bytes) {
  return (bytes + kHugePageBytes - 1) / kHugePageBytes * kHugePageBytes;
}

/// Closes at the end of its scope; the mapping stays.
class Descriptor {
 public:
  explicit Descriptor(int descriptor) : descriptor_(descriptor) {}
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  ~Descriptor() {
    if (descriptor_ >= 0) close(descriptor_);
  }
  int get() const { return descriptor_; }
  bool is_open() const { return descriptor_ >= 0; }

 private:
  int descriptor_;
};

/// What others need to find the memory, and to be sure that it is this: in another PID namespace the same process
/// number is another process.
struct Handle {
  long process = 0;
  int descriptor = -1;
  std::uint64_t device = 0;
  std::uint64_t inode = 0;

  std::string text() const {
    std::ostringstream out;
    out << process << ' ' << descriptor << ' ' << device << ' ' << inode;
    return out.str();
  }
  static Handle of(const std::string& text) {
    Handle handle;
    std::istringstream in(text);
    in >> handle.process >> handle.descriptor >> handle.device >> handle.inode;
    return handle;
  }
};

/// A descriptor of `bytes` of new memory; not open if the system has none.
int make_memory(std::size_t bytes) {
  const int descriptor = memfd_create("knotwork", MFD_CLOEXEC);
  if (descriptor < 0) return -1;
  if (ftruncate(descriptor, static_cast<off_t>(bytes)) == 0) return descriptor;
  close(descriptor);
  return -1;
}

Handle handle_of(const Descriptor& memory) {
  struct stat facts {};
  if (!memory.is_open() || fstat(memory.get(), &facts) != 0) return {};
  return {getpid(), memory.get(), facts.st_dev, facts.st_ino};
}

int open_memory(const Handle& handle, std::size_t bytes) {
  if (handle.descriptor < 0) return -1;
  const std::string path = "/proc/" + std::to_string(handle.process) + "/fd/" + std::to_string(handle.descriptor);
  const int descriptor = open(path.c_str(), O_RDWR | O_CLOEXEC);
  if (descriptor < 0) return -1;
  struct stat facts {};
  const bool is_it = fstat(descriptor, &facts) == 0 && facts.st_dev == handle.device && facts.st_ino == handle.inode &&
                     static_cast<std::size_t>(facts.st_size) == bytes;
  if (is_it) return descriptor;
  close(descriptor);
  return -1;
}

/// Reserves more than is wanted, so that the mapping can begin at a huge page. Null if there is no room.
std::byte* map_memory(int descriptor, std::size_t bytes) {
  const std::size_t reserved = bytes + kHugePageBytes;
  void* raw = mmap(nullptr, reserved, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (raw == MAP_FAILED) return nullptr;
  auto* base = static_cast<std::byte*>(raw);
  const std::size_t misfit = reinterpret_cast<std::uintptr_t>(base) % kHugePageBytes;
  const std::size_t head = misfit == 0 ? 0 : kHugePageBytes - misfit;
  if (head > 0) munmap(base, head);
  munmap(base + head + bytes, kHugePageBytes - head);
  void* mapped = mmap(base + head, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, descriptor, 0);
  if (mapped == MAP_FAILED) {
    munmap(base + head, bytes);
    return nullptr;
  }
  return static_cast<std::byte*>(mapped);
}

bool on_one_host(Communicator& communicator) {
  const std::vector<std::string> hosts = communicator.all_gather(loopback_identity());
  for (const std::string& host : hosts) {
    if (host != hosts.front()) return false;
  }
  return true;
}

}  // namespace

SharedMemory::SharedMemory(int descriptor, std::size_t bytes)
    : data_(descriptor < 0 ? nullptr : map_memory(descriptor, bytes)), size_(data_ == nullptr ? 0 : bytes) {
  if (data_ != nullptr) madvise(data_, size_, MADV_HUGEPAGE);
}

SharedMemory::SharedMemory(SharedMemory&& other) noexcept
    : data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, 0)) {}

SharedMemory& SharedMemory::operator=(SharedMemory&& other) noexcept {
  std::swap(data_, other.data_);
  std::swap(size_, other.size_);
  return *this;
}

SharedMemory::~SharedMemory() {
  if (data_ != nullptr) munmap(data_, size_);
}

void SharedMemory::settle(std::span<std::byte> part) const {
  constexpr std::size_t kPageBytes = 4096;
  const auto begin = static_cast<std::size_t>(part.data() - data_);
  const std::size_t first = begin / kHugePageBytes * kHugePageBytes;
  const std::size_t last = std::min(size_, whole_pages(begin + part.size()));
  // Reading makes pages real, and unlike writing leaves alone what a neighbour's rank does in the pages that both have.
  for (std::size_t at = first; at < last; at += kPageBytes) {
    static_cast<void>(*static_cast<const volatile std::byte*>(data_ + at));
  }
  if (first < last) madvise(data_ + first, last - first, MADV_COLLAPSE);
}

std::optional<SharedMemory> share_memory(Communicator& communicator, std::size_t bytes) {
  if (!on_one_host(communicator)) return std::nullopt;
  const std::size_t size = whole_pages(std::max<std::size_t>(bytes, 1));
  const Descriptor made(communicator.is_root() ? make_memory(size) : -1);
  const Handle handle = Handle::of(communicator.broadcast(handle_of(made).text(), 0));
  const Descriptor opened(communicator.is_root() ? -1 : open_memory(handle, size));
  SharedMemory memory(communicator.is_root() ? made.get() : opened.get(), size);
  // Also keeps rank 0's descriptor open until everyone has opened it.
  const std::uint64_t here = memory.size_ == size ? 1 : 0;
  if (communicator.allreduce(here, Reduction::kMin) == 0) return std::nullopt;
  return memory;
}

}  // namespace knotwork::cluster
