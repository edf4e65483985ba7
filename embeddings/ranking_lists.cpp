#include "embeddings/ranking_lists.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <utility>

#include "embeddings/row_table.h"
#include "partition/errors.h"

namespace knotwork::embeddings {

using partition::InputError;
using partition::kInvalidNode;
using partition::OriginalNode;

namespace {

bool has_prefixes(const partition::NodeNames& names) {
  if (names.size() == 0 || names.are_integers()) return false;
  const std::string first = names.name(0);
  return first.starts_with(partition::kUserPrefix) || first.starts_with(partition::kItemPrefix);
}

std::vector<OriginalNode> matched(const partition::NodeNames& column, const char* prefix,
                                  const partition::NodeNames& names) {
  const bool prefixed = has_prefixes(names);
  std::vector<OriginalNode> rows(column.size());
  for (OriginalNode i = 0; i < column.size(); ++i) {
    rows[i] = names.find(prefixed ? prefix + column.name(i) : column.name(i)).value_or(kInvalidNode);
  }
  return rows;
}

/// Place of each of `rows` (rising) by row; kInvalidNode for other rows.
class Places {
 public:
  explicit Places(std::span<const OriginalNode> rows) : places_(rows.empty() ? 0 : rows.back() + 1, kInvalidNode) {
    for (std::size_t i = 0; i < rows.size(); ++i) places_[rows[i]] = static_cast<OriginalNode>(i);
  }
  OriginalNode of(OriginalNode row) const { return row < places_.size() ? places_[row] : kInvalidNode; }

 private:
  std::vector<OriginalNode> places_;
};

using PlacePair = std::pair<OriginalNode, OriginalNode>;

ItemLists lists_of(std::vector<PlacePair> pairs, std::size_t users) {
  std::ranges::sort(pairs);
  pairs.erase(std::unique(pairs.begin(), pairs.end()), pairs.end());
  ItemLists lists;
  lists.offsets.assign(users + 1, 0);
  for (const auto& [user, item] : pairs) {
    ++lists.offsets[user + 1];
    lists.items.push_back(item);
  }
  for (std::size_t user = 0; user < users; ++user) lists.offsets[user + 1] += lists.offsets[user];
  return lists;
}

bool contains(const ItemLists& lists, OriginalNode user, OriginalNode item) {
  const auto items = lists.of(user);
  return std::binary_search(items.begin(), items.end(), item);
}

void require_two_kinds(std::span<const InteractionRows> known, std::span<const InteractionRows> hidden,
                       const Places& items) {
  for (const auto list : {known, hidden}) {
    for (const InteractionRows& line : list) {
      if (line.user != kInvalidNode && items.of(line.user) != kInvalidNode) {
        throw InputError("vector number " + std::to_string(line.user) +
                         " is that of a user and of an item: found the same names in both columns, expected vectors "
                         "called user:NAME and item:NAME, as embed --method lightgcn writes them");
      }
    }
  }
}

}  // namespace

std::vector<InteractionRows> rows_of(const partition::InteractionList& list, const partition::NodeNames& names) {
  std::vector<PlacePair> lines;
  for (const partition::EdgeChunk& chunk : list.pairs.chunks) {
    for (const partition::Edge& edge : chunk.edges) lines.emplace_back(edge.source, edge.target);
  }
  std::ranges::sort(lines);
  lines.erase(std::unique(lines.begin(), lines.end()), lines.end());
  const std::vector<OriginalNode> users = matched(list.users, partition::kUserPrefix, names);
  const std::vector<OriginalNode> items = matched(list.items, partition::kItemPrefix, names);
  std::vector<InteractionRows> rows;
  rows.reserve(lines.size());
  for (const auto& [user, item] : lines) rows.push_back({users[user], items[item]});
  return rows;
}

RankingLists make_ranking_lists(std::span<const InteractionRows> known, std::span<const InteractionRows> hidden,
                                std::vector<OriginalNode> items) {
  RankingLists lists;
  lists.items = std::move(items);
  const Places item_places(lists.items);
  require_two_kinds(known, hidden, item_places);
  for (const InteractionRows& line : hidden) {
    if (line.user == kInvalidNode) ++lists.lines_without_user;
    if (line.user != kInvalidNode) lists.users.push_back(line.user);
  }
  std::ranges::sort(lists.users);
  lists.users.erase(std::unique(lists.users.begin(), lists.users.end()), lists.users.end());
  const Places user_places(lists.users);

  std::vector<PlacePair> pairs;
  for (const InteractionRows& line : known) {
    const PlacePair pair{user_places.of(line.user), item_places.of(line.item)};
    if (pair.first != kInvalidNode && pair.second != kInvalidNode) pairs.push_back(pair);
  }
  lists.known = lists_of(std::move(pairs), lists.users.size());
  pairs.clear();
  lists.unreachable.assign(lists.users.size(), 0);
  for (const InteractionRows& line : hidden) {
    const PlacePair pair{user_places.of(line.user), item_places.of(line.item)};
    if (pair.first == kInvalidNode) continue;
    if (pair.second == kInvalidNode) {
      ++lists.unreachable[pair.first];
      ++lists.lines_without_item;
    } else if (contains(lists.known, pair.first, pair.second)) {
      ++lists.lines_known;
    } else {
      pairs.push_back(pair);
    }
  }
  if (pairs.empty())
    throw InputError("found no test line of a user and an item with vectors that training did not have");
  lists.hidden = lists_of(std::move(pairs), lists.users.size());
  return lists;
}

std::vector<OriginalNode> item_rows(const partition::NodeNames& names,
                                    std::span<const std::span<const InteractionRows>> lists) {
  std::vector<OriginalNode> rows;
  if (has_prefixes(names)) {
    for (OriginalNode row = 0; row < names.size(); ++row) {
      if (names.name(row).starts_with(partition::kItemPrefix)) rows.push_back(row);
    }
    return rows;
  }
  for (const auto list : lists) {
    for (const InteractionRows& line : list) {
      if (line.item != kInvalidNode) rows.push_back(line.item);
    }
  }
  std::ranges::sort(rows);
  rows.erase(std::unique(rows.begin(), rows.end()), rows.end());
  return rows;
}

RankingLists read_ranking_lists(const std::string& train, const std::string& test, const partition::NodeNames& names) {
  partition::ReadOptions read;
  read.weights = partition::WeightColumn::kIgnore;
  const std::vector<InteractionRows> known = rows_of(partition::read_interactions(train, read), names);
  const std::vector<InteractionRows> hidden = rows_of(partition::read_interactions(test, read), names);
  const std::array<std::span<const InteractionRows>, 2> both{known, hidden};
  return make_ranking_lists(known, hidden, item_rows(names, both));
}

RankingScores rank_embedding(const Embedding& embedding, const RankingLists& lists, RankScore score, std::size_t k,
                             unsigned threads) {
  require_judgeable(embedding);
  const std::size_t stride = row_stride(embedding.dim());
  const auto row = [&](OriginalNode node) { return embedding.row(node); };
  const std::vector<float> users = padded_rows(lists.users, embedding.dim(), stride, row);
  std::vector<float> items = padded_rows(lists.items, embedding.dim(), stride, row);
  // A user's own length does not change the order of items.
  for (std::size_t i = 0; score == RankScore::kCosine && i < lists.items.size(); ++i) {
    const auto values = std::span(items).subspan(i * stride, stride);
    double square = 0;
    for (const float value : values) square += static_cast<double>(value) * value;
    if (square == 0) continue;
    for (float& value : values) value = static_cast<float>(value / std::sqrt(square));
  }
  return rank_items({.dim = stride,
                     .users = users,
                     .items = items,
                     .known = &lists.known,
                     .hidden = &lists.hidden,
                     .unreachable = lists.unreachable,
                     .k = k},
                    threads);
}

}  // namespace knotwork::embeddings
