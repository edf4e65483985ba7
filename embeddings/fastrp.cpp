#include "embeddings/fastrp.h"

#include <algorithm>
#include <cmath>
#include <string>

#include "partition/errors.h"

namespace knotwork::embeddings {
namespace {

using partition::InputError;
using partition::RandomPurpose;

constexpr std::size_t kMostPowers = 64;

double sparsity_of(const FastRpOptions& options, std::uint64_t count) {
  return options.sparsity > 0 ? options.sparsity : std::max(1.0, std::sqrt(static_cast<double>(count)));
}

/// Random columns first, projected features behind them.
class FastRpRows final : public InitialRows {
 public:
  FastRpRows(const FastRpOptions& options, std::uint64_t node_count, const NodeFeatures* features)
      : features_(features),
        random_columns_(options.dim - feature_columns(options, features != nullptr)),
        nodes_(options.seed, sparsity_of(options, node_count), options.dim),
        // s = 3 for features: they are few, and rare ones must not vanish.
        properties_(options.seed, 3, options.dim, RandomPurpose::kFeatureProjection) {}

  bool reaches_others() const override { return features_ == nullptr; }

  void fill(partition::OriginalNode original, partition::LocalNode local, float scale, std::size_t first_column,
            std::span<float> out) const override {
    const std::size_t random =
        first_column < random_columns_ ? std::min(out.size(), random_columns_ - first_column) : 0;
    nodes_.fill(original, first_column, scale, out.first(random));
    if (random < out.size()) fill_properties(local, first_column, random, out);
  }

 private:
  /// Not scaled by degree: features are no one's neighbours. Those of one node are added in the order of their numbers.
  void fill_properties(partition::LocalNode local, std::size_t first_column, std::size_t from,
                       std::span<float> out) const {
    std::vector<float> direction(out.size());
    std::fill(out.begin() + static_cast<std::ptrdiff_t>(from), out.end(), 0.0F);
    features_->for_each(local, [&](std::uint32_t feature, float value) {
      properties_.fill(feature, first_column, value, direction);
      for (std::size_t i = from; i < out.size(); ++i) out[i] += direction[i];
    });
  }

  const NodeFeatures* features_;
  std::size_t random_columns_;
  RandomProjection nodes_;
  RandomProjection properties_;
};

}  // namespace

void check_options(const FastRpOptions& options) {
  if (options.weights.empty() || options.weights.size() > kMostPowers) {
    throw InputError("iteration-weights has " + std::to_string(options.weights.size()) + " numbers, expected 1 to " +
                     std::to_string(kMostPowers) + ": one for each power");
  }
  bool any = options.self_weight != 0;
  for (const double weight : options.weights) {
    if (!std::isfinite(static_cast<float>(weight))) throw InputError("iteration-weights must be finite numbers");
    any = any || weight != 0;
  }
  if (!any) throw InputError("iteration-weights are all 0: nothing would be left");
}

std::size_t feature_columns(const FastRpOptions& options, bool has_features) {
  if (!has_features) return 0;
  return static_cast<std::size_t>(std::llround(options.feature_ratio * static_cast<double>(options.dim)));
}

PropagationPlan fastrp_plan(const FastRpOptions& options) {
  PropagationPlan plan{
      .columns = options.dim, .layers = 0, .weighted = options.weighted, .degree_exponent = options.beta};
  std::vector<double> weights{options.self_weight};
  weights.insert(weights.end(), options.weights.begin(), options.weights.end());
  // Powers behind the last one that counts would be computed for nothing.
  while (weights.back() == 0) weights.pop_back();
  for (const double weight : weights) {
    Tap tap;
    if (weight != 0) tap.layer = options.normalise_powers ? plan.layers++ : 0;
    if (weight != 0 && !options.normalise_powers) {
      tap.weight = static_cast<float>(weight);
      plan.layers = 1;
    }
    plan.taps.push_back(tap);
  }
  return plan;
}

LayerMerge fastrp_merge(const FastRpOptions& options) {
  LayerMerge merge{.unit_rows = options.normalise_powers, .standardise = options.standardise};
  if (!options.normalise_powers) {
    merge.weights = {1};
    return merge;
  }
  if (options.self_weight != 0) merge.weights.push_back(static_cast<float>(options.self_weight));
  for (const double weight : options.weights) {
    if (weight != 0) merge.weights.push_back(static_cast<float>(weight));
  }
  return merge;
}

std::unique_ptr<InitialRows> fastrp_rows(const FastRpOptions& options, std::uint64_t node_count,
                                         const NodeFeatures* features) {
  return std::make_unique<FastRpRows>(options, node_count, features);
}

}  // namespace knotwork::embeddings
