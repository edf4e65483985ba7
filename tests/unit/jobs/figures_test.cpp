// Numbers as people read them, and the arithmetic of progress.
#include "jobs/figures.h"

#include <cmath>
#include <limits>

#include <gtest/gtest.h>

#include "jobs/progress.h"
#include "jobs/table.h"

namespace knotwork::jobs {
namespace {

TEST(Figures, CountsHaveThreeDigits) {
  EXPECT_EQ(human_count(0), "0");
  EXPECT_EQ(human_count(999), "999");
  EXPECT_EQ(human_count(1000), "1.00 k");
  EXPECT_EQ(human_count(1234567), "1.23 M");
  EXPECT_EQ(human_count(12345678), "12.3 M");
  EXPECT_EQ(human_count(999600), "1.00 M");
  EXPECT_EQ(human_count(2.5e9), "2.50 G");
}

TEST(Figures, DurationsAsPeopleGiveThem) {
  EXPECT_EQ(parse_duration("90"), 90.0);
  EXPECT_EQ(parse_duration("500ms"), 0.5);
  EXPECT_EQ(parse_duration("30s"), 30.0);
  EXPECT_EQ(parse_duration("10m"), 600.0);
  EXPECT_EQ(parse_duration("1.5h"), 5400.0);
  EXPECT_EQ(parse_duration("2d"), 172800.0);
  for (const char* bad : {"", "m", "-1s", "1 s", "10x", "1e400", "nan", "inf", "9e9d"}) {
    EXPECT_FALSE(parse_duration(bad)) << bad;
  }
}

TEST(Figures, BytesAreReadWithOrWithoutAUnit) {
  EXPECT_EQ(parse_bytes("4096"), 4096U);
  EXPECT_EQ(parse_bytes("512M"), 512'000'000U);
  EXPECT_EQ(parse_bytes("1.5GB"), 1'500'000'000U);
  EXPECT_EQ(parse_bytes("2k"), parse_bytes("2K"));
  for (const char* wrong : {"", "G", "-1", "1X", "1MM", "1 G", "nan", "inf", "1e30"}) {
    EXPECT_EQ(parse_bytes(wrong), std::nullopt) << wrong;
  }
}

TEST(Figures, BytesHaveAUnit) {
  EXPECT_EQ(human_bytes(0), "0 B");
  EXPECT_EQ(human_bytes(512), "512 B");
  EXPECT_EQ(human_bytes(3.4e9), "3.40 GB");
}

TEST(Figures, GroupsOfThree) {
  EXPECT_EQ(grouped_count(7), "7");
  EXPECT_EQ(grouped_count(999), "999");
  EXPECT_EQ(grouped_count(1000), "1,000");
  EXPECT_EQ(grouped_count(1234567), "1,234,567");
}

TEST(Figures, Times) {
  EXPECT_EQ(clock_time(12), "00:12");
  EXPECT_EQ(clock_time(3723), "1:02:03");
  EXPECT_EQ(clock_time(std::numeric_limits<double>::infinity()), "--:--");
  EXPECT_EQ(human_seconds(0.0123), "12.3 ms");
  EXPECT_EQ(human_seconds(4.56), "4.56 s");
  EXPECT_EQ(human_seconds(135), "02:15 min");
}

TEST(Figures, PlainNumbersReadBackTheSame) {
  EXPECT_EQ(plain_number(0.025), "0.025");
  EXPECT_EQ(plain_number(128), "128");
  EXPECT_EQ(std::stod(plain_number(0.1 + 0.2)), 0.1 + 0.2);
}

TEST(Table, AlignsByWhatIsSeen) {
  const Table table{.header = {"name", "auc"}, .rows = {{"dot", "0.5"}, {"größe", "10.5"}}};
  EXPECT_EQ(table_text(table),
            "  name    auc\n"
            "  -----  ----\n"
            "  dot     0.5\n"
            "  größe  10.5\n");
}

TEST(ProgressMeter, ConstantRateGivesTheTimeLeft) {
  ProgressMeter meter(1000);
  EXPECT_TRUE(std::isinf(meter.seconds_left()));
  for (int second = 1; second <= 30; ++second) meter.observe(second, 10.0 * second);
  EXPECT_NEAR(meter.rate(), 10, 1e-9);
  EXPECT_NEAR(meter.seconds_left(), 70, 1e-6);
  EXPECT_NEAR(meter.share(), 0.3, 1e-12);
}

TEST(ProgressMeter, ForgetsASlowStart) {
  ProgressMeter meter(10000);
  meter.observe(10, 10);  // reading: nothing trained yet
  for (int second = 11; second <= 70; ++second) meter.observe(second, 10 + 100.0 * (second - 10));
  EXPECT_NEAR(meter.rate(), 100, 5);
  const double plain_mean = meter.done() / 70;
  EXPECT_LT(plain_mean, 90);
}

TEST(ProgressMeter, HowOftenItIsAskedDoesNotMatter) {
  ProgressMeter often(1e6);
  ProgressMeter seldom(1e6);
  for (int i = 1; i <= 600; ++i) often.observe(i * 0.1, i < 300 ? i * 10.0 : 3000 + (i - 300) * 50.0);
  for (int i = 1; i <= 60; ++i) seldom.observe(i, i < 30 ? i * 100.0 : 3000 + (i - 30) * 500.0);
  EXPECT_NEAR(often.rate() / seldom.rate(), 1, 0.1);
}

TEST(ProgressMeter, DoesNotGoBackwards) {
  ProgressMeter meter(100);
  meter.observe(1, 50);
  meter.observe(2, 40);
  EXPECT_EQ(meter.done(), 50);
  EXPECT_GE(meter.seconds_left(), 0);
}

TEST(ProgressText, SaysRateShareAndTimeLeft) {
  ProgressMeter meter(200e6);
  meter.observe(10, 50e6);
  EXPECT_EQ(progress_text("training", "pairs", meter, "loss 0.231", 0),
            "training  25 %  5.00 M pairs/s  00:10  00:30 left  loss 0.231");
  EXPECT_EQ(progress_text("training", "pairs", meter, "", 13), "training  25 ");
  EXPECT_TRUE(progress_text("training", "pairs", meter, "", 100).starts_with("training  [####............]  25 %  "));
}

TEST(ProgressText, WithoutATotalCountsWhatIsDone) {
  ProgressMeter meter(0);
  meter.observe(2, 3000);
  EXPECT_EQ(progress_text("reading", "lines", meter, "", 0), "reading  3.00 k lines  1.50 k lines/s  00:02");
}

}  // namespace
}  // namespace knotwork::jobs
