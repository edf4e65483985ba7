// recall@K and NDCG@K against a plain ranking of all items; who is ranked, and what is refused.
#include "embeddings/ranking.h"

#include <algorithm>
#include <cmath>
#include <random>
#include <set>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "embeddings/embedding.h"
#include "embeddings/ranking_lists.h"
#include "partition/errors.h"
#include "test_folder.h"

namespace knotwork::embeddings {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

constexpr std::size_t kDim = 16;

ItemLists lists_from(const std::vector<std::set<std::uint32_t>>& sets) {
  ItemLists lists;
  for (const auto& set : sets) {
    lists.items.insert(lists.items.end(), set.begin(), set.end());
    lists.offsets.push_back(lists.items.size());
  }
  return lists;
}

/// Sorts all items of each user.
RankingScores oracle(const std::vector<float>& users, const std::vector<float>& items,
                     const std::vector<std::set<std::uint32_t>>& known,
                     const std::vector<std::set<std::uint32_t>>& hidden, const std::vector<std::uint32_t>& unreachable,
                     std::size_t k) {
  RankingScores sums;
  for (std::size_t user = 0; user < hidden.size(); ++user) {
    const std::size_t wanted = hidden[user].size() + unreachable[user];
    if (wanted == 0) continue;
    std::vector<std::pair<double, std::uint32_t>> ranked;
    for (std::uint32_t item = 0; item < items.size() / kDim; ++item) {
      if (known[user].contains(item)) continue;
      double score = 0;
      for (std::size_t c = 0; c < kDim; ++c) {
        score += static_cast<double>(users[user * kDim + c]) * items[item * kDim + c];
      }
      ranked.emplace_back(-score, item);
    }
    std::ranges::sort(ranked);
    double gain = 0;
    double best = 0;
    double found = 0;
    for (std::size_t place = 0; place < k; ++place) {
      if (place < wanted) best += 1 / std::log2(static_cast<double>(place) + 2);
      if (place >= ranked.size() || !hidden[user].contains(ranked[place].second)) continue;
      ++found;
      gain += 1 / std::log2(static_cast<double>(place) + 2);
    }
    sums.recall += found / static_cast<double>(wanted);
    sums.ndcg += gain / best;
    ++sums.users;
  }
  sums.recall /= static_cast<double>(sums.users);
  sums.ndcg /= static_cast<double>(sums.users);
  return sums;
}

TEST(RankItems, IsThatOfAPlainSortForAnyNumberOfThreads) {
  constexpr std::uint32_t kUsers = 130;
  constexpr std::uint32_t kItems = 2200;  // more than the panels that are scored at once
  std::mt19937 random(5);
  // Small whole numbers: scores are exact and many are equal.
  std::vector<float> users(kUsers * kDim);
  std::vector<float> items(kItems * kDim);
  for (float& value : users) value = static_cast<float>(random() % 5) - 2;
  for (float& value : items) value = static_cast<float>(random() % 5) - 2;
  std::vector<std::set<std::uint32_t>> known(kUsers);
  std::vector<std::set<std::uint32_t>> hidden(kUsers);
  std::vector<std::uint32_t> unreachable(kUsers);
  for (std::uint32_t user = 0; user < kUsers; ++user) {
    for (std::uint32_t i = 0; i < random() % 40; ++i) known[user].insert(static_cast<std::uint32_t>(random() % kItems));
    for (std::uint32_t i = 0; i < random() % 30; ++i) {
      const auto item = static_cast<std::uint32_t>(random() % kItems);
      if (!known[user].contains(item)) hidden[user].insert(item);
    }
    if (user % 10 == 0) unreachable[user] = 2;
  }
  const ItemLists known_lists = lists_from(known);
  const ItemLists hidden_lists = lists_from(hidden);
  for (const std::size_t k : {1U, 20U, 300U, 5000U}) {
    const RankingScores expected = oracle(users, items, known, hidden, unreachable, k);
    for (const unsigned threads : {1U, 3U}) {
      const RankingScores scores = rank_items({.dim = kDim,
                                               .users = users,
                                               .items = items,
                                               .known = &known_lists,
                                               .hidden = &hidden_lists,
                                               .unreachable = unreachable,
                                               .k = k},
                                              threads);
      EXPECT_EQ(scores.users, expected.users);
      EXPECT_NEAR(scores.recall, expected.recall, 1e-12) << k;
      EXPECT_NEAR(scores.ndcg, expected.ndcg, 1e-12) << k;
    }
  }
}

class RankingFiles : public testing::Test {
 protected:
  TestFolder folder_;
};

TEST_F(RankingFiles, MatchPrefixedNamesAndCountWhatHasNoVector) {
  const auto names = names_of({"user:a", "user:b", "item:a", "item:b", "item:c"});
  const std::string train = folder_.write("train.tsv", "a\ta\na\tb\nb\tb\n");
  // z has no vector, q neither; (a, b) is known; (b, a) comes twice.
  const std::string test = folder_.write("test.tsv", "a\tc\na\tb\nb\ta\nb\ta\nz\ta\nb\tq\n");
  const RankingLists lists = read_ranking_lists(train, test, names);
  EXPECT_THAT(lists.users, ElementsAre(0, 1));
  EXPECT_THAT(lists.items, ElementsAre(2, 3, 4));
  EXPECT_THAT(lists.known.of(0), ElementsAre(0, 1));
  EXPECT_THAT(lists.known.of(1), ElementsAre(1));
  EXPECT_THAT(lists.hidden.of(0), ElementsAre(2));
  EXPECT_THAT(lists.hidden.of(1), ElementsAre(0));
  EXPECT_THAT(lists.unreachable, ElementsAre(0, 1));
  EXPECT_EQ(lists.lines_without_user, 1U);
  EXPECT_EQ(lists.lines_without_item, 1U);
  EXPECT_EQ(lists.lines_known, 1U);

  Embedding embedding(names, 2);
  const std::vector<float> values = {1, 0, 0, 1, 0, 5, 0, 1, 2, 0};
  std::ranges::copy(values, embedding.values().begin());
  const RankingScores scores = rank_embedding(embedding, lists, RankScore::kDot, 1, 2);
  EXPECT_EQ(scores.users, 2U);
  EXPECT_DOUBLE_EQ(scores.recall, (1 + 0.5) / 2);
  EXPECT_DOUBLE_EQ(scores.ndcg, 1);
}

TEST_F(RankingFiles, TakePlainNamesIfNoneStandsInBothColumns) {
  const auto names = names_of({"ann", "tea", "bob", "rum", "unseen"});
  const std::string train = folder_.write("train.tsv", "ann tea\nbob rum\n");
  const std::string test = folder_.write("test.tsv", "ann rum\n");
  const RankingLists lists = read_ranking_lists(train, test, names);
  EXPECT_THAT(lists.users, ElementsAre(0));
  EXPECT_THAT(lists.items, ElementsAre(1, 3));
  const std::string both = folder_.write("both.tsv", "tea ann\n");
  EXPECT_THAT(message_of<partition::InputError>([&] { read_ranking_lists(train, both, names); }),
              HasSubstr("of a user and of an item"));
}

TEST_F(RankingFiles, RefuseWhatLeavesNothingToFind) {
  const auto names = names_of({"user:1", "item:1"});
  const std::string train = folder_.write("train.tsv", "1 1\n");
  EXPECT_THAT(message_of<partition::InputError>([&] { read_ranking_lists(train, train, names); }),
              HasSubstr("no test line"));
  const std::string empty = folder_.write("empty.tsv", "");
  EXPECT_THAT(message_of<partition::InputError>([&] { read_ranking_lists(train, empty, names); }),
              HasSubstr("empty.tsv"));
}

TEST_F(RankingFiles, CosineForgetsLengths) {
  const auto names = names_of({"user:1", "item:1", "item:2"});
  const std::string train = folder_.write("train.tsv", "9 9\n");
  const std::string test = folder_.write("test.tsv", "1 2\n");
  const RankingLists lists = read_ranking_lists(train, test, names);
  Embedding embedding(names, 2);
  const std::vector<float> values = {1, 0, 10, 10, 1, 0};
  std::ranges::copy(values, embedding.values().begin());
  EXPECT_EQ(rank_embedding(embedding, lists, RankScore::kDot, 1, 1).recall, 0);
  EXPECT_EQ(rank_embedding(embedding, lists, RankScore::kCosine, 1, 1).recall, 1);
}

}  // namespace
}  // namespace knotwork::embeddings
