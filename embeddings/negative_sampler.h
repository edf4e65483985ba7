// Draws nodes in proportion to given masses in constant time: an alias table.
//
// Walker, "An efficient method for generating discrete random variables with general distributions", ACM TOMS 1977;
// built in linear time as in Vose, IEEE Trans. Software Eng. 1991. For negatives the masses are degree^0.75 (Mikolov et
// al., NIPS 2013). 8 bytes a node.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "partition/graph.h"
#include "partition/huge_array.h"

namespace knotwork::embeddings {

/// Immutable after construction: any number of threads may sample.
class NegativeSampler {
 public:
  NegativeSampler() = default;
  /// Node first_node + i has mass masses[i]. Throws partition::InputError if a mass is negative or not finite, if there
  /// are none or more than ids can name, or if all are 0.
  explicit NegativeSampler(std::span<const double> masses, partition::GlobalNode first_node = 0);

  /// The same, but where no node has any mass: then nothing can be sampled, and total_mass() is 0.
  static NegativeSampler or_none(std::span<const double> masses, partition::GlobalNode first_node);

  /// A node from two independent random words. REQUIRES total_mass() > 0.
  partition::GlobalNode sample(std::uint32_t slot_bits, std::uint32_t coin) const {
    const std::uint32_t slot = slot_of(slot_bits);
    const Slot& entry = slots_[slot];
    return first_node_ + (coin < entry.threshold ? slot : entry.alias);
  }
  /// Asks for the memory that sample(slot_bits, ...) will read.
  void prefetch(std::uint32_t slot_bits) const { __builtin_prefetch(slots_.data() + slot_of(slot_bits)); }

  /// Sum of all masses: how often a rank's nodes should be drawn, relative to other ranks.
  double total_mass() const { return total_mass_; }
  std::size_t size() const { return slots_.size(); }

 private:
  // With probability threshold / 2^32 the slot itself, else its alias. A slot that is always itself is its own alias.
  struct Slot {
    std::uint32_t threshold;
    std::uint32_t alias;
  };

  std::uint32_t slot_of(std::uint32_t bits) const {
    return static_cast<std::uint32_t>((static_cast<std::uint64_t>(bits) * slots_.size()) >> 32);
  }

  partition::HugeArray<Slot> slots_;
  partition::GlobalNode first_node_ = 0;
  double total_mass_ = 0.0;
};

/// strength^exponent of every local node of `graph`; the strength is the sum of its arc weights if `weighted`, else its
/// degree. 1.0 gives how often walks visit nodes, 0.75 the masses of negatives. REQUIRES a weighted graph if
/// `weighted`.
std::vector<double> node_masses(const partition::Graph& graph, double exponent, bool weighted);

}  // namespace knotwork::embeddings
