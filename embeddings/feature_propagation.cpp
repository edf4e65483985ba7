#include "embeddings/feature_propagation.h"

#include <string>

#include "embeddings/random_projection.h"
#include "partition/errors.h"

namespace knotwork::embeddings {
namespace {

class RademacherRows final : public InitialRows {
 public:
  RademacherRows(std::uint64_t seed, std::size_t columns) : projection_(seed, 1, columns) {}
  bool reaches_others() const override { return true; }
  void fill(partition::OriginalNode original, partition::LocalNode /*local*/, float scale, std::size_t first_column,
            std::span<float> out) const override {
    projection_.fill(original, first_column, scale, out);
  }

 private:
  RandomProjection projection_;
};

class GivenRows final : public InitialRows {
 public:
  explicit GivenRows(const NodeFeatures& features) : features_(features) {}
  bool reaches_others() const override { return false; }
  void fill(partition::OriginalNode /*original*/, partition::LocalNode local, float scale, std::size_t first_column,
            std::span<float> out) const override {
    features_.fill(local, first_column, out);
    for (float& value : out) value *= scale;
  }

 private:
  const NodeFeatures& features_;
};

}  // namespace

PropagationPlan rfp_plan(const RfpOptions& options, bool directed) {
  const std::size_t steps = std::size_t{options.powers} + 1;
  if (options.dim % steps != 0) {
    throw partition::InputError("rfp puts powers + 1 steps side by side: dim must be a multiple of " +
                                std::to_string(steps) + ", found " + std::to_string(options.dim));
  }
  PropagationPlan plan{.columns = options.dim / steps,
                       .layers = static_cast<std::uint32_t>(steps),
                       .weighted = options.weighted,
                       .symmetric = !directed,
                       .self_weight = options.self_loop};
  for (std::uint32_t power = 0; power < steps; ++power) plan.taps.push_back({.layer = power});
  return plan;
}

LayerMerge rfp_merge() {
  return {.unit_columns = true};
}

std::unique_ptr<InitialRows> rfp_rows(const RfpOptions& options) {
  return std::make_unique<RademacherRows>(options.seed, options.dim / (options.powers + std::size_t{1}));
}

PropagationPlan feature_plan(const FeaturePropagationOptions& options, std::size_t columns, bool directed) {
  PropagationPlan plan{.columns = columns,
                       .taps = std::vector<Tap>(options.powers + std::size_t{1}),
                       .weighted = options.weighted,
                       .symmetric = !directed,
                       .self_weight = options.self_loop,
                       .damping = 1 - options.teleport,
                       .restart = options.teleport};
  plan.taps.back().layer = 0;
  return plan;
}

LayerMerge feature_merge() {
  return {.weights = {1}};
}

std::unique_ptr<InitialRows> feature_rows(const NodeFeatures& features) {
  return std::make_unique<GivenRows>(features);
}

}  // namespace knotwork::embeddings
