// L2-regularised logistic regression on dense rows, by liblinear's trust-region Newton method.
//
// minimise  w'w / 2 + C * sum_i log(1 + exp(-y_i (w'x_i)))   over w, where x has a constant 1 appended if bias is asked
// for (so the bias is regularised too, as in scikit-learn's liblinear solver). Fan, Chang, Hsieh, Wang, Lin:
// "LIBLINEAR: a library for large linear classification", JMLR 2008; Lin, Weng, Keerthi, JMLR 2008.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

struct feature_node;  // liblinear's (linear.h): a column number and a double

namespace knotwork::embeddings {

struct LogisticOptions {
  /// Weight of the loss against the penalty.
  double c = 1.0;
  /// Training stops when the gradient has shrunk to tolerance * min(#positives, #negatives) / #rows of its first norm.
  double tolerance = 1e-3;
};

/// Rows in liblinear's form (16 bytes a value), built once and shared by any number of trainings and threads.
class LogisticRows {
 public:
  /// Zero rows with a constant 1 appended. Throws std::bad_alloc.
  LogisticRows(std::size_t rows, std::size_t dim);
  ~LogisticRows();
  LogisticRows(LogisticRows&&) noexcept;
  LogisticRows& operator=(LogisticRows&&) noexcept;

  std::size_t size() const;
  std::size_t dim() const;
  /// Different rows may be set from different threads.
  void set(std::size_t row, std::span<const float> values);

  /// The row as liblinear wants it.
  feature_node* nodes(std::size_t row) const;

 private:
  struct Storage;
  std::unique_ptr<Storage> storage_;
};

/// A trained separating plane. If all training labels were equal, weights are 0 and bias is plus or minus infinity.
struct LogisticModel {
  std::vector<float> weights;
  float bias = 0;

  /// w'x + bias: above 0 where the positive class is the likelier one, rising with its probability.
  float decision(std::span<const float> values) const;
};

/// Trains on rows[selected[i]] with the label labels[i] (true: positive). Thread-safe: any number of trainings may
/// share the rows. REQUIRES selected.size() == labels.size() > 0. Throws std::invalid_argument on options out of range.
LogisticModel train_logistic(const LogisticRows& rows, std::span<const std::uint32_t> selected,
                             std::span<const std::uint8_t> labels, const LogisticOptions& options = {});

}  // namespace knotwork::embeddings
