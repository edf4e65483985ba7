// What needs no second process: the communicator of one, how a start is recognised, and the choice of an address.
#include <map>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "cluster/communicator.h"
#include "cluster/host_address.h"
#include "cluster/rendezvous.h"
#include "cluster/single_process.h"

namespace knotwork::cluster {
namespace {

using ::testing::HasSubstr;

Launch launch_with(const std::map<std::string, std::string>& variables) {
  return launch_of([&](const char* name) -> const char* {
    const auto found = variables.find(name);
    return found == variables.end() ? nullptr : found->second.c_str();
  });
}

TEST(Launch, IsRecognisedByItsVariables) {
  EXPECT_FALSE(launch_with({}).needs_mpi);
  EXPECT_FALSE(launch_with({{"SLURM_JOB_ID", "7"}, {"SLURM_PROCID", "0"}, {"SLURM_NTASKS", "4"}}).needs_mpi)
      << "the shell of an sbatch script";
  EXPECT_FALSE(launch_with({{"SLURM_STEP_NUM_TASKS", "1"}}).needs_mpi);
  EXPECT_EQ(launch_with({{"OMPI_COMM_WORLD_SIZE", "2"}, {"PMIX_RANK", "0"}}).launcher, "mpirun");
  EXPECT_EQ(launch_with({{"PMIX_RANK", "0"}, {"SLURM_STEP_NUM_TASKS", "4"}}).launcher, "srun");
  EXPECT_TRUE(launch_with({{"PMI_RANK", "1"}}).needs_mpi);
}

TEST(Launch, TasksThatCannotFindEachOtherAreRefused) {
  try {
    launch_with({{"SLURM_STEP_NUM_TASKS", "4"}, {"SLURM_PROCID", "2"}});
    FAIL() << "four tasks would each have done the whole job";
  } catch (const ClusterError& error) {
    EXPECT_THAT(error.what(), HasSubstr("srun --mpi=pmix"));
  }
}

TEST(SingleProcess, TalksToItself) {
  SingleProcess alone;
  EXPECT_EQ(alone.size(), 1);
  EXPECT_TRUE(alone.is_root());
  EXPECT_EQ(alone.allreduce(3.5, Reduction::kSum), 3.5);
  EXPECT_EQ(alone.broadcast("x", 0), "x");
  EXPECT_EQ(alone.all_gather("me"), std::vector<std::string>{"me"});
  const std::vector<Bytes> sent{Bytes(5, std::byte{7})};
  EXPECT_EQ(alone.exchange(sent), sent);
  alone.send(sent[0], 0, 3);
  EXPECT_EQ(alone.receive(0, 3), sent[0]);
  EXPECT_THROW(alone.receive(0, 3), ClusterError);
  EXPECT_THROW(alone.send(sent[0], 1, 3), ClusterError);
  EXPECT_THROW(alone.exchange({}), ClusterError);
  EXPECT_THROW(run_or_abort(
                   alone, [&]() -> int { throw ClusterError("x"); }, [](const auto&) { return 1; }),
               ClusterError);
  EXPECT_EQ(bind_endpoint(alone), "tcp://127.0.0.1:*");
}

TEST(SingleProcessDeathTest, AbortEndsWithTheCode) {
  EXPECT_EXIT(SingleProcess().abort(3, "no memory"), ::testing::ExitedWithCode(3), "knotwork: no memory");
}

TEST(HostAddress, NetworksContainWhatTheyShould) {
  EXPECT_TRUE(in_network("10.77.0.1", "10.77.0.0/24"));
  EXPECT_FALSE(in_network("10.77.1.1", "10.77.0.0/24"));
  EXPECT_TRUE(in_network("1.2.3.4", "0.0.0.0/0"));
  EXPECT_TRUE(in_network("1.2.3.4", "1.2.3.4/32"));
  EXPECT_FALSE(in_network("1.2.3.5", "1.2.3.4/32"));
  for (const char* bad : {"10.0.0.0/33", "10.0.0.0/", "10.0.0/8", "10.0.0.0/8x", "10.0.0.0/-1"}) {
    EXPECT_THROW((void)in_network("10.0.0.1", bad), ClusterError) << bad;
  }
}

TEST(HostAddress, IsChosenAsAskedFor) {
  const std::vector<HostAddress> candidates{{"lo", "127.0.0.1", true},
                                            {"docker0", "172.17.0.1", false},
                                            {"eth0", "10.1.2.3", false},
                                            {"ib0", "10.9.0.3", false}};
  EXPECT_EQ(choose_address(candidates, "", ""), "172.17.0.1");
  EXPECT_EQ(choose_address(candidates, "", "10.1.2.3"), "10.1.2.3");
  EXPECT_EQ(choose_address(candidates, "", "127.0.0.1"), "172.17.0.1") << "Debian's /etc/hosts";
  EXPECT_EQ(choose_address(candidates, "", "8.8.8.8"), "172.17.0.1") << "somebody else's address";
  EXPECT_EQ(choose_address(candidates, "ib0", "10.1.2.3"), "10.9.0.3");
  EXPECT_EQ(choose_address(candidates, "10.9.0.0/16", ""), "10.9.0.3");
  EXPECT_EQ(choose_address(candidates, "127.0.0.1", ""), "127.0.0.1");
  try {
    choose_address(candidates, "192.168.0.0/16", "");
    FAIL();
  } catch (const ClusterError& error) {
    EXPECT_THAT(error.what(), HasSubstr("no address on '192.168.0.0/16'; this host has lo=127.0.0.1"));
  }
  EXPECT_THROW(choose_address({{"lo", "127.0.0.1", true}}, "", ""), ClusterError);
}

TEST(HostAddress, ThisMachineHasALoopbackAndAName) {
  const auto addresses = host_addresses();
  EXPECT_TRUE(std::any_of(addresses.begin(), addresses.end(), [](const auto& one) { return one.loopback; }));
  EXPECT_FALSE(host_name().empty());
  EXPECT_EQ(resolve("127.0.0.1"), "127.0.0.1");
  EXPECT_EQ(loopback_identity(), loopback_identity());
}

}  // namespace
}  // namespace knotwork::cluster
