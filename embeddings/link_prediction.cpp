// Reading a split, scoring its pairs, and the logistic regression on products of vectors.
#include "embeddings/link_prediction.h"

#include <chrono>
#include <cmath>
#include <numeric>
#include <stdexcept>
#include <utility>

#include "embeddings/line_file.h"
#include "embeddings/logistic.h"
#include "partition/errors.h"
#include "partition/random.h"

namespace knotwork::embeddings {
namespace {

using partition::InputError;

partition::OriginalNode resolve(std::string_view name, const LineFile& file, const partition::NodeNames& names) {
  const std::optional<partition::OriginalNode> node = names.find(name);
  if (!node) throw InputError(file.place() + ": node '" + std::string(name) + "' has no vector in the embedding");
  return *node;
}

std::vector<NodePair> read_pairs(const std::string& path, const partition::NodeNames& names) {
  LineFile file(path);
  std::vector<NodePair> pairs;
  std::string_view line;
  while (file.next(line)) {
    const std::string_view source = take_field(line);
    const std::string_view target = take_field(line);
    if (target.empty()) {
      throw InputError(file.place() + ": one field '" + std::string(source) + "'; expected two node names");
    }
    pairs.push_back({resolve(source, file, names), resolve(target, file, names)});
  }
  if (pairs.empty()) throw InputError(path + ": no pairs; expected two node names a line");
  return pairs;
}

float dot(std::span<const float> a, std::span<const float> b) {
  float sum = 0;
#pragma omp simd reduction(+ : sum)
  for (std::size_t i = 0; i < a.size(); ++i) sum += a[i] * b[i];
  return sum;
}

/// 1 / length of each row; 0 for a zero row, whose cosine with everything is then 0.
std::vector<float> inverse_lengths(const Embedding& embedding) {
  std::vector<float> inverse(embedding.rows());
#pragma omp parallel for schedule(static)
  for (std::size_t node = 0; node < inverse.size(); ++node) {
    const std::span<const float> row = embedding.row(static_cast<partition::OriginalNode>(node));
    const float length = std::sqrt(dot(row, row));
    inverse[node] = length > 0 ? 1 / length : 0;
  }
  return inverse;
}

void multiply(const Embedding& embedding, const NodePair& pair, std::span<float> product) {
  const std::span<const float> source = embedding.row(pair.source);
  const std::span<const float> target = embedding.row(pair.target);
  for (std::size_t i = 0; i < product.size(); ++i) product[i] = source[i] * target[i];
}

/// `count` of 0 .. size - 1 without replacement: the front of a seeded Fisher-Yates shuffle. `stream` separates draws.
std::vector<std::uint32_t> draw(std::size_t size, std::size_t count, std::uint64_t seed, std::uint32_t stream) {
  std::vector<std::uint32_t> order(size);
  std::iota(order.begin(), order.end(), 0U);
  if (count >= size) return order;
  for (std::uint32_t i = 0; i < count; ++i) {
    const std::uint32_t random = random_block(seed, partition::RandomPurpose::kEvaluate, i, 0, stream)[0];
    std::swap(order[i], order[i + partition::bounded(random, static_cast<std::uint32_t>(size - i))]);
  }
  order.resize(count);
  return order;
}

LogisticModel train_hadamard(const Embedding& embedding, const LinkSplit& split, const LinkOptions& options) {
  const std::size_t most = std::max<std::size_t>(1, options.max_training_pairs / 2);
  const std::vector<std::uint32_t> positives = draw(split.train.size(), most, options.seed, 1);
  const std::vector<std::uint32_t> negatives = draw(split.train_negatives.size(), most, options.seed, 2);
  const std::size_t count = positives.size() + negatives.size();
  LogisticRows rows(count, embedding.dim());
  std::vector<std::uint8_t> labels(count);
#pragma omp parallel
  {
    std::vector<float> product(embedding.dim());
#pragma omp for schedule(static)
    for (std::size_t i = 0; i < count; ++i) {
      const bool positive = i < positives.size();
      multiply(embedding, positive ? split.train[positives[i]] : split.train_negatives[negatives[i - positives.size()]],
               product);
      rows.set(i, product);
      labels[i] = positive ? 1 : 0;
    }
  }
  std::vector<std::uint32_t> all(count);
  std::iota(all.begin(), all.end(), 0U);
  return train_logistic(rows, all, labels, {.c = options.c});
}

std::vector<float> decide_pairs(const Embedding& embedding, std::span<const NodePair> pairs,
                                const LogisticModel& model) {
  std::vector<float> scores(pairs.size());
#pragma omp parallel
  {
    std::vector<float> product(embedding.dim());
#pragma omp for schedule(static)
    for (std::size_t i = 0; i < pairs.size(); ++i) {
      multiply(embedding, pairs[i], product);
      scores[i] = model.decision(product);
    }
  }
  return scores;
}

}  // namespace

LinkSplit read_link_split(const std::string& folder, const partition::NodeNames& names) {
  return {read_pairs(folder + "/train.tsv", names), read_pairs(folder + "/train_neg.tsv", names),
          read_pairs(folder + "/test_pos.tsv", names), read_pairs(folder + "/test_neg.tsv", names)};
}

std::string link_score_name(LinkScore score) {
  switch (score) {
    case LinkScore::kDot:
      return "dot";
    case LinkScore::kCosine:
      return "cosine";
    case LinkScore::kHadamardLr:
      return "hadamard-lr";
  }
  throw std::invalid_argument("link_score_name: no such score");
}

LinkScore link_score_from_name(const std::string& name) {
  for (const LinkScore score : {LinkScore::kDot, LinkScore::kCosine, LinkScore::kHadamardLr}) {
    if (link_score_name(score) == name) return score;
  }
  throw InputError("score '" + name + "' is unknown; expected dot, cosine or hadamard-lr");
}

std::vector<float> score_pairs(const Embedding& embedding, std::span<const NodePair> pairs, LinkScore score) {
  if (score == LinkScore::kHadamardLr) throw std::invalid_argument("score_pairs: hadamard-lr must be trained first");
  std::vector<float> inverse;
  if (score == LinkScore::kCosine) inverse = inverse_lengths(embedding);
  std::vector<float> scores(pairs.size());
#pragma omp parallel for schedule(static)
  for (std::size_t i = 0; i < pairs.size(); ++i) {
    const NodePair& pair = pairs[i];
    const float product = dot(embedding.row(pair.source), embedding.row(pair.target));
    scores[i] = inverse.empty() ? product : product * inverse[pair.source] * inverse[pair.target];
  }
  return scores;
}

LinkReport evaluate_links(const Embedding& embedding, const LinkSplit& split, LinkScore score,
                          const LinkOptions& options) {
  require_judgeable(embedding);
  const auto start = std::chrono::steady_clock::now();
  if (split.test.empty() || split.test_negatives.empty()) throw InputError("the split has no test pairs");
  std::vector<float> positives;
  std::vector<float> negatives;
  if (score == LinkScore::kHadamardLr) {
    if (split.train.empty() || split.train_negatives.empty()) {
      throw InputError("the split has no train pairs, which hadamard-lr learns from");
    }
    const LogisticModel model = train_hadamard(embedding, split, options);
    positives = decide_pairs(embedding, split.test, model);
    negatives = decide_pairs(embedding, split.test_negatives, model);
  } else {
    positives = score_pairs(embedding, split.test, score);
    negatives = score_pairs(embedding, split.test_negatives, score);
  }
  LinkReport report{link_score_name(score), ranking_metrics(positives, negatives, options.hits_at), 0};
  report.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  return report;
}

}  // namespace knotwork::embeddings
