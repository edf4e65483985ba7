// The text of metrics pages, byte by byte, and what the display says. A real Prometheus parser reads pages of running
// jobs in tests/integration/metrics_test.py.
#include <array>
#include <limits>
#include <thread>

#include <gtest/gtest.h>

#include "jobs/metrics_registry.h"
#include "jobs/open_metrics.h"
#include "jobs/training_display.h"

namespace knotwork::jobs {
namespace {

TEST(OpenMetricsText, WritesFamiliesOfEachType) {
  OpenMetricsText page(MetricLabels{{"rank", "3"}});
  page.counter("bytes_moved_bytes", "All of them.");
  page.sample(1e9, {{"direction", "in"}});
  page.gauge("share_ratio", "A share.");
  page.sample(0.25);
  page.info("build", "What.");
  page.sample_info({{"version", "1"}});
  EXPECT_EQ(page.page(),
            "# TYPE bytes_moved_bytes counter\n"
            "# UNIT bytes_moved_bytes bytes\n"
            "# HELP bytes_moved_bytes All of them.\n"
            "bytes_moved_bytes_total{rank=\"3\",direction=\"in\"} 1e+09\n"
            "# TYPE share_ratio gauge\n"
            "# UNIT share_ratio ratio\n"
            "# HELP share_ratio A share.\n"
            "share_ratio{rank=\"3\"} 0.25\n"
            "# TYPE build info\n"
            "# HELP build What.\n"
            "build_info{rank=\"3\",version=\"1\"} 1\n"
            "# EOF\n");
}

TEST(OpenMetricsText, HistogramsAreCumulative) {
  OpenMetricsText page(MetricLabels{});
  page.histogram("wait", "A wait.");
  page.sample_histogram(std::array{0.5, 1.0}, std::array<std::uint64_t, 3>{2, 0, 5}, 12.5);
  EXPECT_EQ(page.page(),
            "# TYPE wait histogram\n"
            "# HELP wait A wait.\n"
            "wait_bucket{le=\"0.5\"} 2\n"
            "wait_bucket{le=\"1\"} 2\n"
            "wait_bucket{le=\"+Inf\"} 7\n"
            "wait_count 7\n"
            "wait_sum 12.5\n"
            "# EOF\n");
}

TEST(OpenMetricsText, OddTextsAreEscaped) {
  OpenMetricsText page(MetricLabels{});
  page.gauge("odd", "one\ntwo \\ three");
  page.sample(std::numeric_limits<double>::quiet_NaN(), {{"name", "a\"b\\c\nd"}});
  page.sample(std::numeric_limits<double>::infinity());
  EXPECT_EQ(page.page(),
            "# TYPE odd gauge\n"
            "# HELP odd one\\ntwo \\\\ three\n"
            "odd{name=\"a\\\"b\\\\c\\nd\"} NaN\n"
            "odd +Inf\n"
            "# EOF\n");
}

TEST(MetricsRegistry, SourcesComeAndGoWhileOthersRead) {
  MetricsRegistry registry(MetricLabels{});
  const std::string empty = "# EOF\n";
  EXPECT_EQ(registry.page(), empty);
  std::jthread reader([&](const std::stop_token& stop) {
    while (!stop.stop_requested()) EXPECT_TRUE(registry.page().ends_with(empty));
  });
  for (int i = 0; i < 1000; ++i) {
    double value = i;  // Gone after the entry: an entry that outlived it would read it.
    const MetricsRegistry::Entry entry(registry, [&value](OpenMetricsText& page) {
      page.gauge("value", "A value.");
      page.sample(value);
    });
  }
  reader.request_stop();
  reader.join();
  EXPECT_EQ(registry.page(), empty);
}

TEST(TrainingDetail, SaysMoreOfSeveralRanks) {
  worker::JobFigures job;
  job.ranks = 1;
  EXPECT_EQ(training_detail(job, 0, 0, 0), "first batch");
  job.all.pairs = 3e6;
  EXPECT_EQ(training_detail(job, 1.5e6, 0, 0.25), "1.50 M pairs/s  loss 0.250");
  job.ranks = 4;
  job.all.uses = 1000;
  job.all.remote_uses = 71;
  job.all.staleness = 12;
  EXPECT_EQ(training_detail(job, 1.5e6, 34e6, 0.25),
            "1.50 M pairs/s  remote 7.1 %  34.0 MB/s  staleness 12  loss 0.250");
}

}  // namespace
}  // namespace knotwork::jobs
