// Text in the OpenMetrics format 1.0 (openmetrics.io; the successor of Prometheus' text format): families of samples,
// each with its type and a line of help.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace knotwork::jobs {

/// Label names and values of one sample.
using MetricLabels = std::vector<std::pair<std::string, std::string>>;

/// Builds one page. A family is begun by counter(), gauge(), histogram() or info() and lasts until the next; every name
/// may be begun once. Not thread-safe.
class OpenMetricsText {
 public:
  /// `common`: labels of every sample.
  explicit OpenMetricsText(MetricLabels common) : common_(std::move(common)) {}

  /// Names bear no "_total": it is added to the samples of counters. Bytes, seconds and ratios are named so at the end
  /// of the name, as the format asks for.
  void counter(std::string_view name, std::string_view help);
  void gauge(std::string_view name, std::string_view help);
  void histogram(std::string_view name, std::string_view help);
  void info(std::string_view name, std::string_view help);

  /// A sample of the counter or gauge at hand.
  void sample(double value, const MetricLabels& labels = {});
  /// The sample of the info at hand.
  void sample_info(const MetricLabels& labels);
  /// A sample of the histogram at hand: `limits` are the upper limits of the classes but the last, which has none;
  /// `counts` are by class, not cumulative, one more than there are limits.
  void sample_histogram(std::span<const double> limits, std::span<const std::uint64_t> counts, double sum,
                        const MetricLabels& labels = {});

  /// The page so far, with the mark of its end.
  std::string page() const { return text_ + "# EOF\n"; }

 private:
  void begin(std::string_view name, std::string_view type, std::string_view help);
  void line(std::string_view suffix, const MetricLabels& labels, const std::string& value);

  MetricLabels common_;
  std::string family_;
  bool is_counter_ = false;
  std::string text_;
};

}  // namespace knotwork::jobs
