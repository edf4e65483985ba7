// The rate is an exponential moving average whose weight hangs on the time that passed, so that it does not matter how
// often progress is reported.
#include "jobs/progress.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "jobs/figures.h"

namespace knotwork::jobs {
namespace {
constexpr double kMemorySeconds = 10.0;
/// Narrower terminals have better use for their columns.
constexpr std::size_t kColumnsForBar = 70;

std::string bar_text(double share) {
  constexpr std::size_t kWidth = 16;
  const auto done = static_cast<std::size_t>(std::floor(share * kWidth));
  return "[" + std::string(done, '#') + std::string(kWidth - done, '.') + "]";
}
}  // namespace

void ProgressMeter::observe(double seconds, double done) {
  const double passed = seconds - seconds_;
  if (passed <= 0) {
    done_ = std::max(done_, done);
    return;
  }
  const double recent = std::max(0.0, done - done_) / passed;
  // Until kMemorySeconds have passed the plain mean is the better estimate.
  const double weight = std::max(1 - std::exp(-passed / kMemorySeconds), passed / seconds);
  rate_ += std::min(1.0, weight) * (recent - rate_);
  seconds_ = seconds;
  done_ = std::max(done_, done);
}

double ProgressMeter::share() const {
  return total_ > 0 ? std::clamp(done_ / total_, 0.0, 1.0) : 0.0;
}

double ProgressMeter::seconds_left() const {
  if (total_ <= 0 || rate_ <= 0) return std::numeric_limits<double>::infinity();
  return std::max(0.0, total_ - done_) / rate_;
}

std::string progress_text(const std::string& label, const std::string& unit, const ProgressMeter& meter,
                          const std::string& detail, std::size_t columns) {
  std::string text = label;
  if (meter.total() > 0) {
    if (columns >= kColumnsForBar) text += "  " + bar_text(meter.share());
    // Rounded down: 100 % means done.
    text += "  " + fixed(std::floor(meter.share() * 100), 0) + " %";
  } else {
    text += "  " + human_count(std::floor(meter.done())) + (unit.empty() ? "" : " " + unit);
  }
  if (meter.rate() > 0 && !unit.empty()) text += "  " + human_count(meter.rate()) + " " + unit + "/s";
  text += "  " + clock_time(meter.elapsed_seconds());
  if (std::isfinite(meter.seconds_left())) text += "  " + clock_time(meter.seconds_left()) + " left";
  if (!detail.empty()) text += "  " + detail;
  if (columns > 0 && text.size() > columns) text.resize(columns);
  return text;
}

}  // namespace knotwork::jobs
