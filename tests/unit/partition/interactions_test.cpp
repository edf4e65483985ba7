// User-item files: two id spaces, duplicates, weights, what is held out, what is refused.
#include "partition/interactions.h"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <map>
#include <set>
#include <string>
#include <utility>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "partition/errors.h"

namespace knotwork::partition {
namespace {

using testing::HasSubstr;

class InteractionFiles : public testing::Test {
 protected:
  std::string write(const std::string& text) {
    const auto* test = testing::UnitTest::GetInstance()->current_test_info();
    path_ = testing::TempDir() + "/knotwork_interactions_" + test->name() + ".tsv";
    std::ofstream(path_) << text;
    return path_;
  }
  void TearDown() override { std::filesystem::remove(path_); }

  static std::map<std::pair<std::string, std::string>, float> pairs_of(const BipartiteGraph& bipartite) {
    std::map<std::pair<std::string, std::string>, float> pairs;
    const OriginalNode users = bipartite.user_count();
    for (GlobalNode node = 0; node < bipartite.graph.row_count(); ++node) {
      if (bipartite.graph.original(node) >= users) continue;
      const auto items = bipartite.graph.neighbours(node);
      for (std::size_t i = 0; i < items.size(); ++i) {
        EXPECT_GE(bipartite.graph.original(items[i]), users);
        pairs[{bipartite.users.name(bipartite.graph.original(node)),
               bipartite.items.name(bipartite.graph.original(items[i]) - users)}] =
            bipartite.graph.summary().weighted ? bipartite.graph.weights(node)[i] : 1;
      }
    }
    return pairs;
  }

  std::string refusal(const std::string& text, ReadOptions options = {}) {
    try {
      read_interactions(write(text), options);
    } catch (const InputError& error) {
      return error.what();
    }
    return "nothing was thrown";
  }

  std::string path_;
};

TEST_F(InteractionFiles, UsersAndItemsOfOneNameAreTwoNodes) {
  const BipartiteGraph bipartite = build_bipartite_graph(read_interactions(write("7 3\n3 3\n3 10\n7 3\n")));
  EXPECT_EQ(bipartite.users.size(), 2U);
  EXPECT_EQ(bipartite.items.size(), 2U);
  EXPECT_EQ(bipartite.report.duplicates_merged, 1U);
  EXPECT_THAT(pairs_of(bipartite),
              testing::ElementsAre(testing::Key(std::pair("3", "10")), testing::Key(std::pair("3", "3")),
                                   testing::Key(std::pair("7", "3"))));
  const NodeNames names = bipartite_names(bipartite.users, bipartite.items);
  EXPECT_EQ(names.size(), 4U);
  EXPECT_EQ(names.name(0), "user:3");
  EXPECT_EQ(names.find("user:7"), 1U);
  EXPECT_EQ(names.find("item:3"), 2U);
  EXPECT_EQ(names.find("item:10"), 3U);
}

TEST_F(InteractionFiles, StringsKeepTheOrderOfFirstAppearanceAndWeightsAddUp) {
  const BipartiteGraph bipartite = build_bipartite_graph(
      read_interactions(write("user,item,weight\nzoe,tea,2\nann,rum,1\nzoe,tea,3\nann,zoe,0.5\nann,x,0\n")));
  EXPECT_TRUE(bipartite.report.header_skipped);
  EXPECT_EQ(bipartite.report.zero_weights_dropped, 1U);
  EXPECT_EQ(bipartite.users.name(0), "zoe");
  EXPECT_EQ(bipartite.users.name(1), "ann");
  // The item zoe stands in a later line, but the name in the first.
  EXPECT_EQ(bipartite.items.name(0), "zoe");
  EXPECT_EQ(bipartite.items.name(1), "tea");
  const auto pairs = pairs_of(bipartite);
  EXPECT_EQ(pairs.at({"zoe", "tea"}), 5);
  EXPECT_EQ(pairs.at({"ann", "zoe"}), 0.5F);
  EXPECT_EQ(pairs.size(), 3U);
}

TEST_F(InteractionFiles, HoldsOutAShareAndLeavesEveryUserAndItemAPair) {
  std::string text;
  for (int user = 0; user < 200; ++user) {
    for (int i = 0; i < 10; ++i) text += std::to_string(user) + " " + std::to_string((user * 7 + i * i) % 90) + " 2\n";
  }
  text += "loner 5 2\n5 lonely 2\n0 0 2\n";
  const auto fresh = [&] { return read_interactions(write(text)); };
  const auto all = pairs_of(build_bipartite_graph(fresh()));
  InteractionList list = fresh();
  const std::vector<Edge> held = hold_out(list, 0.2, 1);
  EXPECT_NEAR(static_cast<double>(held.size()), 0.2 * static_cast<double>(all.size()),
              0.05 * static_cast<double>(all.size()));
  InteractionList again = fresh();
  EXPECT_EQ(hold_out(again, 0.2, 1).size(), held.size());
  std::set<std::pair<std::string, std::string>> names;
  for (const Edge& edge : held) names.emplace(list.users.name(edge.source), list.items.name(edge.target));
  EXPECT_EQ(names.size(), held.size());
  const BipartiteGraph rest = build_bipartite_graph(std::move(list));
  const auto kept = pairs_of(rest);
  EXPECT_EQ(kept.size() + names.size(), all.size());
  for (const auto& [pair, weight] : kept) EXPECT_FALSE(names.contains(pair));
  for (GlobalNode node = 0; node < rest.graph.row_count(); ++node) EXPECT_GT(rest.graph.degree(node), 0U);
  EXPECT_TRUE(rest.graph.summary().weighted);
}

TEST_F(InteractionFiles, RefusesWhatHoldsNoInteraction) {
  EXPECT_THAT(refusal(""), HasSubstr("interactions_RefusesWhatHoldsNoInteraction.tsv"));
  EXPECT_THAT(refusal("1 2 0\n"), HasSubstr("all weights are zero"));
  EXPECT_THAT(refusal("1\n"), HasSubstr(":1: "));
  EXPECT_THAT(refusal("1 2 x\n3 4 y\n"), HasSubstr(":1: "));
  EXPECT_THAT(refusal("%%MatrixMarket matrix coordinate real general\n1 1 1\n1 1 1\n"), HasSubstr("another format"));
}

}  // namespace
}  // namespace knotwork::partition
