// The window step against plain loops in double precision, and against finite differences of the loss.
#include "embeddings/skipgram_kernel.h"

#include <cmath>
#include <cstdint>
#include <map>
#include <random>
#include <stdexcept>
#include <string>
#include <vector>

#include <gtest/gtest.h>
#include <hwy/targets.h>

namespace knotwork::embeddings {
namespace {

// A table of aligned rows with zeros behind the last column.
class Table {
 public:
  Table(std::size_t rows, std::size_t dim, std::mt19937& random, double scale)
      : dim_(dim), stride_(row_stride(dim)), lines_(rows * stride_ / 16), accumulators_(rows, 0.1F) {
    std::normal_distribution<float> normal(0.0F, static_cast<float>(scale));
    for (std::size_t i = 0; i < rows; ++i) {
      for (std::size_t k = 0; k < dim; ++k) row(i)[k] = normal(random);
    }
  }
  float* row(std::size_t i) { return lines_.data()->values + i * stride_; }
  float* accumulator(std::size_t i) { return accumulators_.data() + i; }
  std::size_t rows() const { return accumulators_.size(); }
  std::size_t dim() const { return dim_; }
  std::size_t stride() const { return stride_; }

 private:
  struct alignas(64) Line {
    float values[16] = {};
  };
  std::size_t dim_;
  std::size_t stride_;
  std::vector<Line> lines_;
  std::vector<float> accumulators_;
};

using Row = std::vector<double>;
using Rows = std::map<const float*, Row>;  // by address

Row copy(const float* row, std::size_t dim) {
  return {row, row + dim};
}

double dot(const Row& a, const Row& b) {
  double sum = 0.0;
  for (std::size_t k = 0; k < a.size(); ++k) sum += a[k] * b[k];
  return sum;
}

double log_sigmoid(double x) {
  return -std::log1p(std::exp(-x));
}

// What a window is, by index into tables.
struct Case {
  std::vector<std::size_t> contexts;
  std::vector<std::size_t> targets;
};

struct Pointers {
  std::vector<float*> contexts, targets, context_accumulators, target_accumulators;
  WindowRows rows() const { return {contexts, targets, context_accumulators, target_accumulators}; }
};

Pointers pointers(Table& inputs, Table& outputs, const Case& window) {
  Pointers p;
  for (const std::size_t i : window.contexts) {
    p.contexts.push_back(inputs.row(i));
    p.context_accumulators.push_back(inputs.accumulator(i));
  }
  for (const std::size_t i : window.targets) {
    p.targets.push_back(outputs.row(i));
    p.target_accumulators.push_back(outputs.accumulator(i));
  }
  return p;
}

Rows all_rows(Table& table) {
  Rows rows;
  for (std::size_t i = 0; i < table.rows(); ++i) rows[table.row(i)] = copy(table.row(i), table.dim());
  return rows;
}

// Loss by the formula in the header, pair by pair.
double plain_loss(const Pointers& p, Rows& rows) {
  double loss = 0.0;
  for (const float* c : p.contexts) {
    for (std::size_t t = 0; t < p.targets.size(); ++t) {
      if (t > 0 && p.targets[t] == p.targets[0]) continue;
      const double x = dot(rows[c], rows[p.targets[t]]);
      loss -= log_sigmoid(t == 0 ? x : -x);
    }
  }
  return loss;
}

// The ascent direction (minus the gradient of the loss) of every row, by eq. 4 pair by pair.
Rows plain_directions(const Pointers& p, Rows& rows, std::size_t dim) {
  Rows directions;
  for (const float* c : p.contexts) {
    for (std::size_t t = 0; t < p.targets.size(); ++t) {
      if (t > 0 && p.targets[t] == p.targets[0]) continue;
      const double x = dot(rows[c], rows[p.targets[t]]);
      const double error = (t == 0 ? 1.0 : 0.0) - 1.0 / (1.0 + std::exp(-x));
      Row& dc = directions.try_emplace(c, Row(dim)).first->second;
      for (std::size_t k = 0; k < dim; ++k) dc[k] += error * rows[p.targets[t]][k];
      Row& dt = directions.try_emplace(p.targets[t], Row(dim)).first->second;
      for (std::size_t k = 0; k < dim; ++k) dt[k] += error * rows[c][k];
    }
  }
  return directions;
}

void expect_rows(Table& table, Rows& expected, double tolerance, const std::string& what) {
  for (std::size_t i = 0; i < table.rows(); ++i) {
    const Row& want = expected[table.row(i)];
    for (std::size_t k = 0; k < table.stride(); ++k) {
      const double value = k < table.dim() ? want[k] : 0.0;
      ASSERT_NEAR(table.row(i)[k], value, tolerance) << what << " row " << i << " column " << k;
    }
  }
}

// The step as the header has it: errors first, then context by context. A target that occurs twice counts twice;
// `at_once` reads all rows as they were before.
Rows plain_step(const Pointers& p, const Rows& before, double rate, bool at_once = false) {
  std::map<const float*, double> targets;  // how often each counts
  for (std::size_t t = 0; t < p.targets.size(); ++t) {
    if (t == 0 || p.targets[t] != p.targets[0]) targets[p.targets[t]] += 1.0;
  }
  std::vector<const float*> contexts;  // each once, in the order of first places
  std::map<const float*, double> counts;
  for (const float* c : p.contexts) {
    if ((counts[c] += 1.0) == 1.0) contexts.push_back(c);
  }
  Rows rows = before;
  Rows outputs;
  for (const auto& [target, times] : targets) outputs[target] = before.at(target);
  for (const float* c : contexts) {
    const Row input = before.at(c);
    for (const auto& [target, times] : targets) {
      const double x = dot(before.at(c), before.at(target));
      const double error =
          rate * counts[c] * times * ((target == p.targets[0] ? 1.0 : 0.0) - 1.0 / (1.0 + std::exp(-x)));
      for (std::size_t k = 0; k < input.size(); ++k) {
        rows[c][k] += error * (at_once ? before.at(target)[k] : outputs[target][k]);
        outputs[target][k] += error * input[k];
      }
    }
  }
  for (const auto& [target, output] : outputs) {
    for (std::size_t k = 0; k < output.size(); ++k) rows[target][k] += output[k] - before.at(target)[k];
  }
  return rows;
}

Case random_case(std::size_t contexts, std::size_t targets, std::size_t rows, std::mt19937& random) {
  Case window;
  for (std::size_t i = 0; i < contexts; ++i) window.contexts.push_back(random() % rows);
  for (std::size_t i = 0; i < targets; ++i) window.targets.push_back(random() % rows);
  return window;
}

// Runs `body` once for every instruction set that this machine has, the scalar one included.
template <typename Body>
void on_every_target(Body body) {
  std::vector<std::int64_t> targets = {HWY_SCALAR};
  for (std::int64_t all = hwy::SupportedTargets(); all != 0; all &= all - 1) targets.push_back(all & -all);
  for (const std::int64_t target : targets) {
    hwy::SetSupportedTargetsForTest(target);
    hwy::GetChosenTarget().Update(hwy::SupportedTargets());
    body(std::string(hwy::TargetName(target)));
  }
  hwy::SetSupportedTargetsForTest(0);
  hwy::GetChosenTarget().Update(hwy::SupportedTargets());
}

TEST(SkipGramKernelTest, sgd_step_equals_plain_loops) {
  on_every_target([](const std::string& target) {
    std::mt19937 random(7);
    for (const std::size_t dim : {1U, 7U, 16U, 40U, 100U, 128U, 200U}) {
      for (const std::size_t contexts : {1U, 2U, 3U, 4U, 5U, 11U, 20U}) {
        for (const std::size_t targets : {1U, 2U, 3U, 4U, 5U, 6U, 7U, 13U}) {
          // Few rows: repetitions and negatives that are the centre are frequent. Many: they are rare.
          for (const std::size_t rows : {4U, 64U}) {
            Table inputs(rows, dim, random, 0.3);
            Table outputs(rows, dim, random, 0.3);
            const Case window = random_case(contexts, targets, rows, random);
            const Pointers p = pointers(inputs, outputs, window);
            Rows before_in = all_rows(inputs);
            Rows before = all_rows(outputs);
            before.insert(before_in.begin(), before_in.end());
            const double loss = plain_loss(p, before);
            Rows after = plain_step(p, before, 0.05);

            WindowScratch scratch(20, 13, dim, false);
            WindowLoss measured;
            sgd_window_step(p.rows(), 0.05F, scratch, &measured);
            const std::string what = target + " C " + std::to_string(contexts) + " T " + std::to_string(targets) +
                                     " dim " + std::to_string(dim);
            expect_rows(inputs, after, 3e-6, what + " input");
            expect_rows(outputs, after, 3e-6, what + " output");
            EXPECT_EQ(measured.pairs, contexts);
            EXPECT_NEAR(measured.sum, loss, 1e-5 * (1.0 + loss)) << what;
            if (::testing::Test::HasFatalFailure()) return;
          }
        }
      }
    }
  });
}

TEST(SkipGramKernelTest, a_row_may_be_context_and_target_at_once) {
  on_every_target([](const std::string& target) {
    for (const std::size_t targets : {4U, 6U, 9U}) {
      std::mt19937 random(11);
      Table table(6, 32, random, 0.4);
      const Pointers p = pointers(table, table, random_case(9, targets, 6, random));
      Rows after = plain_step(p, all_rows(table), 0.1, true);
      WindowScratch scratch(9, targets, 32, false);
      WindowRows rows = p.rows();
      rows.at_once = true;
      sgd_window_step(rows, 0.1F, scratch, nullptr);
      expect_rows(table, after, 5e-6, target);
    }
  });
}

TEST(SkipGramKernelTest, step_follows_the_gradient_of_the_loss) {
  std::mt19937 random(3);
  const std::size_t dim = 10;
  Table inputs(5, dim, random, 0.5);
  Table outputs(5, dim, random, 0.5);
  const Pointers p = pointers(inputs, outputs, {{0, 1, 2, 1}, {0, 3, 4, 3}});
  Rows before = all_rows(inputs);
  before.merge(all_rows(outputs));
  const float rate = 1e-3F;  // small: a step in order differs from the gradient by the square of the rate
  WindowScratch scratch(4, 4, dim, false);
  sgd_window_step(p.rows(), rate, scratch, nullptr);
  for (Table* table : {&inputs, &outputs}) {
    for (std::size_t i = 0; i < table->rows(); ++i) {
      for (std::size_t k = 0; k < dim; ++k) {
        const double h = 1e-5;
        double& value = before[table->row(i)][k];
        const double kept = value;
        value = kept + h;
        const double above = plain_loss(p, before);
        value = kept - h;
        const double below = plain_loss(p, before);
        value = kept;
        EXPECT_NEAR((table->row(i)[k] - kept) / rate, -(above - below) / (2 * h), 6e-3) << i << " " << k;
      }
    }
  }
}

TEST(SkipGramKernelTest, large_logits_stay_finite) {
  on_every_target([](const std::string& target) {
    std::mt19937 random(5);
    Table inputs(4, 16, random, 40.0);
    Table outputs(4, 16, random, 40.0);
    const Pointers p = pointers(inputs, outputs, {{0, 1, 2, 3}, {0, 1, 2}});
    Rows before = all_rows(inputs);
    before.merge(all_rows(outputs));
    const double expected = [&] {
      double loss = 0.0;
      for (const float* c : p.contexts) {
        for (std::size_t t = 0; t < 3; ++t) {
          const double x = (t == 0 ? -1.0 : 1.0) * dot(before[c], before[p.targets[t]]);
          loss += std::max(x, 0.0) + std::log1p(std::exp(-std::abs(x)));
        }
      }
      return loss;
    }();
    WindowScratch scratch(4, 3, 16, false);
    WindowLoss loss;
    sgd_window_step(p.rows(), 0.025F, scratch, &loss);
    EXPECT_NEAR(loss.sum, expected, 1e-4 * expected) << target;
    // Errors are within 5e-5 of the sigmoid's, and rows are as long as 160.
    Rows after = plain_step(p, before, 0.025);
    expect_rows(inputs, after, 2e-3, target);
    expect_rows(outputs, after, 2e-3, target);
  });
}

TEST(SkipGramKernelTest, pairs_that_are_right_come_to_rest) {
  on_every_target([](const std::string& target) {
    std::mt19937 random(9);
    Table table(3, 16, random, 0.0);
    table.row(0)[0] = table.row(1)[0] = 4.0F;
    table.row(2)[0] = -4.0F;
    const Pointers p = pointers(table, table, {{0, 0, 0}, {1, 2}});
    WindowScratch scratch(3, 2, 16, false);
    for (int step = 0; step < 1000; ++step) sgd_window_step(p.rows(), 0.1F, scratch, nullptr);
    EXPECT_EQ(table.row(0)[0], 4.0F) << target;
    EXPECT_EQ(table.row(1)[0], 4.0F) << target;
    EXPECT_EQ(table.row(2)[0], -4.0F) << target;
  });
}

TEST(SkipGramKernelTest, adagrad_step_equals_plain_loops) {
  on_every_target([](const std::string& target) {
    std::mt19937 random(13);
    for (const std::size_t dim : {7U, 64U, 100U}) {
      for (const std::size_t targets : {1U, 6U, 9U}) {
        Table inputs(8, dim, random, 0.3);
        Table outputs(8, dim, random, 0.3);
        const Pointers p = pointers(inputs, outputs, random_case(10, targets, 8, random));
        Rows rows = all_rows(inputs);
        rows.merge(all_rows(outputs));
        std::map<const float*, double> accumulators;
        const auto step = [&](const float* row, const Row& direction) {
          double& sum = accumulators.try_emplace(row, static_cast<double>(0.1F)).first->second;
          sum += dot(direction, direction) / static_cast<double>(dim);
          for (std::size_t k = 0; k < dim; ++k) rows[row][k] += 0.1 * direction[k] / std::sqrt(sum);
        };
        // A context that occurs twice is stepped twice, a target once with all its gradient.
        const Rows before = rows;
        for (float* const context : p.contexts) {
          Pointers one = p;
          one.contexts = {context};
          Rows start = before;
          step(context, plain_directions(one, start, dim).at(context));
        }
        Rows start = before;
        const Rows directions = plain_directions(p, start, dim);
        for (const std::size_t t : {0U, 1U, 2U, 3U, 4U, 5U, 6U, 7U}) {
          const auto found = directions.find(outputs.row(t));
          if (found != directions.end()) step(outputs.row(t), found->second);
        }
        WindowScratch scratch(10, targets, dim, true);
        adagrad_window_step(p.rows(), 0.1F, scratch, nullptr);
        expect_rows(inputs, rows, 1e-5, target);
        expect_rows(outputs, rows, 1e-5, target);
        for (Table* table : {&inputs, &outputs}) {
          for (std::size_t i = 0; i < table->rows(); ++i) {
            const auto found = accumulators.find(table->row(i));
            const double expected = found == accumulators.end() ? static_cast<double>(0.1F) : found->second;
            EXPECT_NEAR(*table->accumulator(i), expected, 2e-4 * expected) << target;
          }
        }
      }
    }
  });
}

TEST(SkipGramKernelTest, refuses_windows_that_do_not_fit) {
  std::mt19937 random(1);
  Table table(8, 16, random, 0.1);
  WindowScratch scratch(2, 2, 16, false);
  const Pointers wide = pointers(table, table, {{0, 1, 2}, {3, 4}});
  EXPECT_THROW(sgd_window_step(wide.rows(), 0.1F, scratch, nullptr), std::invalid_argument);
  const Pointers empty = pointers(table, table, {{0, 1}, {}});
  EXPECT_THROW(sgd_window_step(empty.rows(), 0.1F, scratch, nullptr), std::invalid_argument);
  EXPECT_THROW(WindowScratch(0, 2, 16, false), std::invalid_argument);
}

}  // namespace
}  // namespace knotwork::embeddings
