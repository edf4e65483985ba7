#include "embeddings/start_order.h"

#include <bit>
#include <stdexcept>

#include "partition/random.h"

namespace knotwork::embeddings {

namespace {

// Six half-rounds: four make a strong pseudo-random permutation (Luby and Rackoff 1988), two more for small halves.
constexpr std::uint32_t kHalfRounds = 6;

constexpr std::uint32_t low_mask(unsigned bits) {
  return static_cast<std::uint32_t>((std::uint64_t{1} << bits) - 1);
}

}  // namespace

StartOrder::StartOrder(std::uint64_t seed, std::uint32_t round, partition::OriginalNode node_count)
    : seed_(seed), round_(round), node_count_(node_count) {
  const auto bits = static_cast<unsigned>(std::bit_width(node_count == 0 ? 0U : node_count - 1U));
  low_bits_ = bits / 2;
  high_bits_ = bits - low_bits_;
}

std::uint32_t StartOrder::scramble(std::uint32_t value) const {
  std::uint32_t low = value & low_mask(low_bits_);
  std::uint32_t high = value >> low_bits_;
  for (std::uint32_t half_round = 0; half_round < kHalfRounds; half_round += 2) {
    const auto word = [&](std::uint32_t half, std::uint32_t number) {
      return partition::random_block(seed_, partition::RandomPurpose::kShuffle, half, round_, number)[0];
    };
    high ^= word(low, half_round) & low_mask(high_bits_);
    low ^= word(high, half_round + 1) & low_mask(low_bits_);
  }
  return (high << low_bits_) | low;
}

partition::OriginalNode StartOrder::at(partition::OriginalNode index) const {
  // The power of two is below 2n: fewer than two tries on average.
  std::uint32_t value = scramble(index);
  while (value >= node_count_) value = scramble(value);
  return value;
}

std::vector<partition::GlobalNode> global_of_original(const partition::Graph& graph) {
  if (!graph.is_whole()) throw std::invalid_argument("global_of_original needs a whole graph");
  std::vector<partition::GlobalNode> global(graph.row_count());
  for (partition::GlobalNode node = 0; node < graph.row_count(); ++node) global[graph.original(node)] = node;
  return global;
}

}  // namespace knotwork::embeddings
