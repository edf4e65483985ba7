// Sorts the targets of one row and merges equal ones; one per thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include <hwy/contrib/sort/vqsort.h>

namespace knotwork::partition {

class RowSorter {
 public:
  /// Sorts `targets` and moves the distinct ones to the front. Returns how many there are.
  std::uint32_t sort_and_merge(std::span<std::uint32_t> targets);

  /// The same with weights (as many, positive and finite), of which those of equal targets are added in double and in
  /// rising order: the sum depends neither on threads nor on the order in the file. A sum beyond float becomes the
  /// largest float.
  std::uint32_t sort_and_merge(std::span<std::uint32_t> targets, std::span<float> weights);

 private:
  template <typename Key>
  void sort_keys(std::span<Key> keys);

  hwy::Sorter sorter_;
  std::vector<std::uint64_t> packed_;
};

}  // namespace knotwork::partition
