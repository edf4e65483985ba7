// Who works on the same arrays: the threads of this process, and of other processes if their memory is shared.
//
// Methods that change whole tables in steps (LightGCN) divide every step by `rank()` and `size()`, and wait for each
// other between two steps. What is summed across a crew is summed in an order that depends neither on its size nor on
// threads, so results are the same bytes for all of them. This class is a crew of one; worker/ has the one of ranks.
#pragma once

#include <cstddef>
#include <deque>
#include <span>

#include "partition/huge_array.h"

namespace knotwork::embeddings {

class Crew {
 public:
  explicit Crew(unsigned threads) : threads_(threads == 0 ? 1 : threads) {}
  Crew(const Crew&) = delete;
  Crew& operator=(const Crew&) = delete;
  virtual ~Crew() = default;

  unsigned threads() const { return threads_; }
  virtual unsigned rank() const { return 0; }
  virtual unsigned size() const { return 1; }

  /// Collective: nobody goes on before all are here, and what each wrote before is seen by all behind.
  virtual void wait_for_all() {}
  /// Collective: `bytes` of zeroed memory that all see, aligned to 64 bytes; it lives as long as the crew. Throws
  /// std::bad_alloc or what the crew's processes fail with.
  virtual std::span<std::byte> allocate(std::size_t bytes) {
    own_.emplace_back(bytes);
    return own_.back().span();
  }

  /// As allocate(), of floats.
  std::span<float> floats(std::size_t count) {
    const std::span<std::byte> bytes = allocate(count * sizeof(float));
    return {reinterpret_cast<float*>(bytes.data()), count};
  }

  struct Range {
    std::size_t first;
    std::size_t last;
  };
  /// This rank's share of [0, count).
  Range share_of(std::size_t count) const { return {count * rank() / size(), count * (rank() + 1) / size()}; }

 private:
  unsigned threads_;
  std::deque<partition::HugeArray<std::byte>> own_;
};

}  // namespace knotwork::embeddings
