// Servers of real ranks in every kind of encryption and transport: MPI carries endpoints and keys, every push counts
// once, and nobody gets in without the job's keys.
#include "worker/row_servers.h"

#include <cstdint>
#include <numeric>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "tests/unit/worker/graphs.h"

namespace knotwork::worker {
namespace {

struct Kind {
  const char* name;
  Encryption encryption;
  bool ipc;
  ps::RowFormat format;
};

class RowServersTest : public ::testing::TestWithParam<Kind> {};

TEST_P(RowServersTest, EveryRankServesAndAsks) {
  constexpr std::uint64_t kRowsPerRank = 50;
  constexpr std::uint32_t kDim = 24;
  const auto rank = static_cast<std::uint64_t>(world().rank());
  const auto size = static_cast<std::uint64_t>(world().size());
  ps::Shard shard;
  shard.add_table({.name = "rows", .row_count = kRowsPerRank * size, .dim = kDim},
                  {rank * kRowsPerRank, (rank + 1) * kRowsPerRank});
  RowServers servers(world(), shard,
                     {.encryption = GetParam().encryption, .ipc = GetParam().ipc, .row_format = GetParam().format});
  const auto client = servers.connect();
  std::vector<ps::RowIndex> rows(kRowsPerRank * size);
  std::iota(rows.begin(), rows.end(), 0);
  constexpr int kRounds = 5;
  // Every rank adds rank + 1 to every row.
  for (int round = 0; round < kRounds; ++round) {
    client->push(0, rows, std::vector<float>(rows.size() * kDim, static_cast<float>(rank + 1)));
  }
  client->flush();
  world().barrier();
  std::vector<float> out(rows.size() * kDim);
  client->pull(0, rows, out);
  for (const float value : out) ASSERT_EQ(value, static_cast<float>(kRounds * size * (size + 1) / 2));
  world().barrier();
  if (size == 1) {
    EXPECT_EQ(servers.own(), nullptr);
    return;
  }
  const std::uint64_t other = (rank + 1) % size;
  EXPECT_EQ(servers.is_encrypted(static_cast<ps::ServerIndex>(other)), GetParam().encryption == Encryption::kAlways);
  EXPECT_TRUE(servers.endpoints()[other].starts_with(GetParam().ipc ? "ipc://@" : "tcp://127.0.0.1:"));
  EXPECT_EQ(servers.own()->counters().refused_connections, 0U);
  world().barrier();

  // A stranger who knows the endpoint and nothing else.
  zmq::context_t elsewhere;
  if (GetParam().encryption == Encryption::kAlways) {
    EXPECT_THROW(ps::Client(elsewhere, {servers.endpoints()[other]}, {}, {.timeout_ms = 300, .linger_ms = 0}),
                 ps::ServerTimeout);
    world().barrier();
    EXPECT_GE(servers.own()->counters().refused_connections, 1U);
  } else {
    EXPECT_THROW(ps::Client(elsewhere, {servers.endpoints()[other]}, {}, {.timeout_ms = 2000}), ps::ProtocolError)
        << "another job's number";
  }
  world().barrier();  // Nobody's server may go while others still ask it.
}

TEST_P(RowServersTest, ASilentServerIsNamedByItsRank) {
  if (world().size() == 1) GTEST_SKIP() << "needs another rank";
  ps::Shard shard;
  const auto rank = static_cast<std::uint64_t>(world().rank());
  shard.add_table({.name = "rows", .row_count = static_cast<std::uint64_t>(world().size()), .dim = 1},
                  {rank, rank + 1});
  RowServers servers(world(), shard, {.timeout_ms = 1500, .encryption = GetParam().encryption, .ipc = GetParam().ipc});
  auto client = servers.connect();
  world().barrier();
  if (rank == 0) const_cast<ps::Server*>(servers.own())->stop();
  world().barrier();
  if (rank == 1) {
    try {
      std::vector<float> out(1);
      client->pull(0, std::vector<ps::RowIndex>{0}, out);
      ADD_FAILURE() << "pulled from a server that was stopped";
    } catch (const ps::ServerTimeout& timeout) {
      const std::string expected = "the server of " + world().title(0) + " at " + servers.endpoints()[0];
      EXPECT_EQ(std::string(timeout.what()).find(expected), 0U) << timeout.what();
    }
  }
  world().barrier();
}

INSTANTIATE_TEST_SUITE_P(All, RowServersTest,
                         ::testing::Values(Kind{"auto_tcp", Encryption::kAuto, false, ps::RowFormat::kFloat32},
                                           Kind{"auto_ipc", Encryption::kAuto, true, ps::RowFormat::kBfloat16},
                                           Kind{"always_tcp", Encryption::kAlways, false, ps::RowFormat::kBfloat16},
                                           Kind{"always_ipc", Encryption::kAlways, true, ps::RowFormat::kFloat32},
                                           Kind{"never_tcp", Encryption::kNever, false, ps::RowFormat::kFloat32}),
                         [](const auto& tested) { return tested.param.name; });

}  // namespace
}  // namespace knotwork::worker
