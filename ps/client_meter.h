// What a client counts for those who watch it: any thread may read while the client's own thread works. Relaxed
// atomics, so counting costs no more than plain additions.
#pragma once

#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>

namespace knotwork::ps {

/// How long requests took, in fixed classes (as Prometheus' histograms have them). Any thread.
class LatencyHistogram {
 public:
  /// Upper limits of the classes, seconds; one more class has no limit.
  static constexpr std::array<double, 16> kLimits{0.00005, 0.0001, 0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01,
                                                  0.02,    0.05,   0.1,    0.2,    0.5,   1,     2,     5};
  struct Counts {
    /// By class; not cumulative.
    std::array<std::uint64_t, kLimits.size() + 1> by_class{};
    double seconds = 0;

    std::uint64_t total() const {
      std::uint64_t sum = 0;
      for (const std::uint64_t count : by_class) sum += count;
      return sum;
    }
  };

  void add(std::chrono::nanoseconds took) {
    const double seconds = std::chrono::duration<double>(took).count();
    std::size_t i = 0;
    while (i < kLimits.size() && seconds > kLimits[i]) ++i;
    by_class_[i].fetch_add(1, std::memory_order_relaxed);
    nanoseconds_.fetch_add(static_cast<std::uint64_t>(took.count()), std::memory_order_relaxed);
  }

  Counts counts() const {
    constexpr double kNanosecond = 1e-9;
    Counts out;
    for (std::size_t i = 0; i < by_class_.size(); ++i) out.by_class[i] = by_class_[i].load(std::memory_order_relaxed);
    out.seconds = static_cast<double>(nanoseconds_.load(std::memory_order_relaxed)) * kNanosecond;
    return out;
  }

 private:
  std::array<std::atomic<std::uint64_t>, kLimits.size() + 1> by_class_{};
  std::atomic<std::uint64_t> nanoseconds_{0};
};

/// Shared by the clients that were given it.
struct ClientMeter {
  /// From the first sending of a request to its answer.
  LatencyHistogram pulls;
  /// The same; pushes that bring rows back are among them.
  LatencyHistogram pushes;
  /// All frames, without ZeroMQ's own framing; what was sent again counts again.
  std::atomic<std::uint64_t> bytes_sent{0};
  std::atomic<std::uint64_t> bytes_received{0};
  /// Requests that were sent again.
  std::atomic<std::uint64_t> resent{0};
};

}  // namespace knotwork::ps
