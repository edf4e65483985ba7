#include "worker/training_clock.h"

#include <algorithm>

namespace knotwork::worker {

TrainingClock::TrainingClock(std::uint64_t total_work, embeddings::LearningRate learning_rate)
    : total_work_(std::max<std::uint64_t>(total_work, 1)), learning_rate_(learning_rate) {}

void TrainingClock::add(std::uint64_t work, const embeddings::TrainingCounters& done) {
  const std::uint64_t before = work_.fetch_add(work, std::memory_order_relaxed);
  count(std::min<std::uint64_t>(before * kLossBins / total_work_, kLossBins - 1), done);
}

void TrainingClock::add_at(double fraction, std::uint64_t work, const embeddings::TrainingCounters& done) {
  work_.fetch_add(work, std::memory_order_relaxed);
  count(std::min(static_cast<std::size_t>(fraction * static_cast<double>(kLossBins)), kLossBins - 1), done);
}

void TrainingClock::count(std::size_t bin, const embeddings::TrainingCounters& done) {
  words_.fetch_add(done.words, std::memory_order_relaxed);
  pairs_.fetch_add(done.pairs, std::memory_order_relaxed);
  curve_[bin].sum.fetch_add(done.loss_sum, std::memory_order_relaxed);
  curve_[bin].pairs.fetch_add(static_cast<double>(done.loss_pairs), std::memory_order_relaxed);
}

double TrainingClock::fraction() const {
  const auto work = static_cast<double>(work_.load(std::memory_order_relaxed));
  return std::min(1.0, work / static_cast<double>(total_work_));
}

float TrainingClock::learning_rate() const {
  return learning_rate_.at(fraction());
}

double TrainingClock::seconds() const {
  return seconds_before_ + std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count();
}

TrainingClock::Reading TrainingClock::reading() const {
  return {.words = words_.load(std::memory_order_relaxed),
          .pairs = pairs_.load(std::memory_order_relaxed),
          .seconds = seconds(),
          .curve = loss_curve()};
}

void TrainingClock::resume(const Reading& before, std::uint64_t work) {
  work_ = work;
  words_ = before.words;
  pairs_ = before.pairs;
  seconds_before_ = before.seconds;
  for (std::size_t i = 0; i < kLossBins; ++i) {
    curve_[i].sum = before.curve[i].sum;
    curve_[i].pairs = before.curve[i].pairs;
    shown_loss_sum_ += before.curve[i].sum;
    shown_loss_pairs_ += before.curve[i].pairs;
  }
}

TrainingProgress TrainingClock::totals() const {
  return {.fraction = fraction(),
          .seconds = seconds(),
          .words = words_.load(std::memory_order_relaxed),
          .pairs = pairs_.load(std::memory_order_relaxed),
          .learning_rate = learning_rate()};
}

TrainingProgress TrainingClock::progress() {
  double sum = 0;
  double pairs = 0;
  for (const LossBin& bin : loss_curve()) {
    sum += bin.sum;
    pairs += bin.pairs;
  }
  TrainingProgress now = totals();
  if (pairs > shown_loss_pairs_) now.loss = (sum - shown_loss_sum_) / (pairs - shown_loss_pairs_);
  shown_loss_sum_ = sum;
  shown_loss_pairs_ = pairs;
  return now;
}

std::array<TrainingClock::LossBin, TrainingClock::kLossBins> TrainingClock::loss_curve() const {
  std::array<LossBin, kLossBins> curve;
  for (std::size_t i = 0; i < kLossBins; ++i) {
    curve[i] = {curve_[i].sum.load(std::memory_order_relaxed), curve_[i].pairs.load(std::memory_order_relaxed)};
  }
  return curve;
}

}  // namespace knotwork::worker
