#include "partition/split.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <filesystem>
#include <numeric>
#include <span>
#include <stdexcept>
#include <tuple>

#include <nlohmann/json.hpp>

#include "partition/errors.h"
#include "partition/non_edges.h"
#include "partition/random.h"
#include "partition/text_chunks.h"
#include "partition/whole_file.h"

namespace knotwork::partition {

namespace {

constexpr std::uint64_t kEdgesPerChunk = std::uint64_t{1} << 16;

/// Two joined nodes, u < v, and the place in the random order.
struct KeyedPair {
  std::uint64_t key;
  OriginalNode u;
  OriginalNode v;
};

/// Which component a node is in, by original node (union by index with path halving).
class Components {
 public:
  explicit Components(std::size_t nodes) : parent_(nodes) { std::iota(parent_.begin(), parent_.end(), 0U); }
  /// Whether u and v were apart; they no longer are.
  bool join(OriginalNode u, OriginalNode v) {
    u = root_of(u);
    v = root_of(v);
    parent_[std::max(u, v)] = std::min(u, v);
    return u != v;
  }

 private:
  OriginalNode root_of(OriginalNode node) {
    while (parent_[node] != node) node = parent_[node] = parent_[parent_[node]];
    return node;
  }
  std::vector<OriginalNode> parent_;
};

/// Every joined pair once, in the random order of the seed.
std::vector<KeyedPair> shuffled_pairs(const Graph& whole, std::uint64_t seed) {
  std::vector<KeyedPair> pairs;
  pairs.reserve(whole.summary().edge_count());
  for (GlobalNode node = 0; node < whole.row_count(); ++node) {
    const OriginalNode own = whole.original(node);
    for (const GlobalNode target : whole.neighbours(node)) {
      const OriginalNode other = whole.original(target);
      // The lower end speaks for the pair; a higher one only if the lower has no arc to it.
      if (own > other && (!whole.summary().directed || whole.has_arc(target, node))) continue;
      pairs.push_back({.key = 0, .u = std::min(own, other), .v = std::max(own, other)});
    }
  }
#pragma omp parallel for
  for (std::size_t i = 0; i < pairs.size(); ++i) {
    const RandomBlock block = random_block(seed, RandomPurpose::kSplit, pairs[i].u, pairs[i].v, 0);
    pairs[i].key = std::uint64_t{block[0]} << 32 | block[1];
  }
  std::sort(pairs.begin(), pairs.end(), [](const KeyedPair& a, const KeyedPair& b) {
    return std::tie(a.key, a.u, a.v) < std::tie(b.key, b.u, b.v);
  });
  return pairs;
}

/// Appends the edges of a pair: one, or in a directed graph one or both directions.
void append_edges(const Graph& whole, const std::vector<GlobalNode>& global_of, const KeyedPair& pair,
                  std::vector<Edge>& edges) {
  const bool directed = whole.summary().directed;
  if (!directed || whole.has_arc(global_of[pair.u], global_of[pair.v])) {
    edges.push_back({.source = pair.u, .target = pair.v});
  }
  if (directed && whole.has_arc(global_of[pair.v], global_of[pair.u])) {
    edges.push_back({.source = pair.v, .target = pair.u});
  }
}

float weight_of(const Graph& whole, GlobalNode node, GlobalNode target) {
  const std::span<const GlobalNode> list = whole.neighbours(node);
  const auto found = std::lower_bound(list.begin(), list.end(), target, [&whole](GlobalNode held, GlobalNode wanted) {
    return whole.degree_rank(held) < whole.degree_rank(wanted);
  });
  return whole.weights(node)[found - list.begin()];
}

/// Deals the pairs out: forest edges and what is over to train, the first others to test.
void deal_edges(const Graph& whole, const std::vector<GlobalNode>& global_of, EdgeSplit& split) {
  const auto wanted =
      static_cast<std::uint64_t>(std::llround(split.options.test * static_cast<double>(whole.summary().edge_count())));
  Components components(whole.row_count());
  for (const KeyedPair& pair : shuffled_pairs(whole, split.options.seed)) {
    const bool in_forest = components.join(pair.u, pair.v);
    const bool hidden = !in_forest && split.test_positives.size() < wanted;
    append_edges(whole, global_of, pair, hidden ? split.test_positives : split.train);
    split.report.forest_edges += in_forest;
  }
  for (std::vector<Edge>* edges : {&split.train, &split.test_positives}) {
    std::sort(edges->begin(), edges->end(),
              [](const Edge& a, const Edge& b) { return std::tie(a.source, a.target) < std::tie(b.source, b.target); });
  }
  SplitReport& report = split.report;
  report.edge_count = whole.summary().edge_count();
  report.train_edges = split.train.size();
  report.test_edges = split.test_positives.size();
  report.test_fraction = static_cast<double>(report.test_edges) / static_cast<double>(report.edge_count);
  if (report.test_edges >= wanted) return;
  report.notice = "hidden " + std::to_string(report.test_edges) + " of " + std::to_string(report.edge_count) +
                  " edges, not the " + std::to_string(wanted) + " asked for: a spanning forest of " +
                  std::to_string(report.forest_edges) + " edges stays in train";
}

void append_line(const NodeNames& names, const Edge& edge, const float* weight, std::string& text) {
  names.append_name(edge.source, text);
  text += '\t';
  names.append_name(edge.target, text);
  if (weight != nullptr) {
    char digits[32];
    const auto [end, error] = std::to_chars(digits, digits + sizeof(digits), *weight);
    text += '\t';
    text.append(digits, end);
  }
  text += '\n';
}

void write_edges(const std::string& path, std::span<const Edge> edges, std::span<const float> weights,
                 const NodeNames& names) {
  const std::uint64_t chunks = (edges.size() + kEdgesPerChunk - 1) / kEdgesPerChunk;
  write_text_chunks(path, chunks, [&](std::uint64_t chunk, std::string& text) {
    const std::size_t last = std::min<std::size_t>(edges.size(), (chunk + 1) * kEdgesPerChunk);
    for (std::size_t i = chunk * kEdgesPerChunk; i < last; ++i) {
      append_line(names, edges[i], weights.empty() ? nullptr : &weights[i], text);
    }
  });
}

std::string split_json(const EdgeSplit& split) {
  const nlohmann::json json = {{"format", "knotwork link-prediction split"},
                               {"version", 1},
                               {"directed", split.directed},
                               {"weighted", !split.train_weights.empty()},
                               {"seed", split.options.seed},
                               {"test", split.options.test},
                               {"negatives", negative_sampling_name(split.options.negatives)},
                               {"edge_count", split.report.edge_count},
                               {"forest_edges", split.report.forest_edges},
                               {"train_edges", split.train.size()},
                               {"train_negatives", split.train_negatives.size()},
                               {"test_edges", split.test_positives.size()},
                               {"test_negatives", split.test_negatives.size()}};
  return json.dump(2) + "\n";
}

}  // namespace

std::string_view negative_sampling_name(NegativeSampling sampling) {
  return sampling == NegativeSampling::kUniform ? "uniform" : "degree";
}

EdgeSplit split_edges(const Graph& whole, const SplitOptions& options) {
  if (!whole.is_whole()) throw std::invalid_argument("split_edges needs the whole graph");
  if (!(options.test > 0 && options.test < 1)) {
    throw InputError("the fraction of edges to hide is " + std::to_string(options.test) +
                     ", expected above 0 and below 1");
  }
  if (whole.summary().arc_count == 0) throw InputError("the graph has no edges to split");
  std::vector<GlobalNode> global_of(whole.row_count());
  for (GlobalNode node = 0; node < whole.row_count(); ++node) global_of[whole.original(node)] = node;
  EdgeSplit split{.options = options, .directed = whole.summary().directed};
  deal_edges(whole, global_of, split);
  if (whole.summary().weighted) {
    split.train_weights.resize(split.train.size());
#pragma omp parallel for schedule(dynamic, 1024)
    for (std::size_t i = 0; i < split.train.size(); ++i) {
      split.train_weights[i] = weight_of(whole, global_of[split.train[i].source], global_of[split.train[i].target]);
    }
  }
  const std::size_t tests = split.test_positives.size();
  split.test_negatives = draw_non_edges(whole, tests + split.train.size(), options.negatives, options.seed);
  split.train_negatives.assign(split.test_negatives.begin() + static_cast<std::ptrdiff_t>(tests),
                               split.test_negatives.end());
  split.test_negatives.resize(tests);
  return split;
}

void write_split(const EdgeSplit& split, const NodeNames& names, const std::string& folder) {
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  if (error || !std::filesystem::is_directory(folder)) {
    throw InputError(folder + ": cannot be made: " + (error ? error.message() : "it is no folder") +
                     "; expected a folder to write the split into");
  }
  const auto path = [&folder](const char* name) { return (std::filesystem::path(folder) / name).string(); };
  // The description goes first and comes back last: a folder with split.json holds the split that it describes.
  std::filesystem::remove(path("split.json"), error);
  write_edges(path("train.tsv"), split.train, split.train_weights, names);
  write_edges(path("test_pos.tsv"), split.test_positives, {}, names);
  write_edges(path("test_neg.tsv"), split.test_negatives, {}, names);
  write_edges(path("train_neg.tsv"), split.train_negatives, {}, names);
  WholeFile description(path("split.json"));
  description.write(split_json(split));
  description.sync();
  description.publish();
}

}  // namespace knotwork::partition
