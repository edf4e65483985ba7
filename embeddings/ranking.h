// Recommendation: does a user's list of best items hold those that were hidden?
//
// All-ranking protocol (Wang, He, Wang, Feng, Chua: "Neural graph collaborative filtering", SIGIR 2019, section 4.2.1,
// and LightGCN after it): every item is scored for every user by the dot product; items that the user has in the
// training part are left out; the K best are compared with the user's test items T.
//
//   recall@K  =  |best K and T| / |T|
//   ndcg@K    =  (sum over places p = 1 .. K that hold an item of T, of 1 / log2(p + 1))
//                / (sum over p = 1 .. min(K, |T|), of 1 / log2(p + 1))
//
// Both are means over the users with a test item. Equal scores are ranked in the order of items.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace knotwork::embeddings {

/// Items of each user: items[offsets[u] .. offsets[u + 1]), rising, none twice.
struct ItemLists {
  std::vector<std::uint64_t> offsets{0};
  std::vector<std::uint32_t> items;

  std::size_t user_count() const { return offsets.size() - 1; }
  std::span<const std::uint32_t> of(std::size_t user) const {
    return std::span(items).subspan(offsets[user], offsets[user + 1] - offsets[user]);
  }
};

struct RankingTask {
  /// Floats of a row: a multiple of 16 (fill with zeros).
  std::size_t dim = 0;
  /// Rows without gaps, as many users as `known` and `hidden` have.
  std::span<const float> users;
  std::span<const float> items;
  /// What the user has already, below items.size() / dim.
  const ItemLists* known = nullptr;
  /// What is to be found.
  const ItemLists* hidden = nullptr;
  /// Hidden items of each user that have no row, and so are never found: they count in |T|. Empty: none.
  std::span<const std::uint32_t> unreachable;
  std::size_t k = 20;
};

struct RankingScores {
  double recall = 0;
  double ndcg = 0;
  /// Users with a hidden item: what the means are over.
  std::uint64_t users = 0;
};

/// Scores all users with a hidden item by `threads` threads. The result does not depend on their number. Values must be
/// finite. REQUIRES: k > 0.
RankingScores rank_items(const RankingTask& task, unsigned threads);

}  // namespace knotwork::embeddings
