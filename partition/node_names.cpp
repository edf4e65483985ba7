// Names by kind: counted (no memory), integers (sorted: found by binary search), strings (found through an open
// addressing table of 4 bytes an entry that is built once).
#include "partition/node_names.h"

#include <algorithm>
#include <bit>
#include <charconv>
#include <functional>
#include <limits>
#include <stdexcept>
#include <utility>

namespace knotwork::partition {

struct NodeNames::Storage {
  enum class Kind { kCounted, kIntegers, kStrings };

  Kind kind = Kind::kCounted;
  std::size_t count = 0;
  std::vector<std::uint64_t> integers;
  std::string bytes;
  std::vector<std::uint64_t> ends;
  /// Power-of-two table of original nodes, linear probing, kInvalidNode for a free place.
  std::vector<OriginalNode> table;

  std::string_view string_at(std::size_t node) const {
    const std::uint64_t begin = node == 0 ? 0 : ends[node - 1];
    return std::string_view(bytes).substr(begin, ends[node] - begin);
  }

  std::uint64_t integer_at(std::size_t node) const { return kind == Kind::kCounted ? node : integers[node]; }

  std::size_t first_place(std::string_view name) const {
    return std::hash<std::string_view>{}(name) & (table.size() - 1);
  }

  void build_table() {
    table.assign(std::bit_ceil(count + count / 2 + 2), kInvalidNode);
    for (std::size_t node = 0; node < count; ++node) {
      std::size_t place = first_place(string_at(node));
      while (table[place] != kInvalidNode) place = (place + 1) & (table.size() - 1);
      table[place] = static_cast<OriginalNode>(node);
    }
  }
};

namespace {

// The canonical form only: "07" and "+7" are not the name 7.
std::optional<std::uint64_t> canonical_integer(std::string_view text) {
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  const bool canonical =
      error == std::errc() && end == text.data() + text.size() && (text.size() == 1 || text[0] != '0');
  return canonical ? std::optional(value) : std::nullopt;
}

// Levenshtein distance, or any value above `limit` once it is certain to exceed it.
std::size_t edit_distance(std::string_view a, std::string_view b, std::size_t limit, std::vector<std::size_t>& row) {
  const std::size_t gap = a.size() > b.size() ? a.size() - b.size() : b.size() - a.size();
  if (gap > limit) return gap;
  row.resize(b.size() + 1);
  for (std::size_t j = 0; j <= b.size(); ++j) row[j] = j;
  for (std::size_t i = 1; i <= a.size(); ++i) {
    std::size_t diagonal = std::exchange(row[0], i);
    std::size_t lowest = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t substituted = diagonal + (a[i - 1] == b[j - 1] ? 0 : 1);
      diagonal = row[j];
      row[j] = std::min({substituted, row[j] + 1, row[j - 1] + 1});
      lowest = std::min(lowest, row[j]);
    }
    if (lowest > limit) return lowest;
  }
  return row[b.size()];
}

}  // namespace

NodeNames NodeNames::counted(OriginalNode count) {
  auto storage = std::make_shared<Storage>();
  storage->count = count;
  NodeNames names;
  names.storage_ = std::move(storage);
  return names;
}

NodeNames NodeNames::from_integers(std::vector<std::uint64_t> ids) {
  if (std::adjacent_find(ids.begin(), ids.end(), std::greater_equal<>()) != ids.end()) {
    throw std::invalid_argument("integer names must rise");
  }
  if (ids.empty() || ids.back() == ids.size() - 1) return counted(static_cast<OriginalNode>(ids.size()));
  auto storage = std::make_shared<Storage>();
  storage->kind = Storage::Kind::kIntegers;
  storage->count = ids.size();
  storage->integers = std::move(ids);
  NodeNames names;
  names.storage_ = std::move(storage);
  return names;
}

NodeNames NodeNames::from_strings(std::string bytes, std::vector<std::uint64_t> ends) {
  std::uint64_t begin = 0;
  for (const std::uint64_t end : ends) {
    if (end <= begin || end > bytes.size()) throw std::invalid_argument("string names must not be empty");
    begin = end;
  }
  auto storage = std::make_shared<Storage>();
  storage->kind = Storage::Kind::kStrings;
  storage->count = ends.size();
  storage->bytes = std::move(bytes);
  storage->ends = std::move(ends);
  storage->build_table();
  NodeNames names;
  names.storage_ = std::move(storage);
  return names;
}

std::size_t NodeNames::size() const {
  return storage_ == nullptr ? 0 : storage_->count;
}

bool NodeNames::are_integers() const {
  return storage_ == nullptr || storage_->kind != Storage::Kind::kStrings;
}

std::string NodeNames::name(OriginalNode node) const {
  std::string text;
  append_name(node, text);
  return text;
}

void NodeNames::append_name(OriginalNode node, std::string& out) const {
  if (node >= size()) throw std::out_of_range("no such original node");
  if (storage_->kind == Storage::Kind::kStrings) {
    out += storage_->string_at(node);
    return;
  }
  char digits[20];
  const auto end = std::to_chars(digits, digits + sizeof(digits), storage_->integer_at(node)).ptr;
  out.append(digits, end);
}

std::optional<OriginalNode> NodeNames::find(std::string_view name) const {
  if (size() == 0) return std::nullopt;
  if (storage_->kind == Storage::Kind::kStrings) {
    const std::vector<OriginalNode>& table = storage_->table;
    for (std::size_t place = storage_->first_place(name); table[place] != kInvalidNode;
         place = (place + 1) & (table.size() - 1)) {
      if (storage_->string_at(table[place]) == name) return table[place];
    }
    return std::nullopt;
  }
  const std::optional<std::uint64_t> wanted = canonical_integer(name);
  if (!wanted) return std::nullopt;
  if (storage_->kind == Storage::Kind::kCounted) {
    return *wanted < storage_->count ? std::optional(static_cast<OriginalNode>(*wanted)) : std::nullopt;
  }
  const auto found = std::lower_bound(storage_->integers.begin(), storage_->integers.end(), *wanted);
  if (found == storage_->integers.end() || *found != *wanted) return std::nullopt;
  return static_cast<OriginalNode>(found - storage_->integers.begin());
}

std::vector<std::string> NodeNames::nearest(std::string_view wanted, std::size_t count) const {
  using Found = std::pair<std::size_t, OriginalNode>;
  std::vector<Found> best;  // sorted by (distance, node)
  std::vector<std::size_t> row;
  std::string text;
  for (std::size_t node = 0; node < size() && count > 0; ++node) {
    text.clear();
    append_name(static_cast<OriginalNode>(node), text);
    const std::size_t limit = best.size() < count ? std::numeric_limits<std::size_t>::max() : best.back().first;
    const Found found{edit_distance(wanted, text, limit, row), static_cast<OriginalNode>(node)};
    if (best.size() == count && found.first >= limit) continue;
    if (best.size() == count) best.pop_back();
    best.insert(std::upper_bound(best.begin(), best.end(), found), found);
  }
  std::vector<std::string> names;
  names.reserve(best.size());
  for (const Found& found : best) names.push_back(name(found.second));
  return names;
}

}  // namespace knotwork::partition
