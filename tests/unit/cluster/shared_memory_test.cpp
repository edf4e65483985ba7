// Memory that ranks share: what one writes the others read, also after small pages were collapsed into large ones.
#include "cluster/shared_memory.h"

#include <cstdint>
#include <cstring>
#include <utility>

#include <gtest/gtest.h>

#include "tests/unit/cluster/mpi_test_main.h"

namespace knotwork::cluster {
namespace {

Communicator& world() {
  return *testing::the_communicator;
}

constexpr std::size_t kWindow = (std::size_t{5} << 20) + 4096 + 64;

std::uint64_t pattern(Rank rank, std::size_t i) {
  return (static_cast<std::uint64_t>(rank) + 1) * 0x9E3779B97F4A7C15U + i;
}

TEST(SharedMemoryTest, what_each_rank_writes_all_ranks_read) {
  const auto ranks = static_cast<std::size_t>(world().size());
  std::optional<SharedMemory> made = share_memory(world(), kWindow * ranks);
  ASSERT_TRUE(made) << "ranks of one host and user share memory";
  const SharedMemory memory = std::move(*made);
  ASSERT_GE(memory.bytes().size(), kWindow * ranks);
  EXPECT_EQ(reinterpret_cast<std::uintptr_t>(memory.bytes().data()) % (std::size_t{2} << 20), 0U);
  const auto window = [&](Rank rank) {
    return memory.bytes().subspan(kWindow * static_cast<std::size_t>(rank), kWindow);
  };
  const std::span<std::byte> own = window(world().rank());
  for (const std::byte byte : own) ASSERT_EQ(byte, std::byte{0});
  for (std::size_t i = 0; i < kWindow / sizeof(std::uint64_t); ++i) {
    const std::uint64_t value = pattern(world().rank(), i);
    std::memcpy(own.data() + i * sizeof value, &value, sizeof value);
  }
  memory.settle(own);
  world().barrier();
  for (Rank rank = 0; rank < world().size(); ++rank) {
    std::size_t wrong = 0;
    for (std::size_t i = 0; i < kWindow / sizeof(std::uint64_t); ++i) {
      std::uint64_t value = 0;
      std::memcpy(&value, window(rank).data() + i * sizeof value, sizeof value);
      wrong += value != pattern(rank, i);
    }
    EXPECT_EQ(wrong, 0U) << "rank " << rank;
  }
  world().barrier();
}

TEST(SharedMemoryTest, more_than_the_system_can_map_is_refused_on_all_ranks) {
  EXPECT_FALSE(share_memory(world(), std::size_t{1} << 60));
  EXPECT_TRUE(share_memory(world(), 0)) << "and the next request is served";
}

}  // namespace
}  // namespace knotwork::cluster
