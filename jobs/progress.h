// Progress of long work: rate, share done, time left. The arithmetic is here, apart from clocks and terminals.
#pragma once

#include <cstddef>
#include <string>

namespace knotwork::jobs {

/// Turns (time, work done) observations into a rate and a time left. The rate is smoothed over the last ~10 seconds, so
/// that a slow start or a pause is forgotten. Not thread-safe.
class ProgressMeter {
 public:
  /// `total`: work in all, in the unit of `observe`; 0 if unknown.
  explicit ProgressMeter(double total) : total_(total) {}

  /// Work done so far at `seconds` after the start; both must not fall.
  void observe(double seconds, double done);

  double total() const { return total_; }
  double done() const { return done_; }
  double elapsed_seconds() const { return seconds_; }
  /// Work per second, 0 before the second observation of any work.
  double rate() const { return rate_; }
  /// In [0, 1]; 0 if the total is unknown.
  double share() const;
  /// Infinite if the rate or the total is unknown.
  double seconds_left() const;

 private:
  double total_;
  double done_ = 0;
  double seconds_ = 0;
  double rate_ = 0;
};

/// "training  42 %  1.23 M pairs/s  00:12 left  loss 0.231", cut to `columns` if that is positive, which
/// means a terminal: where there is room, a bar "[####............]" stands before the share.
std::string progress_text(const std::string& label, const std::string& unit, const ProgressMeter& meter,
                          const std::string& detail, std::size_t columns);

}  // namespace knotwork::jobs
