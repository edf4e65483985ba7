// How far training is, what it has done, and how well: shared by all training threads of a rank.
#pragma once

#include <array>
#include <atomic>
#include <chrono>
#include <cstdint>

#include "embeddings/learning_rate.h"
#include "embeddings/skipgram.h"
#include "worker/training.h"

namespace knotwork::worker {

/// Thread-safe. "Work" is counted in walks (or star samples for LINE), and the learning rate falls with it.
class TrainingClock {
 public:
  /// `total_work`: what fraction() reaches 1 at; positive.
  TrainingClock(std::uint64_t total_work, embeddings::LearningRate learning_rate);

  /// Adds what a thread did since its last call.
  void add(std::uint64_t work, const embeddings::TrainingCounters& done);

  /// The same for work whose place is known: its loss belongs to `fraction` of all work, whenever it is done.
  void add_at(double fraction, std::uint64_t work, const embeddings::TrainingCounters& done);

  double fraction() const;
  /// Work done so far, of total_work().
  std::uint64_t work() const { return work_.load(std::memory_order_relaxed); }
  std::uint64_t total_work() const { return total_work_; }
  float learning_rate() const;
  double seconds() const;
  /// All so far; the loss is left at 0.
  TrainingProgress totals() const;
  /// The same with the mean loss since the last call of this method, which belongs to one thread.
  TrainingProgress progress();

  /// Loss sums by twentieths of the work, for a mean over ranks.
  static constexpr std::size_t kLossBins = 20;
  struct LossBin {
    double sum = 0;
    double pairs = 0;
  };
  std::array<LossBin, kLossBins> loss_curve() const;

  /// What a snapshot keeps of a clock, as it lies in its file.
  struct Reading {
    std::uint64_t words = 0;
    std::uint64_t pairs = 0;
    double seconds = 0;
    std::array<LossBin, kLossBins> curve{};
  };
  Reading reading() const;
  /// Goes on from `before`, of which this rank has done `work`. To be called before any work is done.
  void resume(const Reading& before, std::uint64_t work);

 private:
  struct Bin {
    std::atomic<double> sum{0};
    std::atomic<double> pairs{0};
  };

  void count(std::size_t bin, const embeddings::TrainingCounters& done);

  const std::uint64_t total_work_;
  const embeddings::LearningRate learning_rate_;
  const std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
  double seconds_before_ = 0;  // of the job that is resumed
  std::atomic<std::uint64_t> work_{0};
  std::atomic<std::uint64_t> words_{0};
  std::atomic<std::uint64_t> pairs_{0};
  std::array<Bin, kLossBins> curve_;
  double shown_loss_sum_ = 0;
  double shown_loss_pairs_ = 0;
};

}  // namespace knotwork::worker
