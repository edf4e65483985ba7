// From files of interactions to what is ranked: which rows are users, which are items, what each user has already, and
// what was hidden.
//
// Rows of a user and of an item may bear the same name in the files. Embeddings of user-item graphs (partition/
// interactions.h) call them "user:NAME" and "item:NAME"; in others, where names are as in the files, no name may stand
// in both columns.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "embeddings/embedding.h"
#include "embeddings/ranking.h"
#include "partition/ids.h"
#include "partition/interactions.h"
#include "partition/node_names.h"

namespace knotwork::embeddings {

/// A line of a file as rows; kInvalidNode: has no row.
struct InteractionRows {
  partition::OriginalNode user;
  partition::OriginalNode item;
};

/// The distinct lines of `list` as rows of an embedding with these names.
std::vector<InteractionRows> rows_of(const partition::InteractionList& list, const partition::NodeNames& names);

/// Everything by place in `users` and `items`.
struct RankingLists {
  /// Rows of users with something hidden, and of all items, rising.
  std::vector<partition::OriginalNode> users;
  std::vector<partition::OriginalNode> items;
  ItemLists known;
  ItemLists hidden;
  /// Hidden items of each user that have no row.
  std::vector<std::uint32_t> unreachable;
  /// Distinct users without a row can't be judged and are left out; this counts their hidden lines.
  std::uint64_t lines_without_user = 0;
  /// Hidden lines whose item has no row: counted as never found.
  std::uint64_t lines_without_item = 0;
  /// Hidden lines that the user has already: left out.
  std::uint64_t lines_known = 0;
};

/// `items`: rows of all items, rising. Throws InputError if nothing is left to be found, or a row is user and item.
RankingLists make_ranking_lists(std::span<const InteractionRows> known, std::span<const InteractionRows> hidden,
                                std::vector<partition::OriginalNode> items);

/// Rows that are items: those called "item:...", or, without such names, those that stand as items in `lists`.
std::vector<partition::OriginalNode> item_rows(const partition::NodeNames& names,
                                               std::span<const std::span<const InteractionRows>> lists);

/// Reads both files and matches them with the rows of `names`. Throws InputError as read_interactions and
/// make_ranking_lists.
RankingLists read_ranking_lists(const std::string& train, const std::string& test, const partition::NodeNames& names);

enum class RankScore : std::uint8_t { kDot, kCosine };

/// row(node): `dim` floats.
template <typename RowOf>
std::vector<float> padded_rows(std::span<const partition::OriginalNode> nodes, std::size_t dim, std::size_t stride,
                               RowOf row) {
  std::vector<float> rows(nodes.size() * stride);
  for (std::size_t i = 0; i < nodes.size(); ++i) {
    const std::span<const float> from = row(nodes[i]);
    for (std::size_t k = 0; k < dim; ++k) rows[i * stride + k] = from[k];
  }
  return rows;
}

/// Ranks `lists` by the vectors of `embedding`. Throws InputError if a value is too large to be judged.
RankingScores rank_embedding(const Embedding& embedding, const RankingLists& lists, RankScore score, std::size_t k,
                             unsigned threads);

}  // namespace knotwork::embeddings
