// Edit distance against its plain recursive definition, and what a slip of the keyboard is taken for.
#include "jobs/nearest_name.h"

#include <algorithm>
#include <vector>

#include <gtest/gtest.h>

namespace knotwork::jobs {
namespace {

/// Optimal string alignment by its recursion, exponential in time.
std::size_t plain_distance(std::string_view a, std::string_view b) {
  if (a.empty() || b.empty()) return a.size() + b.size();
  std::size_t best = std::min(plain_distance(a.substr(1), b), plain_distance(a, b.substr(1))) + 1;
  best = std::min(best, plain_distance(a.substr(1), b.substr(1)) + (a[0] == b[0] ? 0U : 1U));
  if (a.size() > 1 && b.size() > 1 && a[0] == b[1] && a[1] == b[0])
    best = std::min(best, plain_distance(a.substr(2), b.substr(2)) + 1);
  return best;
}

TEST(EditDistance, EqualsItsRecursiveDefinition) {
  const std::vector<std::string> words = {"",     "a",     "dim",   "dimm",  "mid",  "seed",
                                          "sede", "walks", "wlaks", "abcab", "bacba"};
  for (const std::string& left : words) {
    for (const std::string& right : words) {
      EXPECT_EQ(edit_distance(left, right), plain_distance(left, right)) << left << " / " << right;
    }
  }
}

TEST(NearestName, FindsWhatWasMeant) {
  const std::vector<std::string> known = {"dim", "epochs", "seed", "walks", "partition-method"};
  EXPECT_EQ(nearest_name("dimm", known), "dim");
  EXPECT_EQ(nearest_name("epcohs", known), "epochs");
  EXPECT_EQ(nearest_name("partition", known), "partition-method");
  EXPECT_EQ(did_you_mean("--sed", std::vector<std::string>{"--seed"}), "; did you mean --seed?");
}

TEST(NearestName, SaysNothingIfNothingIsNear) {
  const std::vector<std::string> known = {"dim", "epochs"};
  EXPECT_EQ(nearest_name("zzzzzz", known), "");
  EXPECT_EQ(did_you_mean("zzzzzz", known), "");
}

}  // namespace
}  // namespace knotwork::jobs
