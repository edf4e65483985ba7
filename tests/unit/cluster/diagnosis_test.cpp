// What facts mean (by hand), and the whole examination of a job of one. Several ranks and real broken links:
// tests/integration/hosts_test.py.
#include "cluster/diagnosis.h"

#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "cluster/host_address.h"
#include "cluster/single_process.h"

namespace knotwork::cluster {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

const DiagnosisOptions kOptions = {
    .alike = {{"build", "1.0 (abc)"}}, .least_memory = 1000, .least_disk = 1000, .most_clock_skew = 1};

/// Healthy ranks, one a host.
Diagnosis healthy(int ranks) {
  Diagnosis diagnosis;
  for (int rank = 0; rank < ranks; ++rank) {
    const std::string number = std::to_string(rank);
    RankFacts facts;
    facts.rank = rank;
    facts.host = "h" + number;
    facts.host_identity = "h" + number + "/net";
    facts.resolved = facts.address = "10.0.0." + number;
    facts.interface = "eth0";
    facts.port = 5000;
    facts.memory = facts.cores_online = facts.cores_allowed = 4000;
    facts.disk = 4000;
    facts.alike = {"1.0 (abc)"};
    diagnosis.ranks.push_back(facts);
  }
  return diagnosis;
}

Diagnosis assessed(Diagnosis diagnosis, const DiagnosisOptions& options = kOptions) {
  assess(diagnosis, options);
  return diagnosis;
}

TEST(Assessment, NothingIsFoundWhereNothingIs) {
  const Diagnosis diagnosis = assessed(healthy(3));
  EXPECT_THAT(diagnosis.problems, IsEmpty());
  EXPECT_THAT(diagnosis.warnings, IsEmpty());
  EXPECT_TRUE(diagnosis.is_healthy());
}

TEST(Assessment, EachDefectNamesItsRankAndHost) {
  const auto only_problem = [](void (*spoil)(RankFacts&)) {
    Diagnosis diagnosis = healthy(3);
    spoil(diagnosis.ranks[1]);
    diagnosis = assessed(diagnosis);
    EXPECT_THAT(diagnosis.problems, SizeIs(1));
    EXPECT_FALSE(diagnosis.is_healthy());
    return diagnosis.problems.empty() ? std::string() : diagnosis.problems[0];
  };
  EXPECT_EQ(only_problem([](RankFacts& facts) { facts.alike = {"1.1 (def)"}; }),
            "rank 1 on host h1: its build is 1.1 (def), but rank 0 on host h0 has 1.0 (abc)");
  EXPECT_THAT(only_problem([](RankFacts& facts) { facts.alike.clear(); }), HasSubstr("its build is nothing"));
  EXPECT_EQ(only_problem([](RankFacts& facts) { facts.has_carrier = false; }),
            "rank 1 on host h1: the link of interface eth0 (10.0.0.1) is down");
  EXPECT_THAT(only_problem([](RankFacts& facts) { facts.listen_problem = "cannot listen"; }),
              HasSubstr("rank 1 on host h1: cannot listen"));
  EXPECT_THAT(only_problem([](RankFacts& facts) { facts.memory = 999; }),
              AllOf(HasSubstr("rank 1 on host h1"), HasSubstr("memory")));
  EXPECT_THAT(only_problem([](RankFacts& facts) { facts.disk = 999; }), HasSubstr("disk of ."));
  EXPECT_THAT(only_problem([](RankFacts& facts) { facts.disk.reset(); }), HasSubstr("no folder ."));
  EXPECT_EQ(only_problem([](RankFacts& facts) { facts.clock_skew = -2.5; }),
            "rank 1 on host h1: its clock is 2.5 s behind rank 0's; is its time synchronised (NTP)?");
}

TEST(Assessment, ASkewWithinTheMeasurementIsNoFault) {
  Diagnosis diagnosis = healthy(2);
  diagnosis.ranks[1].clock_skew = 1.4;
  diagnosis.ranks[1].clock_uncertainty = 1;  // half of it to either side
  EXPECT_TRUE(assessed(diagnosis).is_healthy());
  diagnosis.ranks[1].clock_skew = 1.6;
  EXPECT_FALSE(assessed(diagnosis).is_healthy());
}

TEST(Assessment, ARankThatNobodyReachesIsNamedOnce) {
  Diagnosis diagnosis = healthy(3);
  diagnosis.broken = {{0, 2, "no answer within 5 s"}, {1, 2, "no answer within 5 s"}};
  EXPECT_THAT(assessed(diagnosis).problems,
              ElementsAre("no other rank can reach rank 2 on host h2 at 10.0.0.2:5000 (interface eth0): no answer "
                          "within 5 s"));
}

TEST(Assessment, SinglePathsAreListedAndThenCounted) {
  Diagnosis diagnosis = healthy(12);
  diagnosis.broken = {{0, 2, "x"}};
  EXPECT_THAT(assessed(diagnosis).problems,
              ElementsAre("rank 0 on host h0 cannot reach rank 2 on host h2 at 10.0.0.2:5000 (interface eth0): x"));
  diagnosis.broken.clear();
  for (int to = 1; to < 12; ++to) diagnosis.broken.push_back({0, to, "x"});
  EXPECT_THAT(assessed(diagnosis).problems, SizeIs(9));
  EXPECT_THAT(assessed(diagnosis).problems.back(), HasSubstr("and 3 more paths"));
}

TEST(Assessment, TooManyThreadsAndNamelessHostsAreWarnings) {
  Diagnosis diagnosis = healthy(2);
  for (RankFacts& facts : diagnosis.ranks) {
    facts.host_identity = "same";
    facts.threads = 3000;
  }
  diagnosis.ranks[1].resolved.clear();
  diagnosis = assessed(diagnosis);
  EXPECT_TRUE(diagnosis.is_healthy());
  EXPECT_THAT(diagnosis.warnings,
              ElementsAre(AllOf(HasSubstr("rank 1 on host h1"), HasSubstr("doesn't resolve"), HasSubstr("10.0.0.1")),
                          HasSubstr("2 ranks would use 6000 threads on 4000 cores")));
}

TEST(Assessment, BindingToLessThanItsShareIsAWarning) {
  Diagnosis diagnosis = healthy(2);
  diagnosis.ranks[1].cores_fair = 8;
  EXPECT_THAT(assessed(diagnosis).warnings, IsEmpty());
  diagnosis.ranks[1].cores_allowed = 1;
  EXPECT_THAT(assessed(diagnosis).warnings,
              ElementsAre("rank 1 on host h1: it is bound to 1 core, though its share is 8 (mpirun --bind-to none)"));
}

TEST(Assessment, MemoryIsSharedByTheRanksOfAHost) {
  Diagnosis diagnosis = healthy(2);
  for (RankFacts& facts : diagnosis.ranks) {
    facts.host_identity = "same";
    facts.memory = 1999;
  }
  EXPECT_THAT(assessed(diagnosis).problems, SizeIs(2));
  for (RankFacts& facts : diagnosis.ranks) facts.memory = 2000;
  EXPECT_TRUE(assessed(diagnosis).is_healthy());
}

TEST(Facts, SurviveTheJourney) {
  RankFacts facts = healthy(2).ranks[1];
  facts.host = "odd\x1e\nname";
  facts.alike = {"", "two words", ""};
  facts.has_carrier = false;
  const RankFacts back = decode_facts(encode(facts));
  EXPECT_EQ(back.host, "odd  name");
  EXPECT_EQ(back.alike, facts.alike);
  EXPECT_EQ(back.port, facts.port);
  EXPECT_EQ(back.cores_fair, facts.cores_fair);
  EXPECT_EQ(back.memory, facts.memory);
  EXPECT_EQ(back.disk, facts.disk);
  EXPECT_FALSE(back.has_carrier);
  facts.disk.reset();
  EXPECT_FALSE(decode_facts(encode(facts)).disk);
  for (const std::string& bad : {std::string(), std::string("x"), encode(facts) + "x", encode(facts).substr(3)})
    EXPECT_THROW(decode_facts(bad), ClusterError);
}

TEST(Diagnosis, AJobOfOneIsExaminedToo) {
  SingleProcess alone;
  const Diagnosis diagnosis = diagnose(alone, kOptions);
  ASSERT_THAT(diagnosis.ranks, SizeIs(1));
  EXPECT_EQ(diagnosis.ranks[0].host, host_name());
  EXPECT_EQ(diagnosis.ranks[0].address, "127.0.0.1");
  EXPECT_NE(diagnosis.ranks[0].port, 0);
  EXPECT_TRUE(diagnosis.is_healthy()) << ::testing::PrintToString(diagnosis.problems);
}

TEST(Diagnosis, ANetworkThatIsNotThereIsAProblem) {
  SingleProcess alone;
  DiagnosisOptions options = kOptions;
  options.network = "nosuch0";
  options.folder = "/no/such/folder";
  EXPECT_THAT(diagnose(alone, options).problems,
              ElementsAre(HasSubstr("no address on 'nosuch0'"), HasSubstr("no folder /no/such/folder")));
}

}  // namespace
}  // namespace knotwork::cluster
