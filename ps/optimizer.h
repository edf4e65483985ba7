// The update rules that a server applies to pushed gradients. The state of a rule lies in the shard, beside the rows.
//
//   sgd      w -= lr g
//   adagrad  a += mean(g^2); w -= lr g / (sqrt(a) + epsilon): one accumulator a row (Gupta, Bengio, Weston 2014,
//            "Training highly multiclass classifiers"; the mean, as in later implementations, so that one learning
//            rate serves all widths)
//   adam     Kingma & Ba 2015, algorithm 1, with a step count a row: a row's moments decay only when it is touched
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace knotwork::ps {

enum class OptimizerKind : std::uint8_t { kSgd = 0, kAdagrad = 1, kAdam = 2 };

/// An update rule with its constants. All servers and clients of a table agree on it (checked at the handshake).
struct OptimizerSpec {
  OptimizerKind kind = OptimizerKind::kSgd;
  /// Added to the denominator of adagrad and adam: no division by zero on a fresh row.
  float epsilon = 1e-8F;
  /// Decay of adam's first and second moment, in [0, 1).
  float beta1 = 0.9F;
  float beta2 = 0.999F;

  bool operator==(const OptimizerSpec&) const = default;
};

/// Floats of state that a row of `dim` columns needs: sgd 0; adagrad 1 (the accumulator); adam 2 dim + 1 (first
/// moments, second moments, number of steps).
std::size_t state_width(const OptimizerSpec& optimizer, std::size_t dim);

/// Whether changes of the state made at several places may simply be added up, as those of rows are: true for sgd (no
/// state) and adagrad (a sum of squares), false for adam (decaying means). Replicas can continue only such rows.
bool state_is_additive(const OptimizerSpec& optimizer);

/// One step on one row. `row` and `gradient` have `dim` floats, `state` state_width() floats. Not synchronised.
void apply_gradient(const OptimizerSpec& optimizer, std::span<float> row, std::span<float> state,
                    std::span<const float> gradient, float learning_rate);

}  // namespace knotwork::ps
