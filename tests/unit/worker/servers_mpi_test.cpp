// Servers and clients of real ranks: MPI carries the endpoints, TCP carries the rows, and every push counts once.
#include <cstdint>
#include <numeric>
#include <vector>

#include <gtest/gtest.h>

#include "cluster/communicator.h"
#include "cluster/rendezvous.h"
#include "ps/client.h"
#include "ps/server.h"
#include "tests/unit/cluster/mpi_test_main.h"

namespace knotwork {
namespace {

class ServersTest : public ::testing::TestWithParam<bool> {};

TEST_P(ServersTest, EveryRankServesAndAsks) {
  cluster::Communicator& ranks = *cluster::testing::the_communicator;
  constexpr std::uint64_t kRowsPerRank = 50;
  constexpr std::uint32_t kDim = 24;
  const auto rank = static_cast<std::uint64_t>(ranks.rank());
  const auto size = static_cast<std::uint64_t>(ranks.size());
  const std::uint64_t row_count = kRowsPerRank * size;

  ps::Shard shard;
  shard.add_table({.name = "rows", .row_count = row_count, .dim = kDim},
                  {rank * kRowsPerRank, (rank + 1) * kRowsPerRank});
  const std::uint64_t job = cluster::draw_job_id(ranks);
  zmq::context_t context;
  ps::ServerOptions server_options;
  server_options.endpoint = cluster::bind_endpoint(ranks, {.ipc = GetParam()});
  server_options.job_id = job;
  ps::Server server(context, shard, server_options);
  server.start();
  const std::vector<std::string> endpoints = cluster::exchange_endpoints(ranks, server.endpoint());
  ps::Client client(context, endpoints, {static_cast<ps::ServerIndex>(rank), &shard}, {.job_id = job});

  // Every rank adds rank + 1 to every row, 20 times.
  std::vector<ps::RowIndex> rows(row_count);
  std::iota(rows.begin(), rows.end(), 0);
  const std::vector<float> deltas(row_count * kDim, static_cast<float>(rank + 1));
  constexpr int kRounds = 20;
  for (int round = 0; round < kRounds; ++round) client.push(0, rows, deltas);
  client.flush();
  ranks.barrier();
  std::vector<float> out(row_count * kDim);
  client.pull(0, rows, out);
  const auto expected = static_cast<float>(kRounds * size * (size + 1) / 2);
  for (const float value : out) ASSERT_EQ(value, expected);
  EXPECT_EQ(server.counters().errors, 0U);
  EXPECT_EQ(server.counters().pushes, kRounds * (size - 1));
  ranks.barrier();  // Nobody's server may go while others still ask it.
}

INSTANTIATE_TEST_SUITE_P(Transports, ServersTest, ::testing::Bool(),
                         [](const auto& tested) { return tested.param ? "ipc" : "tcp"; });

}  // namespace
}  // namespace knotwork

int main(int argc, char** argv) {
  return knotwork::cluster::testing::run_all_tests(argc, argv);
}
