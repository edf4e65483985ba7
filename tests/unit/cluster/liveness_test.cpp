// Heartbeats between threads of one process, over real sockets: who is missed, who is told, and who speaks. Real
// processes are stopped and killed in tests/integration/trouble_test.py.
#include "cluster/liveness.h"

#include <atomic>
#include <chrono>
#include <future>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "cluster/polite_wait.h"
#include "cluster/roll_call.h"
#include "cluster/tcp_link.h"
#include "cluster/watchdog.h"

namespace knotwork::cluster {
namespace {

using std::chrono::milliseconds;
using ::testing::AllOf;
using ::testing::HasSubstr;

constexpr std::uint64_t kToken = 99;

RankCard card(Rank rank, const std::string& build = "1.0") {
  return {.rank = rank,
          .host = "h" + std::to_string(rank),
          .pid = 100 + static_cast<std::uint64_t>(rank),
          .loopback = "here",
          .address = "127.0.0.1",
          .problem = {},
          .build = build,
          .configuration = {{"dim", "64"}, {"seed", "1"}}};
}

/// A rank whose end is a value instead of the end of the process.
struct Member {
  std::promise<Ending> promise;
  std::future<Ending> ending = promise.get_future();
  std::unique_ptr<Liveness> liveness;

  LivenessOptions options(milliseconds timeout, std::uint64_t token = kToken) {
    return {.timeout = timeout,
            .token = token,
            .say = [this](const Ending& how) { promise.set_value(how); },
            .leave = [](const Ending&) {}};
  }
  bool ends_within(milliseconds limit) { return ending.wait_for(limit) == std::future_status::ready; }
};

/// Rank 0 and others, all connected.
struct Group {
  explicit Group(int size, milliseconds timeout = milliseconds(400)) : members(static_cast<std::size_t>(size)) {
    for (Rank rank = 0; rank < size; ++rank) roll.push_back(card(rank));
    std::vector<std::jthread> others;
    for (Rank rank = 1; rank < size; ++rank) {
      others.emplace_back([this, rank, timeout] {
        members[rank].liveness = std::make_unique<Liveness>(roll[rank], roll[0], "127.0.0.1", listener.port(),
                                                            members[rank].options(timeout));
      });
    }
    members[0].liveness = std::make_unique<Liveness>(listener, roll, members[0].options(timeout));
  }
  TcpListener listener{"127.0.0.1"};
  std::vector<RankCard> roll;
  std::vector<Member> members;
};

TEST(Liveness, NobodyIsMissedWhileAllBeat) {
  Group group(4, milliseconds(200));
  for (Member& member : group.members) EXPECT_FALSE(member.ends_within(milliseconds(200)));
  for (Member& member : group.members) member.liveness.reset();  // Each takes leave of the others.
}

TEST(Liveness, LeavingInAnyOrderIsNoLoss) {
  Group group(4);
  for (const std::size_t rank : {2U, 0U, 3U, 1U}) group.members[rank].liveness.reset();
  for (Member& member : group.members) EXPECT_FALSE(member.ends_within(milliseconds(1)));
}

TEST(Liveness, HeartbeatsCarryFigures) {
  Group group(3, milliseconds(400));
  EXPECT_TRUE(group.members[0].liveness->figures_of(1).empty());
  for (Rank rank = 0; rank < 3; ++rank) {
    group.members[rank].liveness->share_figures([rank, calls = 0]() mutable {
      return std::vector<double>{100.0 + rank, static_cast<double>(++calls)};
    });
  }
  const auto heard = [&](Rank by, Rank of, double calls) {
    const std::vector<double> figures = group.members[by].liveness->figures_of(of);
    return figures.size() == 2 && figures[0] == 100.0 + of && figures[1] >= calls;
  };
  const auto deadline = std::chrono::steady_clock::now() + milliseconds(3000);
  while (!(heard(0, 1, 3) && heard(0, 2, 3) && heard(1, 0, 3) && heard(2, 0, 3))) {
    ASSERT_LT(std::chrono::steady_clock::now(), deadline);
    std::this_thread::sleep_for(milliseconds(10));
  }
  // Others than rank 0 hear nothing of each other; and who stops sharing is remembered by what it said last.
  EXPECT_TRUE(group.members[1].liveness->figures_of(2).empty());
  group.members[1].liveness->share_figures(nullptr);
  std::this_thread::sleep_for(milliseconds(100));
  const std::vector<double> last = group.members[0].liveness->figures_of(1);
  std::this_thread::sleep_for(milliseconds(200));
  EXPECT_EQ(group.members[0].liveness->figures_of(1), last);
  for (Member& member : group.members) EXPECT_FALSE(member.ends_within(milliseconds(1)));
}

/// Says the words of a rank and then nothing more, or hangs up.
TcpLink pretend_to_be(Rank rank, const TcpListener& listener, std::uint64_t token = kToken) {
  TcpLink link = TcpLink::connect("127.0.0.1", listener.port(), milliseconds(1000));
  link.send(1, std::to_string(token) + " " + std::to_string(rank) + " lo");
  return link;
}

TEST(Liveness, ASilentRankIsNamedAndTheOthersAreTold) {
  TcpListener listener("127.0.0.1");
  const std::vector<RankCard> roll{card(0), card(1), card(2)};
  Member root;
  Member second;
  std::jthread other([&] {
    second.liveness =
        std::make_unique<Liveness>(roll[2], roll[0], "127.0.0.1", listener.port(), second.options(milliseconds(300)));
  });
  const TcpLink silent = pretend_to_be(1, listener);
  root.liveness = std::make_unique<Liveness>(listener, roll, root.options(milliseconds(300)));
  ASSERT_TRUE(root.ends_within(milliseconds(2000)));
  ASSERT_TRUE(second.ends_within(milliseconds(2000)));
  const Ending told = second.ending.get();
  const Ending found = root.ending.get();
  EXPECT_TRUE(found.is_speaker);
  EXPECT_FALSE(told.is_speaker);
  EXPECT_EQ(found.exit_code, kExitLost);
  EXPECT_EQ(told.exit_code, kExitLost);
  EXPECT_THAT(found.message, AllOf(HasSubstr("rank 1 (host h1, pid 101, 127.0.0.1:"), HasSubstr(" on lo) has been "),
                                   HasSubstr("silent for 0.3 s, since "), HasSubstr("rank 0 (host h0, pid 100, ")));
}

TEST(Liveness, AClosedConnectionIsNoticedAtOnce) {
  TcpListener listener("127.0.0.1");
  const std::vector<RankCard> roll{card(0), card(1)};
  Member root;
  auto link = std::make_unique<TcpLink>(pretend_to_be(1, listener));
  root.liveness = std::make_unique<Liveness>(listener, roll, root.options(milliseconds(60'000)));
  link.reset();
  ASSERT_TRUE(root.ends_within(milliseconds(1000)));
  EXPECT_THAT(root.ending.get().message, AllOf(HasSubstr("rank 1 (host h1"), HasSubstr("is gone")));
}

TEST(Liveness, TheFirstToFailEndsTheJobAndRootSpeaks) {
  Group group(3, milliseconds(5000));
  std::jthread failing([&] { group.members[2].liveness->end_job(42, "rank 2: no memory"); });
  for (Member& member : group.members) ASSERT_TRUE(member.ends_within(milliseconds(2000)));
  for (std::size_t rank = 0; rank < 3; ++rank) {
    const Ending ending = group.members[rank].ending.get();
    EXPECT_EQ(ending.exit_code, 42);
    EXPECT_EQ(ending.message, "rank 2: no memory");
    EXPECT_EQ(ending.is_speaker, rank == 0);
  }
}

TEST(Liveness, ARankThatRootDoesNotHearSpeaksForItself) {
  TcpListener listener("127.0.0.1");
  Member other;
  std::jthread deaf([&] {
    std::optional<TcpLink> link;
    while (!(link = listener.accept())) std::this_thread::sleep_for(milliseconds(5));
    link->send(2, "lo");
    std::this_thread::sleep_for(milliseconds(2500));
  });
  other.liveness =
      std::make_unique<Liveness>(card(1), card(0), "127.0.0.1", listener.port(), other.options(milliseconds(60'000)));
  other.liveness->end_job(3, "rank 1: disk full");
  ASSERT_TRUE(other.ends_within(milliseconds(100)));
  const Ending ending = other.ending.get();
  EXPECT_TRUE(ending.is_speaker);
  EXPECT_EQ(ending.message, "rank 1: disk full");
}

TEST(Liveness, WhoDoesNotConnectIsNamed) {
  TcpListener listener("127.0.0.1");
  const std::vector<RankCard> roll{card(0), card(1), card(2)};
  Member root;
  const TcpLink here = pretend_to_be(1, listener);
  const TcpLink stranger = pretend_to_be(2, listener, kToken + 1);
  try {
    const Liveness liveness(listener, roll, root.options(milliseconds(200)));
    FAIL() << "rank 2 never came";
  } catch (const ClusterError& error) {
    EXPECT_THAT(error.what(),
                AllOf(HasSubstr("rank 2 (host h2, pid 102): no connection to port " + std::to_string(listener.port())),
                      HasSubstr("firewall")));
    EXPECT_THAT(error.what(), ::testing::Not(HasSubstr("rank 1")));
  }
}

TEST(Liveness, APortThatNobodyAnswersIsNamed) {
  Member other;
  std::uint16_t port = 0;
  {
    const TcpListener gone("127.0.0.1");
    port = gone.port();
  }
  try {
    const Liveness liveness(card(3), card(0), "127.0.0.1", port, other.options(milliseconds(200)));
    FAIL();
  } catch (const ClusterError& error) {
    EXPECT_THAT(error.what(), AllOf(HasSubstr("rank 3 (host h3, pid 103) can't reach rank 0"),
                                    HasSubstr("127.0.0.1:" + std::to_string(port)), HasSubstr("refused")));
  }
  const TcpListener mute("127.0.0.1");  // Connects, but never says a word.
  try {
    const Liveness liveness(card(3), card(0), "127.0.0.1", mute.port(), other.options(milliseconds(200)));
    FAIL();
  } catch (const ClusterError& error) {
    EXPECT_THAT(error.what(), AllOf(HasSubstr("rank 0 (host h0, pid 100) at 127.0.0.1:"), HasSubstr("did not answer"),
                                    HasSubstr("0.2 s")));
  }
}

TEST(RollCall, CardsAndMeetingsComeThrough) {
  RankCard sent = card(7);
  sent.problem = "12:no: address";
  sent.configuration.emplace_back("output", "a 3:b\n");
  const Meeting meeting{
      .takes_place = true, .token = ~0ULL, .address = "10.0.0.1", .port = 65535, .roll = {card(0), sent}};
  const Meeting back = decode_meeting(encode(meeting));
  EXPECT_TRUE(back.takes_place);
  EXPECT_EQ(back.token, meeting.token);
  EXPECT_EQ(back.port, meeting.port);
  ASSERT_EQ(back.roll.size(), 2U);
  EXPECT_EQ(back.roll[1].rank, 7);
  EXPECT_EQ(back.roll[1].pid, 107U);
  EXPECT_EQ(back.roll[1].problem, sent.problem);
  EXPECT_EQ(back.roll[1].configuration, sent.configuration);
  for (const std::string bad : {"", "3:ab", "x", "99999999999999999999:", "1:a"}) {
    EXPECT_THROW(decode_card(bad), ClusterError) << bad;
  }
}

std::string complaint(const std::vector<RankCard>& roll, bool network_given = false) {
  try {
    check_roll(roll, network_given);
    return "";
  } catch (const ClusterError& error) {
    return error.what();
  }
}

TEST(RollCall, WhoDiffersIsNamed) {
  EXPECT_EQ(complaint({card(0), card(1), card(2)}), "");
  EXPECT_EQ(complaint({card(0), card(1), card(2, "1.1")}),
            "rank 2 (host h2, pid 102) runs 1.1, rank 0 (host h0, pid 100) runs 1.0: every rank needs the same build");
  RankCard other = card(1);
  other.configuration = {{"dim", "128"}, {"seed", "1"}, {"p", ""}};
  EXPECT_EQ(
      complaint({card(0), other}),
      "rank 1 (host h1, pid 101) runs with dim 128, p not given, rank 0 (host h0, pid 100) with dim 64, p unknown: "
      "every rank needs the same options");
  EXPECT_NE(configuration_hash(other), configuration_hash(card(0)));
  EXPECT_NE(configuration_hash(card(0, "2")), configuration_hash(card(0)));
  EXPECT_EQ(configuration_hash(card(5)), configuration_hash(card(0)));
}

TEST(RollCall, AnAddressIsNeededBetweenHostsOnly) {
  RankCard homeless = card(1);
  homeless.problem = "no address on 'ib0'; this host has none";
  EXPECT_EQ(complaint({card(0), homeless}), "");
  EXPECT_EQ(complaint({card(0), homeless}, true), "rank 1 (host h1, pid 101): " + homeless.problem);
  homeless.loopback = "there";
  EXPECT_EQ(complaint({card(0), homeless}), "rank 1 (host h1, pid 101): " + homeless.problem);
}

TEST(TcpLink, CarriesMessagesOfAllSizesInOrder) {
  TcpListener listener("127.0.0.1");
  TcpLink sender = TcpLink::connect("127.0.0.1", listener.port(), milliseconds(1000));
  std::optional<TcpLink> receiver;
  while (!(receiver = listener.accept())) std::this_thread::yield();
  const std::vector<std::size_t> sizes{0, 1, 5000, TcpLink::kMaxText, 3, TcpLink::kMaxText + 9};
  for (const std::size_t size : sizes) sender.send(static_cast<std::uint8_t>(size % 250), std::string(size, 'x'));
  for (const std::size_t size : sizes) {
    std::optional<TcpLink::Message> message;
    while (!(message = receiver->next())) {
      sender.flush();
      receiver->read();
      ASSERT_FALSE(receiver->closed());
    }
    EXPECT_EQ(message->kind, size % 250);
    EXPECT_EQ(message->text.size(), std::min(size, TcpLink::kMaxText)) << "longer ones are cut";
  }
  EXPECT_EQ(receiver->peer_address(), sender.own_address());
}

TEST(Watchdog, BitesOnlyIfItIsNotCalledOff) {
  std::atomic<int> bites{0};
  {
    const Watchdog calm(milliseconds(2000), [&] { ++bites; });
    const Watchdog angry(milliseconds(50), [&] { bites += 10; });
    std::this_thread::sleep_for(milliseconds(400));
  }
  EXPECT_EQ(bites, 10);
}

TEST(PoliteWait, SleepsMoreTheLongerItWaits) {
  PoliteWait wait;
  int pauses = 0;
  while (wait.waited() < milliseconds(300)) {
    wait.pause();
    if (wait.waited() > milliseconds(100)) ++pauses;
  }
  // 200 ms in naps of a millisecond; awake it would be hundreds of thousands.
  EXPECT_LE(pauses, 200);
  EXPECT_GE(pauses, 1);
}

}  // namespace
}  // namespace knotwork::cluster
