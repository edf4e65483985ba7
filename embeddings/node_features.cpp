#include "embeddings/node_features.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <optional>
#include <string_view>
#include <utility>

#include "embeddings/embedding_file.h"
#include "embeddings/line_file.h"
#include "partition/errors.h"

namespace knotwork::embeddings {
namespace {

using partition::InputError;
using partition::OriginalNode;

constexpr std::uint32_t kMostFeatures = 1U << 24;

struct Entry {
  std::uint32_t number;
  float value;
};

/// Rows that come in the file's order, for NodeFeatures in the nodes' order.
class FeatureCollector {
 public:
  explicit FeatureCollector(std::size_t nodes) : begins_(nodes), sizes_(nodes), seen_(nodes) {}

  /// False if the node had a row before. `entries` is sorted.
  bool add(OriginalNode node, const std::vector<Entry>& entries) {
    if (seen_[node]) return false;
    seen_[node] = true;
    begins_[node] = entries_.size();
    sizes_[node] = static_cast<std::uint32_t>(entries.size());
    entries_.insert(entries_.end(), entries.begin(), entries.end());
    return true;
  }

  NodeFeatures finish(std::size_t columns) && {
    std::vector<std::uint64_t> offsets(sizes_.size() + 1);
    std::vector<std::uint32_t> numbers;
    std::vector<float> values;
    numbers.reserve(entries_.size());
    values.reserve(entries_.size());
    for (std::size_t node = 0; node < sizes_.size(); ++node) {
      for (std::uint32_t i = 0; i < sizes_[node]; ++i) {
        numbers.push_back(entries_[begins_[node] + i].number);
        values.push_back(entries_[begins_[node] + i].value);
      }
      offsets[node + 1] = numbers.size();
    }
    return {columns, std::move(offsets), std::move(numbers), std::move(values)};
  }
  std::uint64_t without() const { return static_cast<std::uint64_t>(std::count(seen_.begin(), seen_.end(), false)); }

 private:
  std::vector<std::uint64_t> begins_;
  std::vector<std::uint32_t> sizes_;
  std::vector<bool> seen_;
  std::vector<Entry> entries_;
};

Entry parse_entry(std::string_view text, const LineFile& file) {
  const auto bad = [&] {
    return InputError(file.place() + ": '" + std::string(text) + "'; expected index:value with an index below " +
                      std::to_string(kMostFeatures) + " and a finite value");
  };
  Entry entry{};
  const char* const last = text.data() + text.size();
  const auto [colon, error] = std::from_chars(text.data(), last, entry.number);
  if (error != std::errc() || colon == last || *colon != ':' || entry.number >= kMostFeatures) throw bad();
  const auto [end, value_error] = std::from_chars(colon + 1, last, entry.value);
  if (value_error != std::errc() || end != last || !std::isfinite(entry.value)) throw bad();
  return entry;
}

std::vector<Entry> parse_entries(std::string_view line, const LineFile& file) {
  std::vector<Entry> entries;
  while (!line.empty()) entries.push_back(parse_entry(take_field(line), file));
  std::ranges::sort(entries, {}, &Entry::number);
  const auto twice = std::ranges::adjacent_find(entries, {}, &Entry::number);
  if (twice != entries.end()) {
    throw InputError(file.place() + ": index " + std::to_string(twice->number) + " comes twice; expected it once");
  }
  std::erase_if(entries, [](const Entry& entry) { return entry.value == 0; });
  return entries;
}

NodeFeatures read_sparse(const std::string& path, const partition::NodeNames& names, FeatureReport& report) {
  LineFile file(path);
  FeatureCollector collector(names.size());
  std::size_t columns = 0;
  std::string_view line;
  while (file.next(line)) {
    const std::string_view name = take_field(line);
    const std::vector<Entry> entries = parse_entries(line, file);
    if (!entries.empty()) columns = std::max<std::size_t>(columns, entries.back().number + std::size_t{1});
    const std::optional<OriginalNode> node = names.find(name);
    if (!node) {
      ++report.unknown_nodes;
    } else if (!collector.add(*node, entries)) {
      throw InputError(file.place() + ": node '" + std::string(name) +
                       "' has features already; expected one line a node");
    }
  }
  if (columns == 0) throw InputError(path + ": no features; expected lines of node TAB index:value ...");
  report.nodes_without = collector.without();
  return std::move(collector).finish(columns);
}

NodeFeatures read_dense(const std::string& path, const partition::NodeNames& names, FeatureReport& report) {
  const Embedding embedding = read_embedding(path);
  FeatureCollector collector(names.size());
  std::vector<Entry> entries;
  for (OriginalNode row = 0; row < embedding.rows(); ++row) {
    const std::optional<OriginalNode> node = names.find(embedding.names().name(row));
    if (!node) {
      ++report.unknown_nodes;
      continue;
    }
    entries.clear();
    const std::span<const float> values = embedding.row(row);
    for (std::uint32_t column = 0; column < values.size(); ++column) {
      if (values[column] != 0) entries.push_back({column, values[column]});
    }
    collector.add(*node, entries);
  }
  report.nodes_without = collector.without();
  return std::move(collector).finish(embedding.dim());
}

bool is_embedding_name(const std::string& path) {
  for (const char* ending : {".npy", ".txt", ".bin", ".tsv", ".h5", ".hdf5"}) {
    if (path.ends_with(ending)) return true;
  }
  return false;
}

}  // namespace

NodeFeatures::NodeFeatures(std::size_t columns, std::vector<std::uint64_t> offsets, std::vector<std::uint32_t> numbers,
                           std::vector<float> values)
    : columns_(columns), offsets_(std::move(offsets)), numbers_(std::move(numbers)), values_(std::move(values)) {}

void NodeFeatures::fill(std::size_t row, std::size_t first_column, std::span<float> out) const {
  std::ranges::fill(out, 0.0F);
  const auto begin = numbers_.begin() + static_cast<std::ptrdiff_t>(offsets_[row]);
  const auto end = numbers_.begin() + static_cast<std::ptrdiff_t>(offsets_[row + 1]);
  for (auto at = std::lower_bound(begin, end, first_column); at != end && *at < first_column + out.size(); ++at) {
    out[*at - first_column] = values_[static_cast<std::size_t>(at - numbers_.begin())];
  }
}

NodeFeatures NodeFeatures::select(std::span<const OriginalNode> nodes) const {
  std::vector<std::uint64_t> offsets{0};
  offsets.reserve(nodes.size() + 1);
  for (const OriginalNode node : nodes) offsets.push_back(offsets.back() + offsets_[node + 1] - offsets_[node]);
  std::vector<std::uint32_t> numbers;
  std::vector<float> values;
  numbers.reserve(offsets.back());
  values.reserve(offsets.back());
  for (const OriginalNode node : nodes) {
    for_each(node, [&](std::uint32_t number, float value) {
      numbers.push_back(number);
      values.push_back(value);
    });
  }
  return {columns_, std::move(offsets), std::move(numbers), std::move(values)};
}

std::uint64_t NodeFeatures::bytes() const {
  return offsets_.size() * sizeof(std::uint64_t) + numbers_.size() * (sizeof(std::uint32_t) + sizeof(float));
}

NodeFeatures read_node_features(const std::string& path, const partition::NodeNames& names, FeatureReport& report) {
  report = {};
  NodeFeatures features = is_embedding_name(path) ? read_dense(path, names, report) : read_sparse(path, names, report);
  if (report.nodes_without == names.size()) {
    throw InputError(path + ": has features of none of the graph's nodes; expected the graph's node names");
  }
  return features;
}

}  // namespace knotwork::embeddings
