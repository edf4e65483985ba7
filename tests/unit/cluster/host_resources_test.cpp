// Cores and memory that a process may use, from control groups of both versions that are written by hand.
#include "cluster/host_resources.h"

#include <filesystem>
#include <fstream>
#include <string>
#include <unistd.h>

#include <gtest/gtest.h>

#include "cluster/memory_check.h"
#include "cluster/single_process.h"

namespace knotwork::cluster {
namespace {

namespace fs = std::filesystem;

class HostTree : public ::testing::Test {
 protected:
  HostTree() : root_(fs::path(::testing::TempDir()) / ("host_tree_" + std::to_string(::getpid()))) {
    fs::create_directories(root_);
  }
  ~HostTree() override { fs::remove_all(root_); }

  void write(const std::string& path, const std::string& text) {
    fs::create_directories((root_ / path).parent_path());
    std::ofstream(root_ / path) << text;
  }

  fs::path root_;
};

TEST_F(HostTree, WithoutGroupsThereIsNoQuota) {
  EXPECT_FALSE(host_cores(root_).quota);
  EXPECT_EQ(available_memory({}, root_), 0U);
}

TEST_F(HostTree, VersionTwoTakesTheLeastOnTheWayUp) {
  write("proc/self/cgroup", "0::/pods/one\n");
  write("sys/fs/cgroup/pods/one/cpu.max", "max 100000\n");
  write("sys/fs/cgroup/pods/cpu.max", "250000 100000\n");
  write("proc/meminfo", "MemTotal: 9000000 kB\nMemAvailable:    8000000 kB\n");
  EXPECT_DOUBLE_EQ(host_cores(root_).quota.value_or(0), 2.5);
  EXPECT_EQ(available_memory({}, root_), 8000000ULL * 1024);
  write("sys/fs/cgroup/pods/one/memory.max", "1000000\n");
  write("sys/fs/cgroup/pods/one/memory.current", "400000\n");
  write("sys/fs/cgroup/pods/memory.max", "max\n");
  EXPECT_EQ(available_memory({}, root_), 600000U);
  write("sys/fs/cgroup/pods/one/memory.stat", "anon 200000\ninactive_file 100000\nactive_file 50000\n");
  EXPECT_EQ(available_memory({}, root_), 750000U) << "cached files are given back";
  write("sys/fs/cgroup/pods/one/memory.current", "2000000\n");
  EXPECT_EQ(available_memory({}, root_), 0U) << "a group above its limit";
}

TEST_F(HostTree, VersionOne) {
  write("proc/self/cgroup", "5:cpuset:/x\n4:cpu,cpuacct:/job\n3:memory:/job\n");
  write("sys/fs/cgroup/cpu/job/cpu.cfs_quota_us", "150000\n");
  write("sys/fs/cgroup/cpu/job/cpu.cfs_period_us", "50000\n");
  write("sys/fs/cgroup/cpu/cpu.cfs_quota_us", "-1\n");
  write("sys/fs/cgroup/cpu/cpu.cfs_period_us", "100000\n");
  write("proc/meminfo", "MemAvailable: 1000 kB\n");
  write("sys/fs/cgroup/memory/job/memory.limit_in_bytes", "500000\n");
  EXPECT_DOUBLE_EQ(host_cores(root_).quota.value_or(0), 3);
  EXPECT_EQ(available_memory({}, root_), 500000U);
  write("sys/fs/cgroup/memory/job/memory.usage_in_bytes", "400000\n");
  write("sys/fs/cgroup/memory/job/memory.stat",
        "inactive_file 1\ntotal_inactive_file 100000\ntotal_active_file 1000\n");
  EXPECT_EQ(available_memory({}, root_), 201000U);
}

TEST_F(HostTree, SlurmLimitsMemoryToo) {
  write("proc/meminfo", "MemAvailable: 1000 kB\n");
  SlurmShare slurm;
  slurm.memory_on_node = 7000;
  EXPECT_EQ(available_memory(slurm, root_), 7000U);
  slurm.memory_on_node = 7000000;
  EXPECT_EQ(available_memory(slurm, root_), 1024000U);
}

TEST(Threads, AreSharedAmongTheRanksOfAHost) {
  const Cores free{.online = 16, .allowed = 16};
  EXPECT_EQ(threads_for(free, {}, 1), 16U);
  EXPECT_EQ(threads_for(free, {}, 4), 4U);
  EXPECT_EQ(threads_for(free, {}, 40), 1U);
  EXPECT_EQ(threads_for(free, {}, 0), 16U);
  EXPECT_EQ(threads_for({.online = 16, .allowed = 4}, {}, 4), 4U) << "bound: its own cores already";
}

TEST(Threads, FollowSlurm) {
  SlurmShare slurm;
  const Cores free{.online = 16, .allowed = 16};
  slurm.cpus_on_node = 8;
  EXPECT_EQ(threads_for(free, slurm, 2), 4U) << "the job has half of the node";
  slurm.cpus_per_task = 3;
  EXPECT_EQ(threads_for(free, slurm, 2), 3U);
  EXPECT_EQ(threads_for({.online = 16, .allowed = 2}, slurm, 2), 2U) << "bound more tightly";
}

TEST(Threads, FollowTheQuota) {
  EXPECT_EQ(threads_for({.online = 64, .allowed = 64, .quota = 2.5}, {}, 1), 3U);
  EXPECT_EQ(threads_for({.online = 64, .allowed = 64, .quota = 0.1}, {}, 1), 1U);
  EXPECT_EQ(threads_for({.online = 64, .allowed = 64, .quota = 8}, {}, 4), 2U);
}

TEST(MemoryCheck, AddsUpTheRanksOfAHost) {
  const std::vector<MemoryNeed> ranks = {{"a", "a/1", 600, 1000}, {"b", "b/1", 900, 1000}, {"a", "a/1", 600, 1000}};
  EXPECT_EQ(
      short_hosts(ranks),
      std::vector<std::string>{"host a (2 ranks) needs at least 0.00 GB of memory, 0.00 GB are available to this job"});
  EXPECT_TRUE(short_hosts({{"a", "a/1", 1000, 1000}}).empty());
  EXPECT_TRUE(short_hosts({{"a", "a/1", 1000, 0}}).empty()) << "not known";
}

TEST(MemoryCheck, ThisHostHasAMegabyteButNoExabyte) {
  SingleProcess alone;
  EXPECT_NO_THROW(require_memory(alone, 1U << 20));
  EXPECT_THROW(require_memory(alone, std::uint64_t{1} << 60), ClusterError);
}

TEST(ThisHost, HasCoresMemoryAndDisk) {
  EXPECT_GE(host_cores().online, host_cores().allowed);
  EXPECT_GE(host_cores().allowed, 1U);
  EXPECT_GT(available_memory({}), 1U << 20);
  EXPECT_TRUE(free_disk("/"));
  EXPECT_FALSE(free_disk("/no/such/folder"));
}

}  // namespace
}  // namespace knotwork::cluster
