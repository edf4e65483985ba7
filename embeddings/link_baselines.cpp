// Sorted neighbour lists of the train edges; common neighbours by merging or, for lists of very different lengths, by
// searching the longer one.
#include "embeddings/link_baselines.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <stdexcept>
#include <utility>

#include "partition/random.h"

namespace knotwork::embeddings {
namespace {

using partition::OriginalNode;

/// Above this ratio of lengths a search in the longer list beats a merge.
constexpr std::size_t kSearchRatio = 16;

/// Calls `visit` with each node that is in both sorted lists.
template <typename Visit>
void for_each_common(std::span<const OriginalNode> shorter, std::span<const OriginalNode> longer, Visit visit) {
  if (shorter.size() > longer.size()) std::swap(shorter, longer);
  if (longer.size() > kSearchRatio * shorter.size()) {
    for (const OriginalNode node : shorter) {
      const auto found = std::ranges::lower_bound(longer, node);
      if (found != longer.end() && *found == node) visit(node);
      longer = longer.subspan(static_cast<std::size_t>(found - longer.begin()));
    }
    return;
  }
  std::size_t i = 0;
  std::size_t j = 0;
  while (i < shorter.size() && j < longer.size()) {
    const OriginalNode a = shorter[i];
    const OriginalNode b = longer[j];
    if (a == b) visit(a);
    i += a <= b ? 1 : 0;
    j += b <= a ? 1 : 0;
  }
}

float score_pair(const TrainNeighbours& neighbours, const NodePair& pair, LinkBaseline baseline) {
  if (baseline == LinkBaseline::kDegreeProduct) {
    return static_cast<float>(neighbours.degree(pair.source)) * static_cast<float>(neighbours.degree(pair.target));
  }
  double sum = 0;
  for_each_common(neighbours.of(pair.source), neighbours.of(pair.target), [&](OriginalNode node) {
    // A common neighbour has degree 2 or more unless the pair is one node with itself; its own neighbours then count 0.
    const auto degree = static_cast<double>(neighbours.degree(node));
    if (baseline == LinkBaseline::kCommonNeighbours) {
      sum += 1;
    } else if (degree > 1) {
      sum += 1 / std::log(degree);
    }
  });
  return static_cast<float>(sum);
}

/// Four columns a Philox block, uniform in [-0.5, 0.5).
Embedding random_vectors(const Embedding& like, std::uint64_t seed) {
  Embedding random(like.names(), like.dim());
#pragma omp parallel for schedule(static)
  for (std::size_t node = 0; node < random.rows(); ++node) {
    const auto original = static_cast<OriginalNode>(node);
    std::span<float> row = random.row(original);
    for (std::size_t column = 0; column < row.size(); ++column) {
      const auto block = random_block(seed, partition::RandomPurpose::kEvaluate, original, 0,
                                      static_cast<std::uint32_t>(column / 4), 1);
      row[column] = partition::unit_float(block[column % 4]) - 0.5F;
    }
  }
  return random;
}

}  // namespace

std::string link_baseline_name(LinkBaseline baseline) {
  switch (baseline) {
    case LinkBaseline::kDegreeProduct:
      return "degree-product";
    case LinkBaseline::kCommonNeighbours:
      return "common-neighbours";
    case LinkBaseline::kAdamicAdar:
      return "adamic-adar";
    case LinkBaseline::kRandomVectors:
      return "random-vectors";
  }
  throw std::invalid_argument("link_baseline_name: no such baseline");
}

TrainNeighbours::TrainNeighbours(std::span<const NodePair> edges, std::size_t node_count)
    : offsets_(node_count + 1, 0) {
  for (const NodePair& edge : edges) {
    if (edge.source == edge.target) continue;
    ++offsets_[edge.source + 1];
    ++offsets_[edge.target + 1];
  }
  for (std::size_t node = 0; node < node_count; ++node) offsets_[node + 1] += offsets_[node];
  std::vector<OriginalNode> filled(offsets_[node_count]);
  std::vector<std::uint64_t> cursor(offsets_.begin(), offsets_.end() - 1);
  for (const NodePair& edge : edges) {
    if (edge.source == edge.target) continue;
    filled[cursor[edge.source]++] = edge.target;
    filled[cursor[edge.target]++] = edge.source;
  }
  targets_.reserve(filled.size());
  std::uint64_t begin = 0;
  for (std::size_t node = 0; node < node_count; ++node) {
    const auto first = filled.begin() + static_cast<std::ptrdiff_t>(begin);
    begin = offsets_[node + 1];
    const auto last = filled.begin() + static_cast<std::ptrdiff_t>(begin);
    std::sort(first, last);
    targets_.insert(targets_.end(), first, std::unique(first, last));
    offsets_[node + 1] = targets_.size();
  }
}

std::vector<float> baseline_scores(const TrainNeighbours& neighbours, std::span<const NodePair> pairs,
                                   LinkBaseline baseline) {
  if (baseline == LinkBaseline::kRandomVectors) {
    throw std::invalid_argument("baseline_scores: random vectors are not scores of neighbours");
  }
  std::vector<float> scores(pairs.size());
#pragma omp parallel for schedule(dynamic, 1024)
  for (std::size_t i = 0; i < pairs.size(); ++i) scores[i] = score_pair(neighbours, pairs[i], baseline);
  return scores;
}

std::vector<LinkReport> evaluate_baselines(const Embedding& embedding, const LinkSplit& split,
                                           const LinkOptions& options) {
  const TrainNeighbours neighbours(split.train, embedding.rows());
  std::vector<LinkReport> reports;
  for (const LinkBaseline baseline :
       {LinkBaseline::kDegreeProduct, LinkBaseline::kCommonNeighbours, LinkBaseline::kAdamicAdar}) {
    const auto start = std::chrono::steady_clock::now();
    const std::vector<float> positives = baseline_scores(neighbours, split.test, baseline);
    const std::vector<float> negatives = baseline_scores(neighbours, split.test_negatives, baseline);
    LinkReport report{link_baseline_name(baseline), ranking_metrics(positives, negatives, options.hits_at), 0};
    report.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    reports.push_back(std::move(report));
  }
  reports.push_back(evaluate_links(random_vectors(embedding, options.seed), split, LinkScore::kDot, options));
  reports.back().name = link_baseline_name(LinkBaseline::kRandomVectors);
  return reports;
}

}  // namespace knotwork::embeddings
