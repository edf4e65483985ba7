// The vector Philox against Random123, word by word.
#include "embeddings/walk_random.h"

#include <gtest/gtest.h>

#include "partition/random.h"

namespace knotwork::embeddings {
namespace {

TEST(WalkRandomTest, every_lane_equals_the_scalar_function) {
  for (const std::size_t count : {std::size_t{1}, std::size_t{16}, std::size_t{77}, kMaxLanes}) {
    RandomLanes lanes;
    for (std::uint32_t i = 0; i < count; ++i) {
      lanes.node[i] = 0x9e3779b9U * (i + 1);
      lanes.walk[i] = i % 5;
      lanes.counter[i] = i * i;
      lanes.trial[i] = i == 3 ? 0x81000007U : i;  // only 24 bits count, in both
    }
    const std::uint64_t seed = 0xfedcba9876543210U;
    fill_random_lanes(seed, lanes, count);
    for (std::size_t i = 0; i < count; ++i) {
      const auto expected = partition::random_block(seed, partition::RandomPurpose::kWalkStep, lanes.node[i],
                                                    lanes.walk[i], lanes.counter[i], lanes.trial[i]);
      for (std::size_t w = 0; w < 4; ++w) ASSERT_EQ(lanes.words[w][i], expected[w]) << "lane " << i << " word " << w;
    }
  }
}

}  // namespace
}  // namespace knotwork::embeddings
