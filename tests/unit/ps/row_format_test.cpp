// bfloat16 against a slow search for the nearest one, and rows that travel in it between client and server.
#include "ps/row_format.h"

#include <cmath>
#include <cstring>
#include <limits>
#include <random>
#include <vector>

#include <gtest/gtest.h>

#include "tests/unit/ps/server_group.h"

namespace knotwork::ps {
namespace {

using testing::ServerGroup;
using testing::table_spec;

/// The nearest bfloat16 by trying the two around the value; a tie goes to the even one.
float nearest_by_search(float value) {
  const auto bits = std::bit_cast<std::uint32_t>(value);
  const auto low = static_cast<std::uint16_t>(bits >> 16);  // Towards zero.
  const auto high = static_cast<std::uint16_t>(low + 1);
  const double down = std::abs(static_cast<double>(value) - from_bfloat16(low));
  const double up = std::abs(static_cast<double>(from_bfloat16(high)) - value);
  if (down == up) return from_bfloat16(low % 2 == 0 ? low : high);
  return from_bfloat16(down < up ? low : high);
}

TEST(RowFormat, RoundsToTheNearestAndTiesToEven) {
  std::mt19937 random(5);
  for (int i = 0; i < 200'000; ++i) {
    const auto value = std::bit_cast<float>(static_cast<std::uint32_t>(random()));
    if (!(std::abs(value) < 3e38F)) continue;  // Larger ones may round to infinity, which has no distance.
    ASSERT_EQ(from_bfloat16(to_bfloat16(value)), nearest_by_search(value)) << value;
  }
  for (const std::uint32_t tie : {0x3f808000U, 0x3f818000U, 0xbf808000U, 0x00008000U}) {
    const auto value = std::bit_cast<float>(tie);
    EXPECT_EQ(from_bfloat16(to_bfloat16(value)), nearest_by_search(value)) << value;
  }
  EXPECT_EQ(from_bfloat16(to_bfloat16(-0.0F)), 0.0F);
  EXPECT_TRUE(std::signbit(from_bfloat16(to_bfloat16(-0.0F))));
  EXPECT_TRUE(std::isinf(from_bfloat16(to_bfloat16(std::numeric_limits<float>::infinity()))));
  EXPECT_TRUE(std::isinf(from_bfloat16(to_bfloat16(std::numeric_limits<float>::max()))));
  for (const std::uint32_t nan : {0x7fc00000U, 0x7f800001U, 0xffffffffU}) {
    EXPECT_TRUE(std::isnan(from_bfloat16(to_bfloat16(std::bit_cast<float>(nan))))) << nan;
  }
}

TEST(RowFormat, WritesToAnyAddress) {
  const std::vector<float> values{1.0F, -2.5F, 3.0e-20F, 4.0e20F, 0.0F};
  for (const RowFormat format : {RowFormat::kFloat32, RowFormat::kBfloat16}) {
    for (std::size_t shift = 0; shift < 4; ++shift) {
      std::vector<std::byte> bytes(shift + values.size() * bytes_per_value(format));
      write_values(values, format, bytes.data() + shift);
      std::vector<float> back(values.size());
      read_values(bytes.data() + shift, format, back);
      for (std::size_t i = 0; i < values.size(); ++i) {
        EXPECT_EQ(back[i], format == RowFormat::kFloat32 ? values[i] : nearest_by_search(values[i]));
      }
    }
  }
}

TEST(RowFormat, RowsAndDeltasTravelRoundedInHalfTheBytes) {
  constexpr std::uint32_t kDim = 100;
  ServerGroup group(RowBounds({0, 50, 100}), {table_spec(100, kDim, OptimizerKind::kAdagrad), table_spec(100, 3)});
  std::mt19937 random(7);
  std::normal_distribution<float> normal;
  std::vector<RowIndex> rows;
  for (int i = 0; i < 40; ++i) rows.push_back(random() % 100);
  const auto exchange = [&](RowFormat format, std::vector<float>& out, std::vector<float>& pulled) {
    const auto client = group.client({.batch_bytes = 1500, .row_format = format, .exact_tables = {1}});
    std::vector<float> deltas(rows.size() * (kDim + 1));
    std::mt19937 same(11);
    for (float& delta : deltas) delta = normal(same);
    out.resize(deltas.size());
    pulled.resize(deltas.size());
    EXPECT_EQ(client->row_bytes(0), kDim * bytes_per_value(format));
    EXPECT_EQ(client->row_bytes(1), 3 * sizeof(float));
    client->wait(client->start_push_pull(0, rows, deltas, out, PushKind::kDeltaWithState));
    client->pull(0, rows, pulled, true);
    // An exact table in between: 16777215 needs all 24 bits of a float.
    client->push(1, std::vector<RowIndex>{9}, std::vector<float>{16777215.0F, 1, 2});
    std::vector<float> exact(3);
    client->flush();
    client->pull(1, std::vector<RowIndex>{9}, exact);
    EXPECT_EQ(exact[0], format == RowFormat::kFloat32 ? 16777215.0F : 2 * 16777215.0F);
    return client->traffic();
  };
  std::vector<float> out;
  std::vector<float> pulled;
  const ClientTraffic full = exchange(RowFormat::kFloat32, out, pulled);
  for (std::unique_ptr<Shard>& shard : group.shards) {  // Once more from zero.
    for (RowIndex row = shard->table(0).range().first; row < shard->table(0).range().last; ++row) {
      std::fill_n(shard->table(0).row(row), kDim, 0.0F);
      shard->table(0).accumulators()[row - shard->table(0).range().first] = 0;
    }
  }
  std::vector<float> half_out;
  std::vector<float> half_pulled;
  const ClientTraffic half = exchange(RowFormat::kBfloat16, half_out, half_pulled);
  double worst = 0;
  for (std::size_t i = 0; i < pulled.size(); ++i) {
    // A row is a sum of a few rounded deltas, rounded once more.
    worst = std::max(worst, std::abs(static_cast<double>(half_pulled[i]) - pulled[i]) / 8);
    EXPECT_EQ(half_pulled[i], from_bfloat16(to_bfloat16(half_pulled[i])));
  }
  EXPECT_GT(worst, 0.0);
  EXPECT_LT(worst, 1.0 / 256);
  const double headers = 200.0 * static_cast<double>(full.messages_sent);
  EXPECT_LT(static_cast<double>(half.bytes_received), 0.5 * static_cast<double>(full.bytes_received) + headers);
  EXPECT_LT(static_cast<double>(half.bytes_sent), 0.6 * static_cast<double>(full.bytes_sent) + headers);
}

}  // namespace
}  // namespace knotwork::ps
