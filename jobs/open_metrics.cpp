#include "jobs/open_metrics.h"

#include <cmath>

#include "jobs/figures.h"

namespace knotwork::jobs {
namespace {

/// Label values and help: backslash, quote and line end are escaped.
std::string escaped(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (c == '\n') {
      out += "\\n";
      continue;
    }
    if (c == '\\' || c == '"') out += '\\';
    out += c;
  }
  return out;
}

std::string number_text(double value) {
  if (std::isnan(value)) return "NaN";
  if (std::isinf(value)) return value > 0 ? "+Inf" : "-Inf";
  return plain_number(value);
}

}  // namespace

void OpenMetricsText::begin(std::string_view name, std::string_view type, std::string_view help) {
  family_ = name;
  is_counter_ = type == "counter";
  text_.append("# TYPE ").append(name).append(" ").append(type).append("\n");
  for (const std::string_view unit : {"bytes", "seconds", "ratio"}) {
    if (name.ends_with("_" + std::string(unit)))
      text_.append("# UNIT ").append(name).append(" ").append(unit).append("\n");
  }
  text_.append("# HELP ").append(name).append(" ").append(escaped(help)).append("\n");
}

void OpenMetricsText::counter(std::string_view name, std::string_view help) {
  begin(name, "counter", help);
}

void OpenMetricsText::gauge(std::string_view name, std::string_view help) {
  begin(name, "gauge", help);
}

void OpenMetricsText::histogram(std::string_view name, std::string_view help) {
  begin(name, "histogram", help);
}

void OpenMetricsText::info(std::string_view name, std::string_view help) {
  begin(name, "info", help);
}

void OpenMetricsText::line(std::string_view suffix, const MetricLabels& labels, const std::string& value) {
  text_.append(family_).append(suffix);
  std::string all;
  for (const MetricLabels* some : {&std::as_const(common_), &labels}) {
    for (const auto& [label, text] : *some) {
      if (!all.empty()) all += ',';
      all.append(label).append("=\"").append(escaped(text)).append("\"");
    }
  }
  if (!all.empty()) text_.append("{").append(all).append("}");
  text_.append(" ").append(value).append("\n");
}

void OpenMetricsText::sample(double value, const MetricLabels& labels) {
  line(is_counter_ ? "_total" : "", labels, number_text(value));
}

void OpenMetricsText::sample_info(const MetricLabels& labels) {
  line("_info", labels, "1");
}

void OpenMetricsText::sample_histogram(std::span<const double> limits, std::span<const std::uint64_t> counts,
                                       double sum, const MetricLabels& labels) {
  std::uint64_t up_to = 0;
  for (std::size_t i = 0; i < counts.size(); ++i) {
    up_to += counts[i];
    MetricLabels with_limit = labels;
    with_limit.emplace_back("le", i < limits.size() ? plain_number(limits[i]) : "+Inf");
    line("_bucket", with_limit, std::to_string(up_to));
  }
  line("_count", labels, std::to_string(up_to));
  line("_sum", labels, plain_number(sum));
}

}  // namespace knotwork::jobs
