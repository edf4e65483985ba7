// The communicator between real ranks (1, 2, 4): every collective against what each rank can work out alone. Pieces are
// 1,000 bytes here, so buffers of some kilobytes take the path of those over 2 GiB; once more with the pieces of jobs,
// where exchanges go in one parcel, in pieces that MPI sends unasked, or whole.
#include <cstdint>
#include <cstring>
#include <numeric>
#include <set>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "cluster/communicator.h"
#include "cluster/rendezvous.h"
#include "tests/unit/cluster/mpi_test_main.h"

namespace knotwork::cluster {
namespace {

using testing::the_communicator;

/// Bytes that sender and receiver can both compute.
Bytes pattern(std::size_t size, int from, int to) {
  Bytes bytes(size);
  for (std::size_t i = 0; i < size; ++i) bytes[i] = static_cast<std::byte>((i * 7 + from * 31 + to * 101) % 251);
  return bytes;
}

std::size_t size_between(int from, int to) {
  const std::size_t sizes[] = {0, 1, 999, 1000, 1001, 5000, 12345, 40'000, 5'000'000};
  return sizes[static_cast<std::size_t>(from * 3 + to) % std::size(sizes)];
}

TEST(Communicator, KnowsWhoIsThere) {
  EXPECT_GE(the_communicator->rank(), 0);
  EXPECT_LT(the_communicator->rank(), the_communicator->size());
  if (const char* size = std::getenv("OMPI_COMM_WORLD_SIZE")) {
    EXPECT_EQ(the_communicator->size(), std::atoi(size));
  }
}

TEST(Communicator, ReducesInPieces) {
  const int ranks = the_communicator->size();
  const double rank = the_communicator->rank();
  std::vector<double> values(777);
  for (std::size_t i = 0; i < values.size(); ++i) values[i] = static_cast<double>(i) + rank;
  the_communicator->allreduce(std::span(values), Reduction::kSum);
  for (std::size_t i = 0; i < values.size(); ++i) {
    ASSERT_EQ(values[i], static_cast<double>(i) * ranks + ranks * (ranks - 1) / 2.0);
  }
  EXPECT_EQ(the_communicator->allreduce(rank, Reduction::kMin), 0);
  EXPECT_EQ(the_communicator->allreduce(rank, Reduction::kMax), ranks - 1);
  const std::uint64_t large = (std::uint64_t{1} << 60) + 1;  // More than a double holds.
  EXPECT_EQ(the_communicator->allreduce(large, Reduction::kSum), large * ranks);
}

TEST(Communicator, BroadcastsFromEveryRoot) {
  for (int root = 0; root < the_communicator->size(); ++root) {
    for (const std::size_t size : {0U, 1U, 1000U, 54321U}) {
      Bytes bytes = the_communicator->rank() == root ? pattern(size, root, 0) : Bytes(3);
      the_communicator->broadcast(bytes, root);
      ASSERT_EQ(bytes, pattern(size, root, 0));
    }
    EXPECT_EQ(the_communicator->broadcast(the_communicator->rank() == root ? "hello" : "", root), "hello");
  }
}

TEST(Communicator, GathersStringsOfAnyLength) {
  const auto own = [](int rank) {
    return std::string(static_cast<std::size_t>(rank) * 1500, 'a') + std::to_string(rank);
  };
  const std::vector<std::string> all = the_communicator->all_gather(own(the_communicator->rank()));
  ASSERT_EQ(all.size(), static_cast<std::size_t>(the_communicator->size()));
  for (int rank = 0; rank < the_communicator->size(); ++rank) EXPECT_EQ(all[rank], own(rank));
}

TEST(Communicator, ExchangesBuffersOfAllSizes) {
  const int me = the_communicator->rank();
  for (int round = 0; round < 5; ++round) {
    std::vector<Bytes> to_each;
    for (int to = 0; to < the_communicator->size(); ++to)
      to_each.push_back(pattern(size_between(me + round, to), me, to));
    const std::vector<Bytes> received = the_communicator->exchange(to_each);
    ASSERT_EQ(received.size(), to_each.size());
    for (int from = 0; from < the_communicator->size(); ++from) {
      ASSERT_EQ(received[from], pattern(size_between(from + round, me), from, me)) << from << " to " << me;
    }
  }
  EXPECT_THROW(the_communicator->exchange({}), ClusterError);
}

TEST(Communicator, SendsAroundTheRing) {
  const int me = the_communicator->rank();
  const int size = the_communicator->size();
  if (me == 0) {
    the_communicator->send(pattern(9999, 0, 1), (me + 1) % size, 5);
    EXPECT_EQ(the_communicator->receive(size - 1, 5), pattern(9999, 0, 1));
  } else {
    the_communicator->send(the_communicator->receive(me - 1, 5), (me + 1) % size, 5);
  }
}

TEST(Communicator, TurnsMpiErrorsIntoExceptions) {
  if (the_communicator->size() == 1) GTEST_SKIP() << "needs MPI";
  try {
    the_communicator->send(Bytes(1), the_communicator->size() + 5, 0);
    FAIL() << "sent to a rank that doesn't exist";
  } catch (const ClusterError& error) {
    EXPECT_NE(std::string(error.what()).find("MPI_ERR_RANK"), std::string::npos) << error.what();
  }
  the_communicator->barrier();
}

TEST(Rendezvous, AllRanksAgree) {
  const std::uint64_t job = draw_job_id(*the_communicator);
  EXPECT_NE(job, 0U);
  EXPECT_EQ(the_communicator->allreduce(job, Reduction::kMin), the_communicator->allreduce(job, Reduction::kMax));
  EXPECT_NE(draw_job_id(*the_communicator), job);
  EXPECT_EQ(bind_endpoint(*the_communicator), "tcp://127.0.0.1:*");
  EXPECT_EQ(bind_endpoint(*the_communicator, {.ipc = true}), "ipc://*");
  EXPECT_EQ(bind_endpoint(*the_communicator, {.network = "127.0.0.0/8"}), "tcp://127.0.0.1:*");
  const auto endpoints = exchange_endpoints(*the_communicator, "tcp://" + std::to_string(the_communicator->rank()));
  for (int rank = 0; rank < the_communicator->size(); ++rank)
    EXPECT_EQ(endpoints[rank], "tcp://" + std::to_string(rank));
  EXPECT_EQ(host_names(*the_communicator).size(), endpoints.size());
}

}  // namespace
}  // namespace knotwork::cluster

int main(int argc, char** argv) {
  return knotwork::cluster::testing::run_all_tests(argc, argv);
}
