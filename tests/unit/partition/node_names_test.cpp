#include "partition/node_names.h"

#include <stdexcept>

#include <gtest/gtest.h>

namespace knotwork::partition {
namespace {

TEST(NodeNamesTest, counted_names_are_their_own_numbers) {
  const NodeNames names = NodeNames::counted(12);
  EXPECT_EQ(names.size(), 12U);
  EXPECT_TRUE(names.are_integers());
  EXPECT_EQ(names.name(11), "11");
  EXPECT_EQ(names.find("7"), 7U);
  EXPECT_EQ(names.find("0"), 0U);
  for (const char* absent : {"12", "07", "+7", "7 ", "", "x", "99999999999999999999999"}) {
    EXPECT_EQ(names.find(absent), std::nullopt) << absent;
  }
}

TEST(NodeNamesTest, integers_may_be_of_any_size) {
  const NodeNames names = NodeNames::from_integers({3, 70000000000, 18446744073709551615U});
  EXPECT_EQ(names.name(2), "18446744073709551615");
  EXPECT_EQ(names.find("70000000000"), 1U);
  EXPECT_EQ(names.find("4"), std::nullopt);
  EXPECT_EQ(names.find("18446744073709551614"), std::nullopt);
  EXPECT_THROW(NodeNames::from_integers({3, 3}), std::invalid_argument);
}

TEST(NodeNamesTest, strings_are_found_and_appended) {
  const NodeNames names = NodeNames::from_strings("nginxzsh07", {5, 8, 10});
  EXPECT_FALSE(names.are_integers());
  EXPECT_EQ(names.size(), 3U);
  std::string text = "<";
  names.append_name(1, text);
  EXPECT_EQ(text, "<zsh");
  for (OriginalNode node = 0; node < names.size(); ++node) EXPECT_EQ(names.find(names.name(node)), node);
  EXPECT_EQ(names.find("nginxzsh"), std::nullopt);
  EXPECT_EQ(names.find(""), std::nullopt);
  EXPECT_THROW(names.name(3), std::out_of_range);
  EXPECT_THROW(NodeNames::from_strings("ab", {1, 1}), std::invalid_argument);
  EXPECT_THROW(NodeNames::from_strings("ab", {3}), std::invalid_argument);
}

TEST(NodeNamesTest, nearest_names_come_best_first) {
  const NodeNames names = NodeNames::from_strings("nginxnginx-fullzshngins", {5, 15, 18, 23});
  EXPECT_EQ(names.nearest("ngnx", 2), (std::vector<std::string>{"nginx", "ngins"}));
  EXPECT_EQ(names.nearest("zsh", 1), (std::vector<std::string>{"zsh"}));
  EXPECT_EQ(names.nearest("nginx", 9).size(), 4U);
  EXPECT_TRUE(names.nearest("nginx", 0).empty());
  EXPECT_TRUE(NodeNames().nearest("nginx", 3).empty());
}

}  // namespace
}  // namespace knotwork::partition
