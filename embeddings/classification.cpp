// Reading labels; DeepWalk's protocol with all folds' trainings as one pool of tasks.
#include "embeddings/classification.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <map>
#include <numeric>
#include <optional>
#include <unordered_map>
#include <utility>

#include "embeddings/line_file.h"
#include "embeddings/logistic.h"
#include "embeddings/metrics.h"
#include "partition/errors.h"
#include "partition/random.h"

namespace knotwork::embeddings {
namespace {

using partition::InputError;
using partition::OriginalNode;

std::optional<std::int64_t> as_number(const std::string& text) {
  std::int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

/// Numbers by value, before other names in byte order.
bool label_before(const std::string& a, const std::string& b) {
  const std::optional<std::int64_t> number_a = as_number(a);
  const std::optional<std::int64_t> number_b = as_number(b);
  if (number_a && number_b && *number_a != *number_b) return *number_a < *number_b;
  if (number_a.has_value() != number_b.has_value()) return number_a.has_value();
  return a < b;
}

/// Gathers the lines of a label file, then numbers nodes and labels.
class LabelCollector {
 public:
  void add(OriginalNode node, std::string_view label) {
    const auto [index, is_new] = index_of_.try_emplace(node, nodes_.size());
    if (is_new) nodes_.push_back(node);
    const auto number = numbers_.try_emplace(std::string(label), static_cast<std::uint32_t>(numbers_.size()));
    pairs_.emplace_back(index->second, number.first->second);
  }

  NodeLabels finish() {
    NodeLabels result;
    std::vector<std::uint32_t> renumbered(numbers_.size());
    for (const auto& [name, number] : numbers_) result.label_names.push_back(name);
    std::ranges::sort(result.label_names, label_before);
    for (std::uint32_t i = 0; i < renumbered.size(); ++i) renumbered[numbers_.at(result.label_names[i])] = i;
    for (auto& [index, label] : pairs_) label = renumbered[label];
    std::ranges::sort(pairs_);
    pairs_.erase(std::unique(pairs_.begin(), pairs_.end()), pairs_.end());
    result.nodes = std::move(nodes_);
    result.offsets.assign(result.nodes.size() + 1, 0);
    for (const auto& [index, label] : pairs_) {
      ++result.offsets[index + 1];
      result.labels.push_back(label);
    }
    std::partial_sum(result.offsets.begin(), result.offsets.end(), result.offsets.begin());
    return result;
  }

 private:
  std::unordered_map<OriginalNode, std::size_t> index_of_;
  std::map<std::string, std::uint32_t> numbers_;
  std::vector<OriginalNode> nodes_;
  std::vector<std::pair<std::size_t, std::uint32_t>> pairs_;
};

/// The order of the labelled nodes in one repeat: a Fisher-Yates shuffle.
std::vector<std::uint32_t> shuffled(std::size_t count, std::uint64_t seed, std::uint32_t repeat) {
  std::vector<std::uint32_t> order(count);
  std::iota(order.begin(), order.end(), 0U);
  for (std::uint32_t i = 0; i + 1 < count; ++i) {
    const std::uint32_t random = random_block(seed, partition::RandomPurpose::kEvaluate, i, repeat, 0)[0];
    std::swap(order[i], order[i + partition::bounded(random, static_cast<std::uint32_t>(count - i))]);
  }
  return order;
}

/// One ratio of one repeat: nodes order[0 .. train_count) are trained on, the others judged.
struct Fold {
  std::span<const std::uint32_t> order;
  std::size_t train_count = 0;
  std::vector<LogisticModel> models;  ///< one a label

  std::span<const std::uint32_t> train() const { return order.first(train_count); }
  std::span<const std::uint32_t> test() const { return order.subspan(train_count); }
};

class Classifier {
 public:
  Classifier(const Embedding& embedding, const NodeLabels& labels, const ClassificationOptions& options)
      : labels_(labels), options_(options), rows_(labels.nodes.size(), embedding.dim()) {
    require_judgeable(embedding);
    values_.resize(labels.nodes.size() * embedding.dim());
#pragma omp parallel for schedule(static)
    for (std::size_t i = 0; i < labels.nodes.size(); ++i) {
      const std::span<float> row = std::span(values_).subspan(i * embedding.dim(), embedding.dim());
      std::ranges::copy(embedding.row(labels.nodes[i]), row.begin());
      if (options.normalize) scale_to_one(row);
      rows_.set(i, row);
    }
  }

  /// Trains every label of every fold. Tasks are of one pool: long ones first, any thread takes the next.
  void train(std::span<Fold> folds) const {
    const std::size_t label_count = labels_.label_names.size();
    std::vector<std::pair<std::size_t, std::uint32_t>> tasks;
    for (std::size_t fold = 0; fold < folds.size(); ++fold) {
      folds[fold].models.resize(label_count);
      for (std::uint32_t label = 0; label < label_count; ++label) tasks.emplace_back(fold, label);
    }
    std::ranges::stable_sort(
        tasks, [&](const auto& a, const auto& b) { return folds[a.first].train_count > folds[b.first].train_count; });
    double work = 0;
    for (const Fold& fold : folds) work += static_cast<double>(fold.train_count * label_count);
    double done = 0;
#pragma omp parallel for schedule(dynamic)
    for (std::size_t task = 0; task < tasks.size(); ++task) {
      Fold& fold = folds[tasks[task].first];
      train_label(fold, tasks[task].second);
#pragma omp critical(knotwork_classification_progress)
      {
        done += static_cast<double>(fold.train_count);
        if (options_.progress) options_.progress(done / work);
      }
    }
  }

  F1Scores judge(const Fold& fold) const {
    std::vector<LabelCounts> counts(labels_.label_names.size());
    const std::span<const std::uint32_t> test = fold.test();
#pragma omp parallel
    {
      std::vector<LabelCounts> mine(counts.size());
      std::vector<std::pair<float, std::uint32_t>> ranking(counts.size());
#pragma omp for schedule(static)
      for (std::size_t i = 0; i < test.size(); ++i) count_outcome(fold, test[i], ranking, mine);
#pragma omp critical(knotwork_classification_counts)
      for (std::size_t label = 0; label < counts.size(); ++label) {
        counts[label].true_positives += mine[label].true_positives;
        counts[label].false_positives += mine[label].false_positives;
        counts[label].false_negatives += mine[label].false_negatives;
      }
    }
    return f1_scores(counts);
  }

 private:
  static void scale_to_one(std::span<float> row) {
    double squares = 0;
    for (const float value : row) squares += static_cast<double>(value) * value;
    const double length = std::sqrt(squares);
    if (length == 0) return;
    for (float& value : row) value = static_cast<float>(value / length);
  }

  bool has_label(std::uint32_t index, std::uint32_t label) const {
    return std::ranges::binary_search(labels_.of(index), label);
  }

  void train_label(Fold& fold, std::uint32_t label) const {
    std::vector<std::uint8_t> targets(fold.train_count);
    for (std::size_t i = 0; i < targets.size(); ++i) targets[i] = has_label(fold.order[i], label) ? 1 : 0;
    fold.models[label] = train_logistic(rows_, fold.train(), targets, {.c = options_.c});
  }

  /// Predicts as many labels as the node has: those of the highest probability, ties to the smaller label.
  void count_outcome(const Fold& fold, std::uint32_t index, std::span<std::pair<float, std::uint32_t>> ranking,
                     std::span<LabelCounts> counts) const {
    const std::span<const float> row = std::span(values_).subspan(index * rows_.dim(), rows_.dim());
    for (std::uint32_t label = 0; label < ranking.size(); ++label) {
      ranking[label] = {-fold.models[label].decision(row), label};
    }
    const std::span<const std::uint32_t> truth = labels_.of(index);
    const auto predicted_end = ranking.begin() + static_cast<std::ptrdiff_t>(truth.size());
    std::partial_sort(ranking.begin(), predicted_end, ranking.end());
    for (const std::uint32_t label : truth) ++counts[label].false_negatives;
    for (const auto& [score, label] : ranking.first(truth.size())) {
      if (has_label(index, label)) {
        ++counts[label].true_positives;
        --counts[label].false_negatives;
      } else {
        ++counts[label].false_positives;
      }
    }
  }

  const NodeLabels& labels_;
  const ClassificationOptions& options_;
  LogisticRows rows_;
  std::vector<float> values_;
};

void check(const NodeLabels& labels, const ClassificationOptions& options) {
  if (options.repeats == 0) throw InputError("repeats is 0; expected at least 1");
  if (!(options.c > 0)) throw InputError("C is " + std::to_string(options.c) + "; expected a number above 0");
  if (options.ratios.empty()) throw InputError("no ratios; expected shares of the labelled nodes to train on");
  for (const double ratio : options.ratios) {
    const auto train = static_cast<std::size_t>(ratio * static_cast<double>(labels.nodes.size()));
    if (!(ratio > 0 && ratio < 1) || train == 0 || train == labels.nodes.size()) {
      throw InputError("ratio " + std::to_string(ratio) + " of " + std::to_string(labels.nodes.size()) +
                       " labelled nodes; expected a share between 0 and 1 that leaves nodes to train on and to judge");
    }
  }
}

double sample_deviation(std::span<const double> values, double mean) {
  if (values.size() < 2) return 0;
  double squares = 0;
  for (const double value : values) squares += (value - mean) * (value - mean);
  return std::sqrt(squares / static_cast<double>(values.size() - 1));
}

double mean_of(std::span<const double> values) {
  return std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(values.size());
}

}  // namespace

NodeLabels read_node_labels(const std::string& path, const partition::NodeNames& names, MissingNodes missing) {
  LineFile file(path);
  LabelCollector collector;
  std::string first_missing;
  std::size_t missing_count = 0;
  std::string_view line;
  while (file.next(line)) {
    const std::string_view name = take_field(line);
    if (line.empty()) {
      throw InputError(file.place() + ": node '" + std::string(name) +
                       "' has no label; expected node TAB label[,label]");
    }
    const std::optional<OriginalNode> node = names.find(name);
    if (!node && ++missing_count == 1) first_missing = file.place() + ": node '" + std::string(name) + "'";
    if (!node) continue;
    while (!line.empty()) {
      const std::string_view label = take_field(line, ",");
      if (label.empty()) throw InputError(file.place() + ": empty label; expected node TAB label[,label]");
      collector.add(*node, label);
    }
  }
  if (missing_count > 0 && missing == MissingNodes::kRefuse) {
    const std::string others = missing_count == 1 ? "" : " (and " + std::to_string(missing_count - 1) + " more)";
    throw InputError(first_missing + others + " has no vector: it is isolated in, or absent from, the embedded graph");
  }
  NodeLabels labels = collector.finish();
  labels.skipped = missing_count;
  if (labels.label_names.size() < 2) {
    throw InputError(path + ": " + std::to_string(labels.label_names.size()) +
                     " different labels on nodes with a vector; expected at least 2");
  }
  return labels;
}

std::vector<ClassificationScore> classify_nodes(const Embedding& embedding, const NodeLabels& labels,
                                                const ClassificationOptions& options) {
  check(labels, options);
  std::vector<std::vector<std::uint32_t>> orders;
  for (std::uint32_t repeat = 0; repeat < options.repeats; ++repeat) {
    orders.push_back(shuffled(labels.nodes.size(), options.seed, repeat));
  }
  std::vector<Fold> folds;
  for (const double ratio : options.ratios) {
    const auto train_count = static_cast<std::size_t>(ratio * static_cast<double>(labels.nodes.size()));
    for (const std::vector<std::uint32_t>& order : orders) folds.push_back({order, train_count, {}});
  }
  const Classifier classifier(embedding, labels, options);
  classifier.train(folds);

  std::vector<ClassificationScore> scores;
  for (std::size_t i = 0; i < options.ratios.size(); ++i) {
    std::vector<double> micro;
    std::vector<double> macro;
    for (std::size_t repeat = 0; repeat < options.repeats; ++repeat) {
      const F1Scores f1 = classifier.judge(folds[i * options.repeats + repeat]);
      micro.push_back(f1.micro);
      macro.push_back(f1.macro);
    }
    const double micro_mean = mean_of(micro);
    const double macro_mean = mean_of(macro);
    scores.push_back({options.ratios[i], folds[i * options.repeats].train_count, micro_mean, macro_mean,
                      sample_deviation(micro, micro_mean), sample_deviation(macro, macro_mean)});
  }
  return scores;
}

}  // namespace knotwork::embeddings
